package queries

import "parley/domain"

// FeedsFunc is a function as Feeds.
type FeedsFunc func(stream domain.StreamID, from, to domain.Seq) []domain.Event

// Recent implements Feeds.
func (f FeedsFunc) Recent(stream domain.StreamID, from, to domain.Seq) []domain.Event {
	return f(stream, from, to)
}
