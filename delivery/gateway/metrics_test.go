package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every reason of a close that the package names is counted from 0 on, and so are refusals and outcomes on which alerts are made.
func TestReasonsAreCountedBeforeTheyHappen(t *testing.T) {
	r := newRig(t)
	file, err := parser.ParseFile(token.NewFileSet(), "session.go", nil, 0)
	require.NoError(t, err)
	var reasons []string
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "closeReason" {
			reasons = append(reasons, must(strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)))
		}
		return true
	})
	require.Greater(t, len(reasons), 10)
	for _, reason := range reasons {
		require.True(t, r.counted("parley_gateway_closes_total", reason), reason)
	}
	for _, c := range [][2]string{
		{"parley_gateway_refused_total", "max_sessions"},
		{"parley_gateway_logins_total", "busy"},
		{"parley_gateway_logins_total", "ok"},
		{"parley_gateway_commands_total", "unknown"},
		{"parley_gateway_commands_total", "internal"},
		{"parley_gateway_behind_total", "not_pulled"},
	} {
		require.True(t, r.counted(c[0], c[1]), c)
	}
}

// counted tells whether a metric has a child with a label value.
func (r *rig) counted(name, value string) bool {
	r.t.Helper()
	families, err := r.registry.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == value {
					return true
				}
			}
		}
	}
	return false
}
