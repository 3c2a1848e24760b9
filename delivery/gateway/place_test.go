package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/domain"
	"parley/domain/user"
	"parley/schemas/msync"
)

// A log-in delivers the last entries of a conversation; what is before is history.
func TestCapOfEntries(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.Cap = 10 })
	r.register("alice", "bob")
	want := flood(r.dial("alice", "web"), "bob", 50)
	r.settled()
	bob := r.dial("bob", "web")
	bob.wait(10)
	require.Equal(t, want[40:], bob.texts())
}

// A conversation in which nothing has happened for long is history.
func TestCapOfAge(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.CapAge = 100 * time.Millisecond })
	r.register("alice", "bob", "carol")
	flood(r.dial("alice", "web"), "bob", 5)
	time.Sleep(150 * time.Millisecond)
	r.dial("carol", "web").send("bob", "new")
	r.settled()
	bob := r.dial("bob", "web")
	bob.wait(1)
	require.Equal(t, []string{"new"}, bob.texts())
}

// A user's first device gets all there is. A later one gets what is not read yet, and of what is read nothing.
func TestNewDevices(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob", "carol")
	alice, carol := r.dial("alice", "web"), r.dial("carol", "web")
	flood(alice, "bob", 5)
	flood(carol, "bob", 5)
	r.settled()
	first := r.dial("bob", "first")
	first.wait(10)
	a, err := first.ReadConversation(within(t), "alice")
	require.NoError(t, err)
	require.Equal(t, msync.Status_OK, a.Code)
	r.settled()
	second := r.dial("bob", "second")
	for _, g := range second.wait(5) {
		require.Equal(t, "carol", g.from)
	}
	alice.send("bob", "later")
	second.wait(6)
	require.NoError(t, second.Cut())
	r.settled()
	r.dial("bob", "second").wait(0)
}

// A name that is registered again inherits nothing: no conversation, no message, no cursor.
func TestNewAccountOfAName(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice, bob := r.dial("alice", "web"), r.dial("bob", "web")
	flood(alice, "bob", 5)
	bob.wait(5)
	r.submit(domain.UserStream(r.app, "bob"), user.Delete{})
	bob.ended()
	r.register("bob")
	r.settled()
	again := r.dial("bob", "web")
	again.wait(0)
	alice.send("bob", "welcome")
	again.wait(1)
	require.Equal(t, []string{"welcome"}, again.texts())
	r.settled()
	r.dial("bob", "pad").wait(1)
}
