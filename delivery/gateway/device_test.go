package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"parley/delivery/directory"
	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/schemas/msync"
)

// Two tabs share a resource: both get everything, each at its own pace, and the slow one does not hold the other back.
func TestTwoSocketsOfOneDevice(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice := r.dial("alice", "web")
	slow, quick := r.dial("bob", "web", holdAcks), r.dial("bob", "web")
	flood(alice, "bob", 100)
	quick.wait(100)
	slow.wait(60)
	require.Len(t, r.users.Devices(key(r, "bob")), 1)
	require.Len(t, r.users.Sessions(key(r, "bob")), 2)
	require.NoError(t, slow.Acknowledge(within(t), queueOf(r, "alice"), highest(slow)))
	slow.wait(100)
}

// A tab that dies while the other lives leaves its marks: the next socket starts there, although the other is far ahead. After a log-out,
// or late, it does not; and only one socket does.
func TestMarksOfADeadTab(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(d *device)
		kept time.Duration
		want int
	}{
		{"cut", func(d *device) { require.NoError(d.t, d.Cut()) }, time.Minute, 50},
		{"log-out", (*device).logout, time.Minute, 0},
		{"late", func(d *device) { require.NoError(d.t, d.Cut()); time.Sleep(50 * time.Millisecond) }, 20 * time.Millisecond, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(g *gateway.Config) { g.Settings.MarksKept = c.kept })
			r.register("alice", "bob")
			alice := r.dial("alice", "web")
			dying, living := r.dial("bob", "web", holdAcks), r.dial("bob", "web")
			flood(alice, "bob", 50)
			living.wait(50)
			dying.wait(50)
			require.NoError(t, dying.Sync(within(t), queueOf(r, "alice"))) // it is alive
			c.end(dying)
			eventually(t, func() bool { return len(r.users.Sessions(key(r, "bob"))) == 1 }, func() string { return "not gone" })
			time.Sleep(5 * time.Millisecond) // its end goes on after it left the directory
			next := r.dial("bob", "web")
			next.wait(c.want)
			r.dial("bob", "web").wait(0)
		})
	}
}

// The marks of a dead tab are for the next socket, not for its living sister who reads her state again meanwhile.
func TestMarksOfADeadTabWaitForTheNextSocket(t *testing.T) {
	counting := &countingReads{reads: reads{shared.queries, shared.runner}}
	r := newRig(t, func(c *gateway.Config) { c.Reads = counting })
	r.register("alice", "bob", "carol")
	carol := r.dial("carol", "web")
	alice := r.dial("alice", "web")
	dying, living := r.dial("bob", "web", holdAcks), r.dial("bob", "web")
	flood(alice, "bob", 10)
	living.wait(10)
	dying.wait(10)
	require.NoError(t, dying.Sync(within(t), queueOf(r, "alice"))) // it is alive
	require.NoError(t, dying.Cut())
	eventually(t, func() bool { return len(r.users.Sessions(key(r, "bob"))) == 1 }, func() string { return "not gone" })
	time.Sleep(5 * time.Millisecond)
	// The living one hears of a conversation that she does not know, and reads her state again.
	before, unknown := counting.memberships.Load(), domain.DirectStream(r.app, "bob", "zed")
	parsed, _ := unknown.Parse()
	for _, s := range r.users.Sessions(key(r, "bob")) {
		s.Deliver(&directory.Delivery{Stream: unknown, Parsed: parsed, Event: &domain.Event{Seq: 2, T: 2, Body: conversation.MessageSent{}}})
	}
	eventually(t, func() bool { return counting.memberships.Load() > before+1 }, func() string { return "nothing is read" })
	// The store fails while the next socket logs in: its state is read later, and the marks are still there.
	shared.store.down.Store(true)
	next, err := r.tryDial("bob", "web")
	shared.store.down.Store(false)
	require.NoError(t, err)
	t.Cleanup(func() { next.Cut() })
	next.wait(10)
	carol.send("bob", "new")
	next.wait(11)
	living.wait(11)
}

// countingReads counts how often memberships are read.
type countingReads struct {
	reads
	memberships atomic.Int32
}

func (c *countingReads) Memberships(
	ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation,
) ([]conversation.Membership, error) {
	c.memberships.Add(1)
	return c.reads.Memberships(ctx, app, u, inc)
}

// A connection that its device has given up leaves no marks when it ends after the device came back: otherwise the next log-in would begin
// far back.
func TestAbandonedConnectionLeavesNoMarks(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.UnackedTimeout = 400 * time.Millisecond })
	r.register("alice", "bob")
	alice := r.dial("alice", "web")
	abandoned := r.dial("bob", "web", holdAcks)
	flood(alice, "bob", 5)
	abandoned.wait(5)
	bob := r.dial("bob", "web")
	bob.wait(5)
	flood(alice, "bob", 200)
	bob.wait(205)
	_, reason := abandoned.ended()
	require.Equal(t, "unacked", reason)
	eventually(t, func() bool { return len(r.users.Sessions(key(r, "bob"))) == 1 }, func() string { return "not gone" })
	time.Sleep(5 * time.Millisecond)
	require.NoError(t, bob.Cut())
	r.dial("bob", "web").wait(0)
}

// One device too many on a platform ends the one that logged in first, with the statistics meta that keeps the SDK from coming back.
// Another platform, and another socket of a device that is there, end nobody.
func TestDeviceLimit(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.DevicesPerOS = 2 })
	r.register("alice")
	oldest := r.rawLogin("alice", "one")
	second := r.dial("alice", "two")
	r.dial("alice", "two")
	phone := r.raw()
	phone.write(r.hello("alice", "phone", func(h *msync.Hello) { h.Token, h.OS = r.token("alice"), msync.Provision_OS_ANDROID }))
	require.Equal(t, msync.Status_OK, phone.provision().Code)
	require.Len(t, r.users.Devices(key(r, "alice")), 3)
	w := r.raw()
	w.write(r.hello("alice", "three", func(h *msync.Hello) { h.Token, h.Reason = r.token("alice"), "from the office" }))
	require.Equal(t, msync.Status_OK, w.provision().Code)
	require.Equal(t, "from the office", oldest.kicked(msync.StatisticsBody_USER_LOGIN_ANOTHER_DEVICE))
	_, reason := oldest.closed()
	require.Equal(t, "kicked", reason)
	require.NoError(t, second.Sync(within(t), queueOf(r, "bob")))
	require.Len(t, r.users.Devices(key(r, "alice")), 3)
}

// kicked reads the statistics meta of a kick and returns its text.
func (w *raw) kicked(want msync.StatisticsBody_Operation) string {
	w.t.Helper()
	p := w.page()
	require.True(w.t, p.HasQueue && p.IsLast)
	require.Len(w.t, p.Metas, 1)
	m, err := msync.DecodeMeta(p.Metas[0])
	require.NoError(w.t, err)
	require.Equal(w.t, msync.Meta_STATISTIC, m.NS)
	require.NotEmpty(w.t, m.From.Name)
	var body msync.StatisticsBody
	require.NoError(w.t, proto.Unmarshal(m.Payload, &body))
	require.Equal(w.t, want, body.GetOperation())
	return body.GetReason()
}

// A new password and a deletion end every session of the account, and say why. What a kicked client still sends counts no more.
func TestKicks(t *testing.T) {
	for _, c := range []struct {
		name    string
		command domain.Command
		want    msync.StatisticsBody_Operation
	}{
		{"password change", user.SetPassword{Password: []byte("new")}, msync.StatisticsBody_USER_KICKED_BY_CHANGE_PASSWORD},
		{"deletion", user.Delete{}, msync.StatisticsBody_USER_REMOVED},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.register("alice", "bob")
			web, phone, bob := r.rawLogin("alice", "web"), r.rawLogin("alice", "phone"), r.dial("bob", "web")
			r.submit(domain.UserStream(r.app, "alice"), c.command)
			eventually(t, func() bool { return r.metric("parley_gateway_closes_total", "kicked") == 2 }, func() string { return "not kicked" })
			send := msync.AppendSend(nil, &msync.Outgoing{ID: 1, AppKey: string(r.app), To: "bob", NS: msync.Meta_CHAT, Payload: text("alice", "bob", "late")})
			_ = web.conn.Write(within(t), websocket.MessageBinary, send) // the socket may be closed already
			for _, w := range []*raw{web, phone} {
				w.kicked(c.want)
				_, reason := w.closed()
				require.Equal(t, "kicked", reason)
			}
			eventually(t, func() bool { return r.gateway.Sessions() == 1 }, func() string { return "sessions stay" })
			bob.wait(0)
		})
	}
}

// A stop closes every socket with its reason, within the time for it, and what was acknowledged is not shown again by the next process.
func TestDrain(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice, bob := r.dial("alice", "web"), r.dial("bob", "web")
	late := r.raw() // not logged in
	flood(alice, "bob", 20)
	bob.wait(20)
	begin := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { late.closed() })
	r.stop()
	require.Less(t, time.Since(begin), 4*time.Second)
	wg.Wait()
	for _, d := range []*device{alice, bob} {
		code, reason := d.ended()
		require.Equal(t, "drain", reason)
		require.Equal(t, websocket.StatusServiceRestart, code)
	}
	require.Equal(t, 3.0, r.metric("parley_gateway_closes_total", "drain"))
	require.Zero(t, r.gateway.Sessions())
	answer := httptest.NewRecorder()
	r.gateway.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ws", nil))
	require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	require.NotEmpty(t, answer.Header().Get("Retry-After"))
	r.start()
	defer r.stop()
	bob = r.dial("bob", "web")
	require.Empty(t, bob.listed())
	bob.wait(0)
}

// Clients that read nothing and answer nothing, as those of a machine that sleeps, do not hold a stop for as long as others may take to answer.
func TestDrainOfSilentClients(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	r.rawLogin("alice", "web")
	r.rawLogin("bob", "web")
	begin := time.Now()
	r.stop()
	require.Less(t, time.Since(begin), 4*time.Second)
	require.Zero(t, r.gateway.Sessions())
	require.Equal(t, 2.0, r.metric("parley_gateway_closes_total", "drain"))
}

// Under TLS nobody knows whether a write would wait: everything works the other way round, down to the reason of the close.
func TestUnderTLS(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	r.stop()
	r.tls = true
	r.start()
	trust := func(o *client.Options) { o.HTTPClient = r.server.Client() }
	alice, bob := r.dial("alice", "web", trust), r.dial("bob", "web", trust)
	want := flood(alice, "bob", 300)
	bob.wait(300)
	require.Equal(t, want, bob.texts())
	r.stop()
	for _, d := range []*device{alice, bob} {
		_, reason := d.ended()
		require.Equal(t, "drain", reason)
	}
}

// A device's row is written when it is new, when what it says changes, and when its process is another or its keys run out. A device that
// only comes back writes nothing, and its keys differ all the same.
func TestComingBackWritesNothing(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	wrote := func(login func()) int64 {
		before := shared.store.devices.Load()
		login()
		return shared.store.devices.Load() - before
	}
	keys := map[uint64]bool{}
	login := func(change ...func(*client.Options)) func() {
		return func() {
			d := r.dial("bob", "web", append(change, holdAcks)...)
			eventually(t, func() bool { return len(d.received()) > 0 }, func() string { return "nothing came" })
			for _, g := range d.received() {
				require.False(t, keys[g.key], "the same is shown again by the same key")
				keys[g.key] = true
			}
			require.NoError(t, d.Cut())
		}
	}
	another := func(o *client.Options) { o.DeviceUUID = "another" }
	r.dial("alice", "web").send("bob", "to be shown again and again")
	require.Equal(t, int64(2), wrote(login()), "a new device")
	for range 3 {
		require.Zero(t, wrote(login()))
	}
	require.Equal(t, int64(1), wrote(login(another)), "another browser")
	r.stop()
	r.start()
	require.Equal(t, int64(1), wrote(login(another)), "another process")
	require.Zero(t, wrote(login(another)))
}
