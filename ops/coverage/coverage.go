// Package coverage checks ops/coverage.tsv, the honest map of what parley does: a line for every feature and every REST
// call of the products whose SDKs it serves.
//
// The columns are tab-separated: id, state, tests, name, note. An empty column is "-". The states are
//
//	done   works as its users expect; tests proves it
//	part   works in part; tests proves that part, note says what is missing
//	no     not there yet
//	never  not for a server that people run themselves; note says why
//
// tests is a space-separated list. A Go test is written folder.TestName or folder.TestName/case, a step of the SDK
// conformance run conformance:step. Invariants: every id of testdata/ids.txt has exactly one line, in that order, and
// every test that is named exists.
package coverage

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// header is the first line of the map.
const header = "id\tstate\ttests\tname\tnote"

// states are the words of the second column.
var states = []string{"done", "part", "no", "never"}

// row is one line of the map.
type row struct {
	id, state, name, note string
	tests                 []string
}

// Check reads the map and returns every problem, one a line of text; tree is the repository's root, in which the named
// tests are looked up. No problems means that the map is complete and names only tests that exist.
func Check(table string, ids []string, tree fs.FS) []string {
	rows, problems := parse(table)
	problems = append(problems, checkIDs(rows, ids)...)
	tests := newFinder(tree)
	for _, r := range rows {
		for _, problem := range checkRow(r, tests) {
			problems = append(problems, fmt.Sprintf("%s: %s", r.id, problem))
		}
	}
	return problems
}

// parse splits the table into rows; a line that has not five columns is a problem and no row.
func parse(table string) (rows []row, problems []string) {
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	if lines[0] != header {
		problems = append(problems, fmt.Sprintf("line 1: want the header %q", header))
	}
	for i, line := range lines[1:] {
		columns := strings.Split(line, "\t")
		if len(columns) != 5 || slices.Contains(columns, "") {
			problems = append(problems, fmt.Sprintf("line %d: want five columns, none empty, got %q", i+2, line))
			continue
		}
		r := row{id: columns[0], state: columns[1], name: columns[3], note: columns[4]}
		if columns[2] != "-" {
			r.tests = strings.Fields(columns[2])
		}
		rows = append(rows, r)
	}
	return rows, problems
}

// checkIDs compares the rows with the list of ids: each there once, none made up, in the list's order.
func checkIDs(rows []row, ids []string) (problems []string) {
	seen := map[string]int{}
	var order []string
	for _, r := range rows {
		if seen[r.id]++; seen[r.id] == 1 {
			order = append(order, r.id)
		}
		if !slices.Contains(ids, r.id) {
			problems = append(problems, r.id+": there is no such feature or call")
		} else if seen[r.id] == 2 {
			problems = append(problems, r.id+": has more than one line")
		}
	}
	for _, id := range ids {
		if seen[id] == 0 {
			problems = append(problems, id+": has no line")
		}
	}
	if len(problems) == 0 && !slices.Equal(order, ids) {
		problems = append(problems, "the lines are not in the order of testdata/ids.txt")
	}
	return problems
}

// checkRow applies the rules of the row's state and looks up the tests that it names.
func checkRow(r row, tests *finder) (problems []string) {
	if !slices.Contains(states, r.state) {
		return []string{fmt.Sprintf("unknown state %q, want one of %v", r.state, states)}
	}
	proven := r.state == "done" || r.state == "part"
	if proven && len(r.tests) == 0 {
		problems = append(problems, r.state+" without a test that proves it")
	}
	if !proven && len(r.tests) > 0 {
		problems = append(problems, "names tests, but its state is "+r.state)
	}
	if r.state == "never" && len(r.note) < 20 {
		problems = append(problems, "never without a reason in the note")
	}
	if r.state == "part" && r.note == "-" {
		problems = append(problems, "part without a note that says what is missing")
	}
	for _, reference := range r.tests {
		if err := tests.find(reference); err != nil {
			problems = append(problems, err.Error())
		}
	}
	return problems
}
