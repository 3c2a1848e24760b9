// Package projections names the read models that parley keeps. Each has a folder: feed carries the log's commits, runner keeps read models
// up with them, and queries reads.
package projections

import (
	"parley/projections/groups"
	"parley/projections/members"
	"parley/projections/memberships"
	"parley/projections/messageindex"
	"parley/projections/profiles"
	"parley/projections/reactor"
	"parley/projections/roles"
	"parley/projections/runner"
	"parley/projections/timeline"
	"parley/schemas/table"
)

// Kinds are all read models.
func Kinds() []runner.Kind {
	return []runner.Kind{timeline.Kind, messageindex.Kind, memberships.Kind, profiles.Kind, members.Kind, groups.Kind, roles.Kind}
}

// Tables are all tables of the read models, of the runner, and of the reactors.
func Tables() []*table.Table { return append(runner.AllTables(Kinds()), reactor.Tables()...) }
