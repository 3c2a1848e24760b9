package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestTable keeps the table itself honest: each rule refuses what it is there for, and lets through what it must.
func TestTable(t *testing.T) {
	for _, tc := range []struct {
		name, dir, imports string
		refused            bool
	}{
		{"domain may use the standard library", "domain/user", "strings", false},
		{"domain may use domain", "domain/user", "parley/domain", false},
		{"domain may not use schemas", "domain/user", "parley/schemas/event", true},
		{"domain may not use a library", "domain", "github.com/google/uuid", true},
		{"domain may not read files", "domain", "os", true},
		{"domain throws no dice", "domain/fence", "math/rand/v2", true},
		{"schemas may use domain", "schemas/event", "parley/domain", false},
		{"schemas may not use ingest", "schemas/event", "parley/ingest/shard", true},
		{"ingest may use schemas", "ingest/shard", "parley/schemas/event", false},
		{"ingest may not use storage", "ingest/shard", "parley/storage/pebble", true},
		{"ingest may not use delivery", "ingest/rest", "parley/delivery/router", true},
		{"projections may not use ingest", "projections/timeline", "parley/ingest/shard", true},
		{"delivery may not use projections", "delivery/gateway", "parley/projections", true},
		{"storage may not use projections", "storage/pebble", "parley/projections/feed", true},
		{"cmd may use storage", "cmd/parley", "parley/storage/kafka", false},
		{"nobody uses cmd", "ingest/rest", "parley/cmd/parley", true},
		{"cmd may start the load of ops", "cmd/parley", "parley/ops/bench", false},
		{"ops may use delivery's client", "ops/bench", "parley/delivery/gateway/client", false},
		{"ops may not use ingest outside tests", "ops/bench", "parley/ingest/shard", true},
		{"ops may not use storage outside tests", "ops/crash", "parley/storage/pebble", true},
		{"an unknown room may not use ours", "pkg/thing", "parley/domain", true},
		{"kafka-go in its place", "storage/kafka", "github.com/segmentio/kafka-go", false},
		{"kafka-go's parts elsewhere", "storage/pebble", "github.com/segmentio/kafka-go/protocol", true},
		{"kafka-go in cmd", "cmd/parley", "github.com/segmentio/kafka-go", true},
		{"a folder that only begins alike", "storage/kafkaesque", "github.com/segmentio/kafka-go", true},
		{"gocql in the engines", "ops/engines", "github.com/gocql/gocql", false},
		{"gocql elsewhere", "projections/timeline", "github.com/gocql/gocql", true},
		{"pebble in its place", "storage/pebble/log", "github.com/cockroachdb/pebble/v2", false},
		{"pebble elsewhere", "ingest/shard", "github.com/cockroachdb/pebble/v2", true},
		{"websocket below the gateway", "delivery/gateway/ws", "github.com/coder/websocket", false},
		{"websocket elsewhere", "delivery/router", "github.com/coder/websocket", true},
		{"echo in its place", "ingest/rest", "github.com/labstack/echo/v4/middleware", false},
		{"echo elsewhere", "ingest/shard", "github.com/labstack/echo/v4", true},
		{"viper in cmd", "cmd/parley", "github.com/spf13/viper", false},
		{"viper elsewhere", "delivery/gateway", "github.com/spf13/viper", true},
		{"kfake outside tests", "storage/kafka", "github.com/twmb/franz-go/pkg/kfake", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if reason := refuse(tc.dir, tc.imports); (reason != "") != tc.refused {
				t.Errorf("%s importing %s: got reason %q, want refused = %v", tc.dir, tc.imports, reason, tc.refused)
			}
		})
	}
}

// TestImports applies the table to every non-test file of the tree, whatever its build constraints.
func TestImports(t *testing.T) {
	files := 0
	eachFile(t, func(name string, fset *token.FileSet, file *ast.File) {
		files++
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: %v", fset.Position(spec.Pos()), err)
			}
			if reason := refuse(path.Dir(name), imported); reason != "" {
				t.Errorf("%s imports %s: %s", fset.Position(spec.Pos()), imported, reason)
			}
		}
	})
	if files < 10 {
		t.Fatalf("only %d Go files found: the test looks at the wrong folder", files)
	}
}

// TestDomainReadsNoClock finds uses of the functions of package time that read or wait for the machine's clock.
func TestDomainReadsNoClock(t *testing.T) {
	files := 0
	eachFile(t, func(name string, fset *token.FileSet, file *ast.File) {
		if !within(name, "domain") {
			return
		}
		files++
		for _, use := range clockReads(file) {
			t.Errorf("%s: domain reads no clock, but uses time.%s", fset.Position(use.Pos()), use.Sel.Name)
		}
	})
	if files == 0 {
		t.Fatal("domain has no Go files: the test looks at the wrong folder")
	}
}

// TestClockReads keeps the finder honest, also where the import is renamed.
func TestClockReads(t *testing.T) {
	for _, tc := range []struct {
		name, source string
		want         int
	}{
		{"plain", `package p; import "time"; var t = time.Now()`, 1},
		{"renamed", `package p; import clock "time"; var t = clock.Since(clock.Time{})`, 1},
		{"as a value", `package p; import "time"; var now = time.Now`, 1},
		{"types and arithmetic only", `package p; import "time"; var d = time.Duration(3) * time.Second`, 0},
		{"another package's Now", `package p; import time "parley/domain"; var t = time.Now()`, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file, err := parser.ParseFile(token.NewFileSet(), "p.go", tc.source, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(clockReads(file)); got != tc.want {
				t.Errorf("found %d uses, want %d", got, tc.want)
			}
		})
	}
}

// TestNames refuses packages whose name says nothing, and rooms that the house does not have.
func TestNames(t *testing.T) {
	eachFile(t, func(name string, _ *token.FileSet, file *ast.File) {
		dir := path.Dir(name)
		room, _, _ := strings.Cut(dir, "/")
		if _, known := rooms[room]; !known {
			t.Errorf("%s: %q is not a room of this house", name, room)
		}
		if slices.Contains(nameless, file.Name.Name) || slices.Contains(nameless, path.Base(dir)) {
			t.Errorf("%s: the package's name says nothing; name what is inside", name)
		}
	})
}

// clockReads returns the uses of package time's functions that read the clock, sleep or start timers.
func clockReads(file *ast.File) []*ast.SelectorExpr {
	local := ""
	for _, spec := range file.Imports {
		if spec.Path.Value == `"time"` {
			local = "time"
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep"}
	var uses []*ast.SelectorExpr
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == local && slices.Contains(clock, sel.Sel.Name) {
				uses = append(uses, sel)
			}
		}
		return true
	})
	return uses
}

// eachFile parses every non-test Go file of the module and hands it on with its path from the module's root.
func eachFile(t *testing.T, visit func(name string, fset *token.FileSet, file *ast.File)) {
	t.Helper()
	tree := os.DirFS("../..")
	fset := token.NewFileSet()
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); name != "." && (base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, name, source, 0)
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		visit(name, fset, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
