package rpc

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
)

// How a cut is noticed of which no packet tells. A server lets its callers hear something every second, by pings on every connection that is
// quiet and by beats on every link; a caller that hears nothing for Silence closes the connection. gRPC's own pings of callers do not do: it
// sends them at most every 10 s.
const (
	Silence = 3 * time.Second
	beat    = time.Second
)

// callerPing is gRPC's least.
const callerPing = 10 * time.Second

// ServerOptions are what a server needs that nodes connect to.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: beat, Timeout: Silence - beat}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: callerPing / 2, PermitWithoutStream: true}),
	}
}

// DialOptions are what a connection to a node needs, besides credentials. The node's server is made with ServerOptions.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithContextDialer(dialHearing),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: callerPing, Timeout: Silence - beat, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: Silence - beat,
		}),
	}
}

// dialHearing dials a connection that fails when nothing is heard for Silence.
func dialHearing(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err //nolint:wrapcheck // gRPC says that it dialled
	}
	return &hearingConn{Conn: conn}, nil
}

// hearingConn is a connection whose reads fail after Silence. One goroutine reads.
type hearingConn struct {
	net.Conn
	armed time.Time
}

// Read reads. The deadline is not moved at every read: that costs.
func (c *hearingConn) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(c.armed) > beat/4 {
		if err := c.SetReadDeadline(now.Add(Silence)); err != nil {
			return 0, err //nolint:wrapcheck // as if it were the connection's
		}
		c.armed = now
	}
	return c.Conn.Read(p) //nolint:wrapcheck // io.EOF must be itself
}
