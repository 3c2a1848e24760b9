package rest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The document and the routes name the same paths and methods, and every reference in the document leads somewhere.
func TestOpenAPI(t *testing.T) {
	raw, err := os.ReadFile("../../schemas/openapi/parley.yaml")
	require.NoError(t, err)
	var doc struct {
		Paths      map[string]map[string]any
		Components map[string]map[string]any
	}
	require.NoError(t, yaml.Unmarshal(raw, &doc))
	methods := []string{"get", "put", "post", "delete"}
	var written []string
	for path, item := range doc.Paths {
		for method, operation := range item {
			if slices.Contains(methods, method) {
				written = append(written, strings.ToUpper(method)+" "+path)
				require.NotEmpty(t, operation.(map[string]any)["responses"].(map[string]any)["default"], path)
			}
		}
	}
	var served []string
	colon := regexp.MustCompile(`:(\w+)`)
	for _, r := range routes {
		served = append(served, r.method+" "+colon.ReplaceAllString(r.path, "{$1}"))
	}
	require.ElementsMatch(t, served, written)
	for _, ref := range regexp.MustCompile(`#/components/(\w+)/(\w+)`).FindAllStringSubmatch(string(raw), -1) {
		require.Contains(t, slices.Collect(maps.Keys(doc.Components[ref[1]])), ref[2])
	}
}
