// Package queries reads the read models, for REST and the gateways.
//
// What must hold:
//
//   - Entries never skips a seq: a page ends before the first entry that neither the timeline nor the feed has yet.
//   - The content of a recalled message is not in any answer, as soon as the recall has been acknowledged.
//   - Every call is bounded: in rows read, in bytes returned, or by a page and a cursor.
//   - Every read is of the version that was active when the call began.
package queries

import (
	"context"

	"parley/domain"
	"parley/projections/groups"
	"parley/projections/members"
	"parley/projections/memberships"
	"parley/projections/messageindex"
	"parley/projections/profiles"
	"parley/projections/roles"
	"parley/projections/timeline"
	"parley/schemas/table"
)

// Store is what queries need of a store.
type Store interface {
	Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error)
	Scan(ctx context.Context, q table.Query) ([]table.Row, error)
}

// Feeds knows the recent commits of the partitions that this process follows.
type Feeds interface {
	// Recent returns the stream's entries from..to that it has, starting with from and without a hole; nothing when it does not have from.
	Recent(stream domain.StreamID, from, to domain.Seq) []domain.Event
	// Recalled returns which of the stream's entries from..to were recalled by what it has.
	Recalled(stream domain.StreamID, from, to domain.Seq) []domain.Seq
	// Find returns the stream's entry with an id; ok is false when it does not have it.
	Find(stream domain.StreamID, id domain.T) (ev domain.Event, ok bool)
}

// Versions knows which version of a read model is to be read, and how far it has come.
type Versions interface {
	Active(name string) int
	Positions(name string) map[domain.Partition]domain.Index
}

// Queries reads the read models. Safe for concurrent use.
type Queries struct {
	store    Store
	feeds    Feeds
	versions Versions
}

// New returns queries over a store, the feeds of this process, and its runner.
func New(store Store, feeds Feeds, versions Versions) *Queries {
	return &Queries{store: store, feeds: feeds, versions: versions}
}

// Positions returns how far a read model has come in each partition. Ask before reading: what is read then is at least as new.
func (q *Queries) Positions(name string) map[domain.Partition]domain.Index {
	return q.versions.Positions(name)
}

func (q *Queries) timeline() *timeline.Projection {
	return timeline.New(q.versions.Active(timeline.Name))
}

func (q *Queries) index() *messageindex.Projection {
	return messageindex.New(q.versions.Active(messageindex.Name))
}

func (q *Queries) memberships() *memberships.Projection {
	return memberships.New(q.versions.Active(memberships.Name))
}

func (q *Queries) profiles() *profiles.Projection {
	return profiles.New(q.versions.Active(profiles.Name))
}

func (q *Queries) members() *members.Projection {
	return members.New(q.versions.Active(members.Name))
}

func (q *Queries) groups() *groups.Projection {
	return groups.New(q.versions.Active(groups.Name))
}

func (q *Queries) roles() *roles.Projection {
	return roles.New(q.versions.Active(roles.Name))
}
