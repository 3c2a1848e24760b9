package token

import (
	"errors"
	"fmt"
	"log/slog"
)

// MinSecret is the fewest bytes of a key's secret.
const MinSecret = 32

// maxKeyID is the most bytes of a key's id.
const maxKeyID = 32

// Secret is the secret of a key. It prints redacted.
type Secret []byte

// String implements fmt.Stringer.
func (Secret) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[redacted]" }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Key signs tokens. Its ID stands in them in clear: 1 to 32 of [A-Za-z0-9_-].
type Key struct {
	ID     string
	Secret Secret
}

// Validate tells what is wrong with the key.
func (k Key) Validate() error {
	if !validKeyID(k.ID) {
		return fmt.Errorf("token key %q: the id must have 1 to %d of [A-Za-z0-9_-]", k.ID, maxKeyID)
	}
	if len(k.Secret) < MinSecret {
		return fmt.Errorf("token key %q: the secret has %d bytes, at least %d are needed", k.ID, len(k.Secret), MinSecret)
	}
	return nil
}

func validKeyID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return id != "" && len(id) <= maxKeyID
}

// Signer makes tokens with its current key and checks those of all its keys. It never changes: to rotate keys, make another with the new
// key first and the old one behind it, until the old one's tokens have expired.
type Signer struct{ keys []Key }

// NewSigner returns a Signer. The error names every key that is not valid or comes twice.
func NewSigner(current Key, previous ...Key) (*Signer, error) {
	s := &Signer{}
	var errs []error
	for _, k := range append([]Key{current}, previous...) {
		if err := k.Validate(); err != nil {
			errs = append(errs, err)
		} else if s.key(k.ID) != nil {
			errs = append(errs, fmt.Errorf("token key %q comes twice", k.ID))
		}
		s.keys = append(s.keys, Key{ID: k.ID, Secret: append(Secret(nil), k.Secret...)})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// key returns the key with the id, nil when there is none.
func (s *Signer) key(id string) *Key {
	for i := range s.keys {
		if s.keys[i].ID == id {
			return &s.keys[i]
		}
	}
	return nil
}
