package lease

import (
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
)

func TestJoinLeave(t *testing.T) {
	l := New(Config{Settings: DefaultSettings()})
	r := domain.RoomStream("o#a", "1")
	count, first, err := l.Join(Join{App: "o#a", User: "bob", Incarnation: 1, Device: "web", Room: r, Owner: "alice", MaxUsers: 1})
	require.NoError(t, err)
	require.True(t, first)
	require.Equal(t, 2, count)
	require.True(t, l.Leave("o#a", "bob", r, "web"))
	require.False(t, l.Viewing(r, "bob"))
}
