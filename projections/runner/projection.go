// Package runner keeps read models up with the log: it feeds projections, stores their rows and then their checkpoint, tries again, measures
// the lag and stops.
//
// What must hold:
//
//   - A checkpoint never passes a commit whose rows are not in the store. After a crash commits are applied again, which changes nothing:
//     rows are absolute, and the higher t wins.
//   - Nothing is skipped. A store that fails is tried until it answers. An event that cannot be applied puts its stream into
//     quarantine: a durable row, and the positions of all its later commits, until Replay. More than MaxQuarantined streams end the partition.
//   - Each projection has a checkpoint of its own and can be rebuilt alone: a new version replays beside the old one into tables of its
//     own and is switched to, durably, when it has caught up.
//
// Projections of a partition that stand near each other share one pass over the feed and one write to the store.
package runner

import (
	"context"
	"slices"

	"parley/domain"
	"parley/schemas/table"
)

// Projection makes rows of commits. Apply must be a pure function of the commit: no clock, no reads, no memory of commits before. Rows
// carry the event's T, so that applying in any order, and again, ends in the same rows.
type Projection interface {
	Name() string
	Version() int
	// Apply appends what the commit means to dst. An error puts the commit's stream into quarantine; what it appended is dropped.
	Apply(dst []table.Write, a *domain.Accepted) ([]table.Write, error)
}

// Coalescer is implemented by projections that write the same cells again and again: of a batch only the last write of a row's same cells is
// stored.
type Coalescer interface{ Coalesce() bool }

// Kind is a read model that the runner keeps.
type Kind struct {
	Name   string
	New    func(version int) Projection
	Tables []Pair // of the rows
}

// Pair is a table twice: odd versions of a read model live in one, even versions in the other. So a rebuild needs no new tables and
// dropping what came before a version is dropping a table.
type Pair [2]*table.Table

// evenID is how far the id of the table of even versions is from the other's. It is part of the stored format.
const evenID = 10

// NewPair makes the pair of a table as described.
func NewPair(t table.Table) Pair {
	even := t
	even.ID, even.Name = t.ID+evenID, t.Name+"_even"
	return Pair{&even, &t}
}

// Of returns the table of a version.
func (p Pair) Of(version int) *table.Table { return p[version%2] }

// Store is what the runner needs of a store.
type Store interface {
	// Write stores all writes, the last of them not before the others.
	Write(ctx context.Context, writes []table.Write) error
	Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error)
	Scan(ctx context.Context, q table.Query) ([]table.Row, error)
	// Drop removes every row of a table.
	Drop(ctx context.Context, t *table.Table) error
}

// Tables are the runner's own.
func Tables() []*table.Table {
	return []*table.Table{checkpoints, versions, quarantine, quarantined}
}

// AllTables returns every table of the kinds and the runner's own: what a store with typed tables has to have.
func AllTables(kinds []Kind) []*table.Table {
	out := Tables()
	for _, k := range kinds {
		for _, p := range k.Tables {
			out = append(out, p[1], p[0])
		}
	}
	slices.SortFunc(out, func(a, b *table.Table) int { return int(a.ID) - int(b.ID) })
	return out
}
