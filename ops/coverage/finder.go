package coverage

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// conformance is the folder of the SDK conformance run, whose steps are objects with a literal id in its scripts.
const conformance = "ops/conformance"

// stepID finds the ids of steps in a script.
var stepID = regexp.MustCompile(`\bid:\s*['"]([^'"]+)['"]`)

// finder looks up references to tests in a source tree. It reads each folder once.
type finder struct {
	tree     fs.FS
	packages map[string]*testPackage // by folder
	steps    map[string]bool         // ids of conformance steps, read on first use
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

// findStep looks for a step with the given id in the conformance scripts.
func (f *finder) findStep(id string) error {
	if f.steps == nil {
		if err := f.readSteps(); err != nil {
			return err
		}
	}
	if !f.steps[id] {
		return fmt.Errorf("the scripts of %s have no step %q", conformance, id)
	}
	return nil
}

// readSteps collects the ids of all steps.
func (f *finder) readSteps() error {
	scripts, err := fs.Glob(f.tree, conformance+"/steps/*.mjs")
	if err != nil {
		return fmt.Errorf("list conformance scripts: %w", err)
	}
	f.steps = map[string]bool{}
	for _, name := range scripts {
		text, err := fs.ReadFile(f.tree, name)
		if err != nil {
			return fmt.Errorf("read conformance scripts: %w", err)
		}
		for _, match := range stepID.FindAllSubmatch(text, -1) {
			f.steps[string(match[1])] = true
		}
	}
	return nil
}
