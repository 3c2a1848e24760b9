package coverage

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestMap checks the real map against the real tree, and prints how far parley is.
func TestMap(t *testing.T) {
	table, err := os.ReadFile("../coverage.tsv")
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile("testdata/ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	ids := strings.Fields(string(list))
	if len(ids) != 302+276 {
		t.Fatalf("testdata/ids.txt has %d ids, want 302 features and 276 REST calls", len(ids))
	}
	for _, problem := range Check(string(table), ids, os.DirFS("../..")) {
		t.Error(problem)
	}
	rows, _ := parse(string(table))
	count := map[string]int{}
	for _, r := range rows {
		count[r.state]++
	}
	t.Logf("of %d: %d done, %d in part, %d not yet, %d never", len(rows), count["done"], count["part"], count["no"], count["never"])
}

// TestCheck keeps the check honest: each kind of false line is found.
func TestCheck(t *testing.T) {
	tree := fstest.MapFS{
		"ingest/rest/token_test.go":                       {Data: []byte("package rest\nfunc TestToken(t *testing.T) { t.Run(\"wrong secret\", nil) }\nfunc (s suite) TestMethod() {}\n")},
		"ingest/rest/testdata/scenarios/renewal.txt":      {Data: []byte("given\n")},
		"ops/conformance/steps/login.mjs":                 {Data: []byte("export const steps = [\n  {\n    id: 'login-password',\n    features: ['ACC-01'],\n")},
		"ops/conformance/node_modules/steps/index.mjs":    {Data: []byte("id: 'login-nonsense'\n")},
		"ingest/rest/token.go":                            {Data: []byte("package rest\nfunc TestElsewhere() {}\n")},
		"ingest/rest/testdata/scenarios/unused/deep.json": {Data: []byte("{}")},
	}
	for _, tc := range []struct {
		name, line, want string // want is a part of the only problem; "" means none
	}{
		{"not yet", "A-1\tno\t-\tname\t-", ""},
		{"done, by a Go test", "A-1\tdone\tingest/rest.TestToken\tname\t-", ""},
		{"done, by a case", "A-1\tdone\tingest/rest.TestToken/wrong_secret\tname\t-", ""},
		{"done, by a scenario file", "A-1\tdone\tingest/rest.TestToken/renewal\tname\t-", ""},
		{"done, by a conformance step", "A-1\tdone\tconformance:login-password\tname\t-", ""},
		{"done, by two", "A-1\tdone\tingest/rest.TestToken conformance:login-password\tname\t-", ""},
		{"part, with what is missing", "A-1\tpart\tingest/rest.TestToken\tname\tgroups", ""},
		{"never, with a reason", "A-1\tnever\t-\tname\ta price of somebody's cloud", ""},
		{"unknown state", "A-1\tsoon\t-\tname\t-", "unknown state"},
		{"done without a test", "A-1\tdone\t-\tname\t-", "without a test"},
		{"part without a note", "A-1\tpart\tingest/rest.TestToken\tname\t-", "what is missing"},
		{"never without a reason", "A-1\tnever\t-\tname\t-", "without a reason"},
		{"not yet, but a test", "A-1\tno\tingest/rest.TestToken\tname\t-", "names tests"},
		{"no such function", "A-1\tdone\tingest/rest.TestTokens\tname\t-", "no TestTokens"},
		{"a function outside the test files", "A-1\tdone\tingest/rest.TestElsewhere\tname\t-", "no TestElsewhere"},
		{"a method", "A-1\tdone\tingest/rest.TestMethod\tname\t-", "no TestMethod"},
		{"no such case", "A-1\tdone\tingest/rest.TestToken/right_secret\tname\t-", "right_secret"},
		{"no such folder", "A-1\tdone\tingest/rset.TestToken\tname\t-", "no test files"},
		{"no reference at all", "A-1\tdone\tTestToken\tname\t-", "no reference"},
		{"no such step", "A-1\tdone\tconformance:login\tname\t-", "no step"},
		{"a step only in an installed package", "A-1\tdone\tconformance:login-nonsense\tname\t-", "no step"},
		{"a literal that is no step", "A-1\tdone\tconformance:ACC-01\tname\t-", "no step"},
		{"four columns", "A-1\tno\t-\tname\nA-1\tno\t-\tname\t-", "five columns"},
		{"an empty column", "A-1\tno\t\tname\t-\nA-1\tno\t-\tname\t-", "five columns"},
		{"twice", "A-1\tno\t-\tname\t-\nA-1\tno\t-\tname\t-", "more than one line"},
		{"made up", "A-1\tno\t-\tname\t-\nZ-9\tno\t-\tname\t-", "no such feature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Check(header+"\n"+tc.line+"\n", []string{"A-1"}, tree)
			if tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)) {
				t.Errorf("problems %q, want one with %q", got, tc.want)
			}
		})
	}
}

// TestCheckIDs finds missing and misplaced lines, and a wrong header.
func TestCheckIDs(t *testing.T) {
	line := func(id string) string { return fmt.Sprintf("%s\tno\t-\tname\t-\n", id) }
	for _, tc := range []struct {
		name, table string
		want        []string
	}{
		{"complete", header + "\n" + line("A-1") + line("A-2"), nil},
		{"missing", header + "\n" + line("A-2"), []string{"A-1: has no line"}},
		{"out of order", header + "\n" + line("A-2") + line("A-1"), []string{"the lines are not in the order of testdata/ids.txt"}},
		{"no header", line("A-0") + line("A-1") + line("A-2"), []string{fmt.Sprintf("line 1: want the header %q", header)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Check(tc.table, []string{"A-1", "A-2"}, fstest.MapFS{}); !slices.Equal(got, tc.want) {
				t.Errorf("problems %q, want %q", got, tc.want)
			}
		})
	}
}
