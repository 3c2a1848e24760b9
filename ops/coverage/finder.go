package coverage

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// conformance is the folder of the SDK conformance run, whose steps are named by string literals in its scripts.
const conformance = "ops/conformance"

// finder looks up references to tests in a source tree. It reads each folder once.
type finder struct {
	tree     fs.FS
	packages map[string]*testPackage // by folder
	scripts  string                  // all conformance scripts, read on first use
}

// testPackage is what the test files of one folder offer.
type testPackage struct {
	functions map[string]bool // names of Test and Fuzz functions
	words     map[string]bool // string literals and names of testdata files, as `go test` would spell a case
}

func newFinder(tree fs.FS) *finder {
	return &finder{tree: tree, packages: map[string]*testPackage{}}
}

// find returns nil if the test that reference names exists, else an error that says what does not.
func (f *finder) find(reference string) error {
	if step, ok := strings.CutPrefix(reference, "conformance:"); ok {
		return f.findStep(step)
	}
	folder, test, ok := strings.Cut(reference, ".")
	if !ok || !fs.ValidPath(folder) {
		return fmt.Errorf("%q is no reference to a test: want folder.TestName or conformance:step", reference)
	}
	function, cases, _ := strings.Cut(test, "/")
	pkg, err := f.load(folder)
	if err != nil {
		return err
	}
	if !pkg.functions[function] {
		return fmt.Errorf("there is no %s in the test files of %s", function, folder)
	}
	if cases == "" {
		return nil
	}
	for name := range strings.SplitSeq(cases, "/") {
		if !pkg.words[name] {
			return fmt.Errorf("the test files and testdata of %s do not know the case %q", folder, name)
		}
	}
	return nil
}

// load reads the test files of a folder, and the names of the files in its testdata.
func (f *finder) load(folder string) (*testPackage, error) {
	if pkg, ok := f.packages[folder]; ok {
		return pkg, nil
	}
	files, err := fs.Glob(f.tree, folder+"/*_test.go")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there are no test files in %s", folder)
	}
	pkg := &testPackage{functions: map[string]bool{}, words: map[string]bool{}}
	for _, name := range files {
		source, err := fs.ReadFile(f.tree, name)
		if err != nil {
			return nil, fmt.Errorf("read tests: %w", err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse tests: %w", err)
		}
		pkg.collect(file)
	}
	err = fs.WalkDir(f.tree, folder+"/testdata", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			pkg.words[caseName(strings.TrimSuffix(path.Base(name), path.Ext(name)))] = true
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read testdata: %w", err)
	}
	f.packages[folder] = pkg
	return pkg, nil
}

// collect notes the test functions and the string literals of a file.
func (p *testPackage) collect(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && (strings.HasPrefix(n.Name.Name, "Test") || strings.HasPrefix(n.Name.Name, "Fuzz")) {
				p.functions[n.Name.Name] = true
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				p.words[caseName(text)] = true
			}
		}
		return true
	})
}

// caseName spells a case as `go test` prints it: spaces become underscores.
func caseName(name string) string { return strings.ReplaceAll(name, " ", "_") }

// findStep looks for the step's name as a whole string literal in the conformance scripts.
func (f *finder) findStep(step string) error {
	if f.scripts == "" {
		if err := f.readScripts(); err != nil {
			return err
		}
	}
	for _, quote := range []string{"'", `"`, "`"} {
		if strings.Contains(f.scripts, quote+step+quote) {
			return nil
		}
	}
	return fmt.Errorf("the scripts of %s have no step %q", conformance, step)
}

func (f *finder) readScripts() error {
	var all strings.Builder
	err := fs.WalkDir(f.tree, conformance, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "node_modules":
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".mjs" && path.Ext(name) != ".js" && path.Base(name) != "steps.json":
			return nil
		}
		text, err := fs.ReadFile(f.tree, name)
		all.Write(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("read conformance scripts: %w", err)
	}
	f.scripts = all.String()
	return nil
}
