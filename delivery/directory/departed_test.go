package directory_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/domain"
)

// Where a device is, and where it was a moment ago, is known; of other devices and of nodes that are gone nothing is said.
func TestNodesOf(t *testing.T) {
	d, e, w := directory.New(), newFar(east), newFar(west)
	e.snapshot(t, d)
	w.snapshot(t, d)
	require.Empty(t, d.NodesOf(alice, "web"))
	there, _ := add(e.Directory, 4, "web", "web", 1)
	add(w.Directory, 4, "phone", "ios", 2)
	e.tells(t, d)
	w.tells(t, d)
	require.Equal(t, []domain.NodeName{"east"}, d.NodesOf(alice, "web"))
	require.Equal(t, []domain.NodeName{"west"}, d.NodesOf(alice, "phone"))
	require.Empty(t, d.NodesOf(directory.Key{App: alice.App, User: "bob"}, "web"))
	e.Detach(alice, there)
	e.tells(t, d)
	require.Equal(t, []domain.NodeName{"east"}, d.NodesOf(alice, "web"), "it has just left")
	add(w.Directory, 4, "web", "web", 3)
	w.tells(t, d)
	require.Equal(t, []domain.NodeName{"west", "east"}, d.NodesOf(alice, "web"))
	d.Gone(east)
	require.Equal(t, []domain.NodeName{"west"}, d.NodesOf(alice, "web"), "whom nobody can ask")
}

// However many leave, what is known of it is bounded, and the last are known.
func TestDeparturesAreBounded(t *testing.T) {
	d, e := directory.New(), newFar(east)
	e.snapshot(t, d)
	for i := range 3000 {
		there, _ := add(e.Directory, 4, fmt.Sprint("r", i), "web", i)
		e.Detach(alice, there)
		e.tells(t, d)
	}
	require.Empty(t, d.NodesOf(alice, "r0"))
	require.Equal(t, []domain.NodeName{"east"}, d.NodesOf(alice, "r2999"))
}
