package kafka

import (
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"

	"parley/domain"
)

// Class tells what an error of an append says about this attempt. The table is in the package comment.
type Class string

// Classes of errors.
const (
	Unknown    Class = "unknown"
	NotWritten Class = "not_written"
	Sequence   Class = "sequence"
	Deposed    Class = "deposed"
	Content    Class = "content"
)

// Error is why an append has no good answer.
type Error struct {
	Class Class
	Err   error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Class, e.Err) }

// Is makes errors.Is(err, domain.ErrRefused) true for the classes after which the same batch must not be sent again.
func (e *Error) Is(target error) bool {
	return target == domain.ErrRefused && (e.Class == Sequence || e.Class == Deposed || e.Class == Content)
}

// Unwrap returns Kafka's error, or that of the connection or context.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of an append's error: Unknown for every error that this package did not classify.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Unknown
}

// noOffset is the base offset of answers that tell that nothing was appended.
const noOffset = -1

// classes are the codes that mean more than "not written". Codes that are Unknown whatever the base offset are here too.
var classes = map[kafkago.Error]Class{
	kafkago.Unknown:                      Unknown,
	kafkago.RequestTimedOut:              Unknown,
	kafkago.NotEnoughReplicasAfterAppend: Unknown,
	kafkago.OutOfOrderSequenceNumber:     Sequence,
	kafkago.DuplicateSequenceNumber:      Sequence,
	kafkago.UnknownProducerId:            Sequence,
	kafkago.InvalidProducerEpoch:         Deposed,
	kafkago.ProducerFenced:               Deposed,
	kafkago.MessageSizeTooLarge:          Content,
	kafkago.RecordListTooLarge:           Content,
	kafkago.InvalidTimestamp:             Content,
	kafkago.InvalidRequest:               Content,
	kafkago.UnsupportedForMessageFormat:  Content,
	kafkago.UnsupportedCompressionType:   Content,
	kafkago.InvalidRecord:                Content,
}

// classify makes an *Error of a broker's answer.
func classify(err error, base int64) *Error {
	var code kafkago.Error
	if !errors.As(err, &code) {
		return &Error{Unknown, err}
	}
	class, special := classes[code]
	switch {
	case !special && base == noOffset:
		class = NotWritten
	case !special:
		class = Unknown
	}
	return &Error{class, err}
}
