package shard

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQueueKeepsOrderAndDoesNotGrow(t *testing.T) {
	var q queue
	mk := func() *pending { return &pending{} }
	var want []*pending
	for range 10 {
		p := mk()
		q.push(p)
		want = append(want, p)
	}
	for range 10_000 {
		p := mk()
		q.push(p)
		want = append(want, p)
		require.Same(t, want[0], q.pop())
		want = want[1:]
	}
	require.Less(t, cap(q.items), 100)
	back := []*pending{mk(), mk()}
	q.unshift(back)
	want = append(back, want...)
	drop := want[3]
	q.filter(func(p *pending) bool { return p != drop })
	want = append(want[:3:3], want[4:]...)
	require.Equal(t, len(want), q.len())
	for _, p := range want {
		require.Same(t, p, q.pop())
	}
	require.Zero(t, q.len())
}

func TestMailboxCountsUndecidedCommands(t *testing.T) {
	m := newMailbox(2)
	require.Nil(t, m.put(&pending{}))
	require.Nil(t, m.put(&pending{}))
	require.Equal(t, errMailboxFull, m.put(&pending{}))
	commands, _ := m.take(nil, nil)
	require.Len(t, commands, 2)
	require.Equal(t, errMailboxFull, m.put(&pending{}), "taken is not decided")
	m.decided(1)
	require.Nil(t, m.put(&pending{}))
	m.close()
	m.decided(1)
	require.Equal(t, errStopping, m.put(&pending{}))
}
