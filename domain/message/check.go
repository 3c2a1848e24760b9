package message

import "parley/domain"

// Limits bound the content of a message. The zero value allows nothing; start from DefaultLimits.
type Limits struct {
	Size       int // bytes of body and ext together
	CustomExts int // entries of a custom message
}

// DefaultLimits are those of the SDKs' documentation: 5 KB, and 16 entries.
var DefaultLimits = Limits{Size: 5 << 10, CustomExts: 16}

// maxCustomEvent is the most bytes that the name of a custom event may have.
const maxCustomEvent = 32

// Check refuses content outside the rules: BadRequest for what is malformed, TooLarge for what is over a limit. Empty texts are allowed.
func Check(e Envelope, l Limits) error {
	switch {
	case e.Kind == None || e.Kind > Combine:
		return domain.Refuse(domain.BadRequest, "unknown kind of message")
	case e.Size > l.Size:
		return domain.Refuse(domain.TooLarge, "message and ext are too large")
	case e.Kind != Custom:
		return nil
	case !validCustomEvent(e.CustomEvent):
		return domain.Refuse(domain.BadRequest, `customEvent must match [a-zA-Z0-9-_/\.]{1,32}`)
	case e.CustomExts > l.CustomExts:
		return domain.Refuse(domain.TooLarge, "too many customExts")
	default:
		return nil
	}
}

func validCustomEvent(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '/', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxCustomEvent
}
