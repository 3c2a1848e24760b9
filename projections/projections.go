// Package projections names the read models that parley keeps. Each has a folder: feed carries the log's commits, runner keeps read models
// up with them, and queries reads.
package projections

import (
	"parley/projections/groups"
	"parley/projections/members"
	"parley/projections/memberships"
	"parley/projections/messageindex"
	"parley/projections/profiles"
	"parley/projections/runner"
	"parley/projections/timeline"
	"parley/schemas/table"
)

// Kinds are all read models.
func Kinds() []runner.Kind {
	return []runner.Kind{timeline.Kind, messageindex.Kind, memberships.Kind, profiles.Kind, members.Kind, groups.Kind}
}

// Tables are all tables of the read models and of the runner.
func Tables() []*table.Table { return runner.AllTables(Kinds()) }
