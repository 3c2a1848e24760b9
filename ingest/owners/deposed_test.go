package owners_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
)

// A node that the ring names no more does not answer reads from a shard that may be deposed: it asks whom the ring names, who answers when it owns.
func TestReadsFollowTheRing(t *testing.T) {
	f := newFleet(t, 2)
	require.Eventually(t, func() bool { return f.nodes[0].Ready() == nil }, 10*time.Second, time.Millisecond)
	f.send(0, 3, 1)
	stream := domain.DirectStream(app, "a0", "b0")
	p, _ := f.nodes[0].Partition(stream)
	old, next := f.nodes[0], f.nodes[1]
	_, warm := old.Warm(stream)
	require.True(t, warm)

	old.learn(p, next.name, old.name)
	_, warm = old.Warm(stream)
	require.False(t, warm, "somebody else may own it by now")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := old.Owners.Heads(ctx, []domain.StreamID{stream})
	require.Error(t, err, "the other node does not know yet that it is named")
	next.learn(p, next.name, old.name)
	rows, err := old.Owners.Heads(t.Context(), []domain.StreamID{stream})
	require.NoError(t, err)
	require.NotNil(t, rows[0])
	_, owns := next.Here(p)
	require.True(t, owns)
}
