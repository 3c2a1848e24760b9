// Package architecture keeps the import table of the house as plain Go, so that `go test` alone finds a package that
// reaches where it must not, whatever the linters are set to. CONTRIBUTING.md has the table in words.
//
// Invariants: the table speaks of non-test files only, because tests may wire real components together; every
// package of ours belongs to one room, and a room that the table does not name may import nothing of ours.
package architecture

import (
	"fmt"
	"slices"
	"strings"
)

// module is the path that starts every import of ours.
const module = "parley"

// rooms says which rooms the packages of a room may import; each may import its own. A room is the first element of a
// package's path below the module. cmd wires everything together, and nothing imports cmd.
var rooms = map[string][]string{
	"domain":      {},
	"schemas":     {"domain"},
	"projections": {"domain", "schemas"},
	"ingest":      {"domain", "schemas"},
	"delivery":    {"domain", "schemas"},
	"storage":     {"domain", "schemas"},
	"cmd":         {"domain", "schemas", "projections", "ingest", "delivery", "storage", "ops"},
	"ops":         {"domain", "schemas", "delivery"}, // delivery for its client, with which servers are loaded from outside
}

// guests may import a library that is another's: ops/engines asks a real node whether it serves.
var guests = []struct{ library, guest string }{{"github.com/gocql/gocql", "ops/engines"}}

// owners gives each library that must not spread the one place that may import it. Prefixes match whole path elements.
var owners = []struct{ library, owner string }{
	{"github.com/segmentio/kafka-go", "storage/kafka"},
	{"github.com/hashicorp/memberlist", "ingest/owners/ring"},
	{"github.com/fxamacker/cbor", "schemas/cluster"},
	{"github.com/gocql/gocql", "storage/cassandra"},
	{"github.com/apache/cassandra-gocql-driver", "storage/cassandra"},
	{"github.com/cockroachdb/pebble", "storage/pebble"},
	{"github.com/coder/websocket", "delivery/gateway"},
	{"github.com/labstack/echo", "ingest/rest"},
	{"github.com/spf13/viper", "cmd"},
	{"github.com/spf13/cobra", "cmd"},
	{"github.com/twmb/franz-go", ""}, // brings kfake, which is for tests
}

// impure lists what of the standard library domain does without: it reads no clock, throws no dice and does no I/O.
var impure = []string{"os", "net", "net/http", "database/sql", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "os/exec"}

// nameless are package names that say nothing about what is inside.
var nameless = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "shared", "base"}

// refuse says why the package at dir (slash-separated, below the module's root) may not import path, or "" if it may.
func refuse(dir, path string) string {
	room, _, _ := strings.Cut(dir, "/")
	if reason := refuseOurs(room, path); reason != "" {
		return reason
	}
	if room == "domain" && !within(path, module) {
		if !standard(path) {
			return "domain imports only the standard library"
		}
		if slices.Contains(impure, path) {
			return "domain does no input or output and throws no dice"
		}
	}
	for _, o := range owners {
		if within(path, o.library) && (o.owner == "" || !within(dir, o.owner)) && !guest(dir, path) {
			return fmt.Sprintf("%s belongs to %q alone", o.library, o.owner)
		}
	}
	return ""
}

func guest(dir, path string) bool {
	for _, g := range guests {
		if within(path, g.library) && within(dir, g.guest) {
			return true
		}
	}
	return false
}

// refuseOurs applies the table of rooms to an import of one of our own packages.
func refuseOurs(room, path string) string {
	target, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return ""
	}
	target, _, _ = strings.Cut(target, "/")
	if allowed, known := rooms[room]; !known {
		return fmt.Sprintf("%q is not a room of this house", room)
	} else if target != room && !slices.Contains(allowed, target) {
		return fmt.Sprintf("%s may import %v of ours", room, append([]string{room}, allowed...))
	}
	return ""
}

// within tells whether path is prefix or lies below it; a major version suffix such as /v4 lies below.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// standard tells whether an import path is of the standard library: their first element has no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != module
}
