package gateway

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A client that has closed is gone even while what it sent before is not read.
func TestPeerGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	defer server.Close()
	o := newOutbound(server, newFlusher(), 1<<20, time.Second, func(error) {})
	_, err = client.Write([]byte("acknowledged"))
	require.NoError(t, err)
	require.False(t, o.peerGone())
	require.NoError(t, client.Close())
	require.Eventually(t, o.peerGone, 5*time.Second, time.Millisecond)
	unread, err := io.ReadAll(server)
	require.NoError(t, err)
	require.Equal(t, "acknowledged", string(unread))
	require.NoError(t, server.Close())
	require.False(t, o.peerGone(), "of a closed descriptor nothing is known")
}
