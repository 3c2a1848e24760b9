package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/delivery/gateway"
	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// flood sends n numbered texts and returns them.
func flood(d *device, to string, n int) (texts []string) {
	d.t.Helper()
	answers := make(chan error, n)
	for i := range n {
		texts = append(texts, fmt.Sprintf("%s %d", d.user, i))
		for {
			_, err := d.SendAsync(within(d.t), msync.Outgoing{To: to, NS: msync.Meta_CHAT, Payload: must(client.TextBody(d.user, to, texts[i], nil))},
				func(a client.Ack, err error) {
					if err == nil && a.Code != msync.Status_OK {
						err = fmt.Errorf("refused: %s", a.Reason)
					}
					answers <- err
				})
			if err == nil {
				break
			}
			require.ErrorIs(d.t, err, client.ErrPending)
			time.Sleep(time.Millisecond)
		}
	}
	for range n {
		require.NoError(d.t, <-answers)
	}
	return texts
}

func TestLiveDelivery(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice, bob := r.dial("alice", "web"), r.dial("bob", "web")
	ack := alice.send("bob", "你好 👋")
	got := bob.wait(1)[0]
	require.Equal(t, ack.ServerID, got.id)
	require.Equal(t, "alice", got.from)
	require.Equal(t, "你好 👋", got.text)
	require.Equal(t, queueOf(r, "alice"), got.queue)
	bob.send("alice", "hello")
	alice.wait(1)
	require.Equal(t, []string{"hello"}, alice.texts())
	require.Equal(t, 2.0, r.metric("parley_gateway_delivered_total", "live"))
}

// To oneself: the other devices see it, the sending one does not.
func TestMessageToOneself(t *testing.T) {
	r := newRig(t)
	r.register("alice")
	web, phone := r.dial("alice", "web"), r.dial("alice", "phone")
	web.send("alice", "note")
	require.Equal(t, "alice", phone.wait(1)[0].from)
	web.wait(0)
}

// 400 messages while offline: UNREAD names the queue, the pull brings all in order and once, in pages of the window at most, and the
// first sync ends with an empty last page.
func TestOfflineMessagesComeInPages(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	want := flood(r.dial("alice", "web"), "bob", 400)
	r.settled()
	bob := r.dial("bob", "web")
	require.Equal(t, []msync.UnreadQueue{{Queue: queueOf(r, "alice"), N: 400}}, bob.listed())
	bob.wait(400)
	require.Equal(t, want, bob.texts())
	require.GreaterOrEqual(t, bob.Counters().Pages, uint64(400/60))
	require.NoError(t, bob.Sync(within(t), queueOf(r, "alice")))
	require.NoError(t, bob.Close())
	again := r.dial("bob", "web")
	require.Empty(t, again.listed(), "acknowledged")
	again.wait(0)
}

// A pull is answered whatever it names and whether there is anything, by an empty last page.
func TestEveryPullIsAnswered(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice, bob := r.dial("alice", "web"), r.dial("bob", "web")
	alice.send("bob", "hello")
	bob.wait(1)
	for _, q := range []msync.Queue{
		queueOf(r, "alice"), queueOf(r, "nobody"), queueOf(r, "bob"), queueOf(r, ""),
		{AppKey: string(r.app), Name: "g1", Domain: msync.GroupDomain},
	} {
		t.Run("queue "+q.Name+"@"+q.Domain, func(t *testing.T) {
			require.NoError(t, bob.Sync(within(t), q))
		})
	}
	bob.wait(1)
}

// UNREAD lists queues once, the most that the setting allows; the others come without being asked for. Later ones are answered at once
// and empty.
func TestUnreadListsSomeAndPushesTheRest(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.MaxListed = 3 })
	r.register("bob")
	const peers = 8
	for i := range peers {
		name := fmt.Sprintf("peer%d", i)
		r.register(name)
		r.dial(name, "web").send("bob", "from "+name)
	}
	r.settled()
	bob := r.dial("bob", "web")
	require.Len(t, bob.listed(), 3)
	bob.wait(peers)
	require.NoError(t, bob.Heartbeat(within(t)))
	alice := r.dial("peer0", "web")
	alice.send("bob", "more")
	bob.wait(peers + 1)
	require.Len(t, bob.listed(), 3, "listed again")
}

// 120 peers: at most 100 queues are named by default, and all is delivered.
func TestUnreadListsAtMostAHundred(t *testing.T) {
	r := newRig(t)
	r.register("bob")
	const peers = 120
	for i := range peers {
		name := fmt.Sprintf("peer%d", i)
		r.register(name)
		d := r.dial(name, "web")
		d.send("bob", "from "+name)
		require.NoError(t, d.Cut())
	}
	r.settled()
	bob := r.dial("bob", "web")
	require.Len(t, bob.listed(), 100)
	bob.wait(peers)
}

// A listed queue that its client never pulls does not keep anything back for ever: after a while its entries come unasked.
func TestListedQueueThatIsNeverPulled(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.UnackedTimeout = 300 * time.Millisecond })
	r.register("alice", "bob", "carol")
	r.dial("alice", "web").send("bob", "listed")
	r.settled()
	w := r.rawLogin("bob", "web") // and never asks for UNREAD
	r.dial("carol", "web").send("bob", "live")
	seen := map[string]bool{}
	for len(seen) < 2 {
		p := w.page()
		if len(p.Metas) == 0 {
			continue
		}
		q := p.Queue.Queue()
		seen[q.Name] = true
		w.write(msync.AppendSync(nil, &q, p.NextKey))
	}
	require.True(t, seen["alice"] && seen["carol"])
}

// No two frames of a device have the same key, not over reconnects either; within a queue each is above all of earlier seqs.
func TestKeysDiffer(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice := r.dial("alice", "web")
	alice.send("bob", "first")
	r.settled()
	seen := map[uint64]bool{}
	for range 6 {
		bob := r.dial("bob", "web", holdAcks)
		g := bob.wait(1)[0]
		require.False(t, seen[g.key], "the client would take the page for the end")
		require.Equal(t, uint64(1), g.key>>16)
		seen[g.key] = true
		require.NoError(t, bob.Cut())
	}
	bob := r.dial("bob", "web")
	flood(alice, "bob", 300)
	for _, g := range bob.wait(301) {
		seen[g.key] = true
	}
	require.Equal(t, uint64(301), highest(bob)>>16)
}

func highest(d *device) (key uint64) {
	for _, g := range d.received() {
		key = max(key, g.key)
	}
	return key
}

// At most the window is unacknowledged, over all queues: clients forget what they have shown after about 100.
func TestWindowOverAllQueues(t *testing.T) {
	r := newRig(t)
	r.register("bob", "a", "b", "c")
	var senders []*device
	for _, name := range []string{"a", "b", "c"} {
		d := r.dial(name, "web")
		senders = append(senders, d)
		flood(d, "bob", 40)
	}
	r.settled()
	bob := r.dial("bob", "web", holdAcks)
	eventually(t, func() bool { return len(bob.received()) >= 60 }, func() string { return fmt.Sprint(len(bob.received()), " received") })
	for _, d := range senders {
		flood(d, "bob", 20) // live ones do not go past it
	}
	time.Sleep(50 * time.Millisecond)
	require.Len(t, bob.received(), 60)
	for acked := 0; acked < 180; {
		got := bob.settledAt(acked)
		require.LessOrEqual(t, len(got)-acked, 60)
		last := map[string]uint64{}
		for _, g := range got {
			last[g.queue.Name] = max(last[g.queue.Name], g.key)
		}
		for name, key := range last {
			require.NoError(t, bob.Acknowledge(within(t), queueOf(r, name), key))
		}
		acked = len(got)
	}
	bob.wait(180)
}

// settledAt waits for more than n entries, and until the page that is being taken is whole: its key is that of its last entry.
func (d *device) settledAt(n int) (got []got) {
	d.t.Helper()
	eventually(d.t, func() bool {
		before := len(got)
		got = d.received()
		return len(got) > n && len(got) == before
	}, func() string { return fmt.Sprint("stuck at ", n) })
	return got
}

// While pages are read for one queue, others that go live do not fill the window a second time.
func TestWindowHoldsWhilePagesAreRead(t *testing.T) {
	slow := &slowReads{reads: reads{shared.queries, shared.runner}, delay: 50 * time.Millisecond}
	r := newRig(t, func(c *gateway.Config) { c.Reads = slow })
	r.register("alice", "bob", "carol")
	alice, carol := r.dial("alice", "web"), r.dial("carol", "web")
	flood(alice, "bob", 60)
	r.settled()
	bob := r.dial("bob", "web", holdAcks)
	eventually(t, func() bool { return slow.reading.Load() > 0 }, func() string { return "no page is read" })
	flood(carol, "bob", 40)
	time.Sleep(200 * time.Millisecond)
	require.Len(t, bob.received(), 60)
}

// slowReads reads pages slowly.
type slowReads struct {
	reads
	delay   time.Duration
	reading atomic.Int32
}

func (s *slowReads) Entries(ctx context.Context, stream domain.StreamID, from, to domain.Seq, limit, size int) ([]domain.Event, error) {
	s.reading.Add(1)
	time.Sleep(s.delay)
	return s.reads.Entries(ctx, stream, from, to, limit, size)
}

// Something shown and not acknowledged for long ends the socket with its reason; what was not acknowledged comes again.
func TestUnacknowledgedCloses(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) { c.Settings.UnackedTimeout = 300 * time.Millisecond })
	r.register("alice", "bob")
	idle := r.dial("bob", "idle") // nothing was shown: nothing is overdue
	bob := r.dial("bob", "web", holdAcks)
	idle.logout()
	idle = r.dial("alice", "idle")
	r.dial("alice", "web").send("bob", "hello")
	_, reason := bob.ended()
	require.Equal(t, "unacked", reason)
	require.NoError(t, idle.Sync(within(t), queueOf(r, "bob")))
	bob = r.dial("bob", "web")
	bob.wait(1)
}

// A reconnect brings again what was not acknowledged, and nothing newer before that, in no queue.
func TestReconnectServesTheOldFirst(t *testing.T) {
	slow := &slowReads{reads: reads{shared.queries, shared.runner}, delay: 20 * time.Millisecond}
	r := newRig(t, func(c *gateway.Config) { c.Reads = slow })
	r.register("bob", "0", "a", "b", "z")
	senders := map[string]*device{}
	for _, name := range []string{"0", "a", "b"} { // what is new only comes first by name
		senders[name] = r.dial(name, "web")
	}
	bob := r.dial("bob", "web", holdAcks)
	flood(senders["a"], "bob", 15)
	flood(senders["b"], "bob", 15)
	bob.wait(30)
	// 5 of a are acknowledged
	var key uint64
	for _, g := range bob.received() {
		if g.queue.Name == "a" && g.key>>16 == 5 {
			key = g.key
		}
	}
	require.NotZero(t, key)
	require.NoError(t, bob.Acknowledge(within(t), queueOf(r, "a"), key))
	require.NoError(t, bob.Sync(within(t), queueOf(r, "a"))) // it has been taken
	require.NoError(t, bob.Cut())
	for _, d := range senders {
		flood(d, "bob", 10)
	}
	z := r.dial("z", "web")
	r.settled()
	again := r.dial("bob", "web")
	z.send("bob", "live, while the first page is read")
	got := again.wait(10 + 15 + 30 + 1)
	old := map[uint64]bool{}
	for _, g := range bob.received() {
		old[g.id] = true
	}
	for i, g := range got {
		require.Equal(t, i < 25, old[g.id], "entry %d (%s)", i, g.text)
	}
}

// While the first sync goes on the SDK waits for an answer to every key it sends, that of a push included.
func TestKeyDuringTheFirstSyncIsAnswered(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob", "carol")
	r.dial("alice", "web").send("bob", "listed")
	r.settled()
	w := r.rawLogin("bob", "web")
	w.write(msync.AppendUnreadRequest(nil)) // lists alice's queue, which is not pulled yet
	r.dial("carol", "web").send("bob", "live")
	p := w.page()
	require.Len(t, p.Metas, 1)
	q := p.Queue.Queue()
	require.Equal(t, "carol", q.Name)
	w.write(msync.AppendSync(nil, &q, p.NextKey))
	p = w.page()
	require.Empty(t, p.Metas)
	require.True(t, p.IsLast)
	require.Equal(t, q, p.Queue.Queue())
}

// An entry that comes live out of its turn is not shown: the queue is behind, and pages bring it up in order.
func TestGapIsRepairedByPages(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice, bob := r.dial("alice", "web"), r.dial("bob", "web")
	alice.send("bob", "1")
	bob.wait(1)
	stream := domain.DirectStream(r.app, "alice", "bob")
	parsed, _ := stream.Parse()
	for _, s := range r.users.Sessions(key(r, "bob")) {
		s.Deliver(directory.NewDelivery(stream, parsed, &domain.Event{
			Seq: 3, T: 3, Body: conversation.MessageSent{From: "alice", To: "bob"},
		}, []byte{8, 1}))
	}
	bob.wait(1)
	alice.send("bob", "2")
	alice.send("bob", "3")
	alice.send("bob", "4")
	bob.wait(4)
	require.Equal(t, []string{"1", "2", "3", "4"}, bob.texts())
	require.NotZero(t, r.metric("parley_gateway_behind_total", "gap"))
}

// A message to user/resource is seen by that device alone, and no other waits for it.
func TestMessageToOneDevice(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice, web, phone := r.dial("alice", "web"), r.dial("bob", "web"), r.dial("bob", "phone")
	a, err := alice.SendMeta(within(t), msync.Outgoing{To: "bob", ToResource: "phone", NS: msync.Meta_CHAT, Payload: must(client.TextBody("alice", "bob", "psst", nil))})
	require.NoError(t, err)
	require.Equal(t, msync.Status_OK, a.Code)
	require.Equal(t, "phone", phone.wait(1)[0].to)
	web.wait(0)
	alice.send("bob", "all")
	web.wait(1)
	phone.wait(2)
}

// What one device sends, the user's other devices see in the peer's queue, live and after having been away; the sending one never does.
func TestCopiesToOwnDevices(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	phone := r.dial("alice", "phone")
	require.NoError(t, phone.Close())
	web, pad := r.dial("alice", "web"), r.dial("alice", "pad")
	web.send("bob", "hello")
	g := pad.wait(1)[0]
	require.Equal(t, "alice", g.from)
	require.Equal(t, queueOf(r, "bob"), g.queue)
	r.settled()
	phone = r.dial("alice", "phone")
	phone.wait(1)
	web.wait(0)
	require.NoError(t, web.Cut())
	web = r.dial("alice", "web")
	require.Empty(t, web.listed())
	web.wait(0)
}

// Delivery and read receipts reach the other user; that of a conversation reaches the reader's other devices too.
func TestReceipts(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice, bob, pad := r.dial("alice", "web"), r.dial("bob", "web"), r.dial("bob", "pad")
	id := alice.send("bob", "hello").ServerID
	bob.wait(1)
	pad.wait(1)
	for _, send := range []func() (client.Ack, error){
		func() (client.Ack, error) { return bob.MarkDelivered(within(t), "alice", id) },
		func() (client.Ack, error) { return bob.MarkRead(within(t), "alice", id) },
		func() (client.Ack, error) { return bob.ReadConversation(within(t), "alice") },
	} {
		a, err := send()
		require.NoError(t, err)
		require.Equal(t, msync.Status_OK, a.Code, a.Reason)
	}
	got := alice.wait(3)
	require.Equal(t, []msync.MessageBody_Type{msync.MessageBody_DELIVER_ACK, msync.MessageBody_READ_ACK, msync.MessageBody_CHANNEL_ACK},
		[]msync.MessageBody_Type{got[0].kind, got[1].kind, got[2].kind})
	require.Equal(t, id, got[0].ack)
	require.Equal(t, id, got[1].ack)
	require.Equal(t, msync.MessageBody_CHANNEL_ACK, pad.wait(2)[1].kind)
	bob.wait(1)
	// Who was away gets them too.
	require.NoError(t, alice.Close())
	bob.send("alice", "back")
	alice = r.dial("alice", "web")
	alice.wait(1)
}

// An online-only message is shown to who is there, acknowledged, and kept for nobody; its receipts go the same way.
func TestOnlineOnly(t *testing.T) {
	r := newRig(t)
	r.register("alice", "bob")
	alice, bob := r.dial("alice", "web"), r.dial("bob", "web")
	send := func(text string) client.Ack {
		a, err := alice.SendMeta(within(t), msync.Outgoing{
			To: "bob", NS: msync.Meta_CHAT, RouteType: msync.Meta_ROUTE_ONLINE, Payload: must(client.TextBody("alice", "bob", text, nil)),
		})
		require.NoError(t, err)
		require.Equal(t, msync.Status_OK, a.Code)
		require.NotZero(t, a.ServerID)
		return a
	}
	alice.send("bob", "kept")
	bob.wait(1)
	a := send("now")
	require.Equal(t, a.ServerID, bob.wait(2)[1].id)
	rec, err := bob.MarkRead(within(t), "alice", a.ServerID)
	require.NoError(t, err)
	require.Equal(t, msync.Status_OK, rec.Code)
	require.Equal(t, a.ServerID, alice.wait(1)[0].ack)
	require.NoError(t, bob.Close())
	send("never")
	alice.send("bob", "later")
	r.settled()
	bob = r.dial("bob", "web")
	bob.wait(1)
	require.Equal(t, []string{"later"}, bob.texts())
}

// A client that does not read is closed with a name; its user's other devices and the senders do not wait for it.
func TestSlowConsumer(t *testing.T) {
	r := newRig(t, func(c *gateway.Config) {
		c.Settings.MaxOutbound, c.Settings.StallTimeout = 1<<20, 200*time.Millisecond
	})
	r.register("alice", "bob")
	block := make(chan struct{})
	r.dial("bob", "slow", func(o *client.Options) { o.OnMeta = func(client.Delivery) { <-block } })
	defer close(block)
	bob := r.dial("bob", "web")
	alice := r.dial("alice", "web")
	sent := 0
	eventually(t, func() bool {
		answers := make(chan error, 50)
		for range cap(answers) {
			sent++
			_, err := alice.SendAsync(within(t), msync.Outgoing{ // not held back by the window
				To: "bob", NS: msync.Meta_CHAT, RouteType: msync.Meta_ROUTE_ONLINE, Payload: text("alice", "bob", long),
			}, func(_ client.Ack, err error) { answers <- err })
			require.NoError(t, err)
		}
		for range cap(answers) {
			require.NoError(t, <-answers)
		}
		return r.metric("parley_gateway_closes_total", "slow_consumer") == 1
	}, func() string { return fmt.Sprint("not closed after ", sent) })
	bob.wait(sent)
}

var long = strings.Repeat("x", 4000)
