package owners_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/ingest/owners"
	"parley/ingest/shard"
)

// stuck is a fleet whose first node waits for the log to take what it appends.
type stuck struct {
	*fleet
	reg  *prometheus.Registry // of the first node
	p    domain.Partition
	next uint64
	open chan struct{} // closed: the log goes on
	held <-chan domain.Result
}

func newStuckShard(t *testing.T, set shard.Settings, with ...func(*owners.Config)) *stuck {
	s := &stuck{open: make(chan struct{})}
	s.fleet = newFleetWith(t, 2, set, with...)
	old := s.nodes[0]
	require.Eventually(t, func() bool { return old.Ready() == nil }, 10*time.Second, time.Millisecond)
	s.p, _ = old.Partition(domain.DirectStream(app, "ann", "ben"))
	require.NoError(t, (<-s.submit(time.Time{})).Err)
	old.slow.Store(&s.open)
	return s
}

// newStuck is newStuckShard while it hands its partition over, and cannot end that.
func newStuck(t *testing.T, set shard.Settings, waiting int) *stuck {
	reg := prometheus.NewRegistry()
	s := newStuckShard(t, set, func(cfg *owners.Config) {
		if cfg.Waiting = waiting; cfg.Node == "n0" {
			cfg.Metrics = reg
		}
	})
	s.reg = reg
	old, heir := s.nodes[0], s.nodes[1]
	s.held = s.submit(time.Now().Add(time.Minute))
	time.Sleep(20 * time.Millisecond) // it is in the log's hands
	old.learn(s.p, heir.name, old.name)
	heir.learn(s.p, heir.name, old.name)
	require.Eventually(t, func() bool { return old.Moving(s.p) }, 10*time.Second, time.Millisecond)
	return s
}

// submit sends the next message of one user through the first node.
func (s *stuck) submit(deadline time.Time) <-chan domain.Result {
	s.next++
	body := fmt.Appendf(nil, "%d", s.next)
	answer := make(chan domain.Result, 2)
	s.nodes[0].Owners.Submit(domain.Request{
		Stream: domain.DirectStream(app, "ann", "ben"), Deadline: deadline,
		Command: conversation.SendMessage{
			Sender:   conversation.Sender{User: "ann", Incarnation: 1, Resource: "web", ClientID: s.next, Hash: message.Hash(body)},
			To:       conversation.Recipient{User: "ben", Incarnation: 1},
			Envelope: message.Envelope{Kind: message.Text, Size: len(body)}, Body: body,
		},
		Done: func(r domain.Result) { answer <- r },
	})
	return answer
}

// value returns what a metric of the first node stands at, of one label where it has one.
func (s *stuck) value(name, label string) float64 {
	families, err := s.reg.Gather()
	require.NoError(s.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	s.t.Fatalf("there is no %s", name)
	return 0
}

// TestWaitingIsBounded lets more commands come for a partition that moves than may wait: those that are too many are refused as busy at once, the others
// happen on the next owner, in order.
func TestWaitingIsBounded(t *testing.T) {
	const most, come = 10, 25
	s := newStuck(t, shard.Settings{}, most)
	var answers []<-chan domain.Result
	for range come {
		answers = append(answers, s.submit(time.Now().Add(time.Minute)))
	}
	for _, a := range answers[most:] {
		select {
		case r := <-a:
			require.Equal(t, domain.Busy, domain.CodeOf(r.Err))
		default:
			t.Fatal("one too many waits")
		}
	}
	require.InDelta(t, come-most, s.value("parley_owners_refused_total", "full"), 0)
	require.Eventually(t, func() bool { return s.value("parley_owners_waiting", "") == most }, 10*time.Second, time.Millisecond)

	close(s.open)
	require.Equal(t, domain.Seq(2), (<-s.held).Seq)
	for i, a := range answers[:most] {
		r := <-a
		require.NoError(t, r.Err)
		require.Equal(t, domain.Seq(3+i), r.Seq)
	}
	require.Eventually(t, func() bool { return s.value("parley_owners_waiting", "") == 0 }, 10*time.Second, time.Millisecond)
	for _, a := range answers {
		require.Empty(t, a, "answered twice")
	}
}

// TestWaitingEnds lets commands reach their deadlines while the partition moves, their own or the default's: they are refused as busy then, and do not happen. Those that have
// time left do.
func TestWaitingEnds(t *testing.T) {
	const patience = 400 * time.Millisecond
	s := newStuck(t, shard.Settings{Deadline: patience}, 0)
	begin := time.Now()
	own, unsaid, late := s.submit(begin.Add(patience/2)), s.submit(time.Time{}), s.submit(begin.Add(time.Minute))
	r := <-own
	require.Equal(t, domain.Busy, domain.CodeOf(r.Err))
	require.GreaterOrEqual(t, time.Since(begin), patience/2)
	r = <-unsaid
	require.Equal(t, domain.Busy, domain.CodeOf(r.Err))
	require.GreaterOrEqual(t, time.Since(begin), patience)
	require.True(t, s.nodes[0].Moving(s.p), "meanwhile")
	require.InDelta(t, 2, s.value("parley_owners_refused_total", "expired"), 0)

	close(s.open)
	require.NoError(t, (<-s.held).Err)
	r = <-late
	require.NoError(t, r.Err)
	require.Equal(t, domain.Seq(3), r.Seq, "what was refused has not happened")
	require.Empty(t, own)
	require.Empty(t, unsaid)
}

func TestWaitingMustNotBeNegative(t *testing.T) {
	f := newFleet(t, 1)
	_, err := owners.New(owners.Config{Node: "x", Control: f.control, Waiting: -1})
	require.ErrorContains(t, err, "waiting is negative")
}
