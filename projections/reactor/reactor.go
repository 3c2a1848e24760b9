// Package reactor lets what happens in one stream have consequences in others: reactors read accepted commits and issue commands.
//
// What must hold:
//
//   - A command that comes again changes nothing. Either the rules refuse it then, or it carries its cause: the commit's partition and offset,
//     and its number among the commands of that commit; the target's stream keeps the highest cause of each source partition.
//   - Commands of one partition reach a stream in the order of their causes: one that is not answered yet holds back the later ones to the
//     same stream, and one that may or may not have been taken is sent again with the same cause, for as long as it takes.
//   - The checkpoint of a partition, one for all reactors, passes a commit only when all commands that it caused have been answered.
//   - Reactors take no part in rebuilds of read models: they have no rows.
package reactor

import (
	"context"
	"errors"
	"fmt"

	"parley/domain"
	"parley/schemas/table"
)

// Reactor says what follows from a commit in other streams. It is called again after a crash: then the same commands with causes must come of it,
// in the same order. What depends on more than the commit has none.
type Reactor interface {
	Name() string
	// React appends the commands that follow to dst. An error halts the partition's reactors, unless it says that React is to be called again
	// (later): what was appended is dropped then.
	React(ctx context.Context, dst []Command, a *domain.Accepted, causes *Causes) ([]Command, error)
}

// errLater is in the chain of errors after which React is called again.
var errLater = errors.New("later")

func later(err error) error { return fmt.Errorf("%w: %w", errLater, err) }

// Command is a command to the owner of a stream; its cause, if it has one, is inside.
type Command struct {
	Stream  domain.StreamID
	Command domain.Command
	reactor string
}

// Causes numbers the commands of one commit, from 1, those of all reactors.
type Causes struct{ last domain.Cause }

// Next returns the cause of the commit's next command.
func (c *Causes) Next() domain.Cause {
	c.last.N++
	return c.last
}

// All are the reactors. The order of those whose commands have causes is part of these: new ones come last.
func All(reads Reads, rows Rows) []Reactor { return []Reactor{Notices{}, NewDepartures(reads, rows)} }

// Owners takes commands to the owners of their streams. Submit never blocks.
type Owners interface{ Submit(r domain.Request) }

// Store is what reactors need of a store.
type Store interface {
	Write(ctx context.Context, writes []table.Write) error
	Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error)
}
