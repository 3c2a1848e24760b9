package msync

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kinds of decoding errors; errors.Is finds them in every error of a decoder.
var (
	ErrTooLarge  = errors.New("over a limit")
	ErrMalformed = errors.New("malformed protobuf")
	ErrWireType  = errors.New("wrong wire type")
	ErrRepeated  = errors.New("singular field comes twice")
	ErrText      = errors.New("name is not UTF-8")
	ErrJSON      = errors.New("not a JSON text")
	ErrEncrypted = errors.New("encrypted or compressed frame")
)

// DecodeError says where decoding stopped. It never holds content.
type DecodeError struct {
	Message string           // the protobuf message, as in "MSync"
	Field   protowire.Number // 0: the message as a whole
	Err     error            // one of the kinds above
}

// Error implements error.
func (e *DecodeError) Error() string {
	if e.Field == 0 {
		return fmt.Sprintf("msync: decode %s: %v", e.Message, e.Err)
	}
	return fmt.Sprintf("msync: decode %s field %d: %v", e.Message, e.Field, e.Err)
}

// Unwrap returns the kind.
func (e *DecodeError) Unwrap() error { return e.Err }
