package domain_test

import (
	"strings"
	"testing"

	"parley/domain"
)

func TestParseAppID(t *testing.T) {
	long := strings.Repeat("a", 64)
	for name, good := range map[string]bool{
		"demo#chat": true, "A-z_0.9#x": true, long + "#" + long: true,
		"": false, "#": false, "demo": false, "demo#": false, "#chat": false, "demo#chat#x": false, "demo/x#chat": false, "de mo#chat": false,
		"é#chat": false, long + "a#x": false, "x#" + long + "a": false, "demo#chat\x00": false, "..#chat": false, "demo#.": false, "...#.a": true,
	} {
		id, err := domain.ParseAppID(name)
		if good && (err != nil || string(id) != name) {
			t.Errorf("%q: got %q, %v", name, id, err)
		}
		if !good && (id != "" || domain.CodeOf(err) != domain.BadRequest) {
			t.Errorf("%q: got %q, %v", name, id, err)
		}
	}
}
