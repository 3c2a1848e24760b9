package queries

import "parley/domain"

// FeedsFunc is a function as Feeds, for those who have no feed that knows of recalls: then recalls show when the timeline has them.
type FeedsFunc func(stream domain.StreamID, from, to domain.Seq) []domain.Event

// Recent implements Feeds.
func (f FeedsFunc) Recent(stream domain.StreamID, from, to domain.Seq) []domain.Event {
	return f(stream, from, to)
}

// Recalled implements Feeds.
func (f FeedsFunc) Recalled(domain.StreamID, domain.Seq, domain.Seq) []domain.Seq { return nil }

// Find implements Feeds.
func (f FeedsFunc) Find(domain.StreamID, domain.T) (ev domain.Event, ok bool) { return ev, false }

// Feed is the feed of one partition, as projections/feed has it.
type Feed interface{ Feeds }

// FeedOf finds the feed of a stream's partition; ok is false when this process does not follow it.
type FeedOf func(stream domain.StreamID) (f Feed, ok bool)

// Recent implements Feeds.
func (of FeedOf) Recent(stream domain.StreamID, from, to domain.Seq) []domain.Event {
	if f, ok := of(stream); ok {
		return f.Recent(stream, from, to)
	}
	return nil
}

// Recalled implements Feeds.
func (of FeedOf) Recalled(stream domain.StreamID, from, to domain.Seq) []domain.Seq {
	if f, ok := of(stream); ok {
		return f.Recalled(stream, from, to)
	}
	return nil
}

// Find implements Feeds.
func (of FeedOf) Find(stream domain.StreamID, id domain.T) (ev domain.Event, ok bool) {
	if f, ok := of(stream); ok {
		return f.Find(stream, id)
	}
	return ev, false
}
