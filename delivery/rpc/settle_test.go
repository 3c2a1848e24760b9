package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/rpc"
	"parley/domain"
)

// A node is asked about the device that is meant, byte by byte, and its failure reaches who asks.
func TestSettle(t *testing.T) {
	device := rpc.Device{App: "org#app", User: "al\xffice", Incarnation: 3, Resource: "webim_\x01"}
	var asked []rpc.Device
	answer := error(nil)
	var b *node
	a := start("a", func(domain.NodeName) string { return b.addr }, rpc.DefaultSettings(), nil)
	defer a.stop()
	b = start("b", nil, rpc.DefaultSettings(), nil, func(c *rpc.Config) {
		c.Settle = func(_ context.Context, d rpc.Device) error { asked = append(asked, d); return answer }
	})
	defer b.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, a.links.Settle(ctx, "b", device))
	answer = context.DeadlineExceeded
	require.ErrorContains(t, a.links.Settle(ctx, "b", device), "node b")
	require.Equal(t, []rpc.Device{device, device}, asked)
}
