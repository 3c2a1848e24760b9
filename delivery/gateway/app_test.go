package gateway_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/domain"
)

// mortalApps are apps that the test may delete.
type mortalApps struct {
	gateway.Apps
	gone atomic.Bool
}

func (a *mortalApps) AppExists(id domain.AppID) bool { return !a.gone.Load() && a.Apps.AppExists(id) }

// The sessions of an app end with it; the handshake of whoever comes back is refused.
func TestAppDeleted(t *testing.T) {
	deleted := new(mortalApps)
	r := newRig(t, func(c *gateway.Config) {
		deleted.Apps = c.Apps
		c.Apps, c.Settings.UnackedTimeout = deleted, 300*time.Millisecond
	})
	r.register("alice", "bob")
	alice, bob := r.dial("alice", "web"), r.dial("bob", "web")
	alice.send("bob", "hello")
	bob.wait(1)
	deleted.gone.Store(true)
	for _, d := range []*device{alice, bob} {
		_, reason := d.ended()
		require.Equal(t, "app_deleted", reason)
	}
}
