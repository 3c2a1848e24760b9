package event

import (
	"parley/domain"
	"parley/schemas/internal/wire"
)

// AppendEvent appends one event by itself, as read models keep it: the fields of the schema's Event, without a frame. A body of a type that
// is not in the schema is a programming error: it panics.
func AppendEvent(dst []byte, ev *domain.Event) []byte {
	dst = wire.AppendFixed64(dst, 1, uint64(ev.T))
	dst = wire.AppendVarint(dst, 2, uint64(ev.Seq))
	return appendBody(dst, ev.Body)
}

// DecodeEvent reads what AppendEvent wrote. The event aliases value, as with DecodeRecord. The error is a *DecodeError.
func DecodeEvent(value []byte) (domain.Event, error) {
	ev, err := decodeEvent(value)
	if err != nil {
		return domain.Event{}, &DecodeError{err}
	}
	return ev, nil
}
