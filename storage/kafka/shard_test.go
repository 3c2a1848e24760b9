package kafka

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/message"
	"parley/ingest/shard"
	"parley/storage/pebble"
)

// TestDeposedShard runs two shards on a broker inside the process; TestEngineLog does so on real ones.
func TestDeposedShard(t *testing.T) {
	o := options(cluster(t))
	deposed(t, func() *Log { return openLog(t, o) })
}

// watched is a log that remembers what became of commits.
type watched struct {
	*Log
	mu   sync.Mutex
	sent []error
}

// Append implements shard.Log.
func (w *watched) Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	at, err := w.Log.Append(ctx, p, b)
	if !b.Plain {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = append(w.sent, err)
	}
	return at, err
}

func (w *watched) commits() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]error(nil), w.sent...)
}

type nowhere struct{}

// Publish implements shard.Feed.
func (nowhere) Publish([]domain.Accepted) {}

// deposed lets a node that does not know of it be deposed: the broker refuses its batch, which it sends once and never again. It reads, steps
// down, and keeps the command until its deadline: it has not happened. Nothing of it is in the log.
func deposed(t *testing.T, open func() *Log) {
	t.Helper()
	store, err := pebble.OpenStore(filepath.Join(t.TempDir(), "store"), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { try(t, store.Close()) })
	never := time.Hour
	var moved atomic.Bool
	start := func(name string, set fence.Config, ring func() fence.Ring) (*shard.Shard, *watched) {
		l := &watched{Log: open()}
		s, err := shard.New(shard.Config{
			Partition: 1, Node: name, Log: l, Store: store, Feed: nowhere{}, Ring: ring, Settings: shard.Settings{Fence: set},
			Rules: func(domain.Kind) domain.Rules { return conversation.NewRules(message.DefaultLimits) },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		t.Cleanup(func() { cancel(); try(t, <-done) })
		return s, l
	}
	// The first believes for ever that it is the owner, and does not look.
	old, oldLog := start("old", fence.Config{Settle: never, Follow: never}, func() fence.Ring { return fence.NamedAtOnce })
	heir, heirLog := start("heir", fence.Config{}, func() fence.Ring {
		if moved.Load() {
			return fence.NamedAtOnce
		}
		return fence.NotNamed
	})
	accepted(t, old, 1, 1)
	moved.Store(true)
	accepted(t, heir, 2, 2)

	res := say(t, old, 3)
	if domain.CodeOf(res.Err) != domain.Busy {
		t.Errorf("the deposed node answers %+v", res)
	}
	sent := oldLog.commits()
	if last := sent[len(sent)-1]; len(sent) != 2 || ClassOf(last) != Deposed || !errors.Is(last, domain.ErrRefused) {
		t.Errorf("the deposed node's commits: %v", sent)
	}
	wait(t, func() bool { return old.Ready() != nil })
	accepted(t, heir, 3, 3)
	if got := heirLog.commits(); len(got) != 2 || got[0] != nil || got[1] != nil {
		t.Errorf("the heir's commits: %v", got)
	}
	if _, end, err := heirLog.Bounds(t.Context(), 1); err != nil || end != 5 {
		t.Errorf("the log ends at %d, not behind two claims and three commits: %v", end, err)
	}
}

// accepted sends message id until the shard owns its partition and takes it.
func accepted(t *testing.T, s *shard.Shard, id uint64, want domain.Seq) {
	t.Helper()
	wait(t, func() bool { return s.Ready() == nil })
	if res := say(t, s, id); res.Err != nil || res.Seq != want {
		t.Fatalf("message %d: %+v, want seq %d", id, res, want)
	}
}

func say(t *testing.T, s *shard.Shard, id uint64) domain.Result {
	t.Helper()
	answer := make(chan domain.Result, 1)
	body := []byte("hello")
	s.Submit(domain.Request{
		Stream: domain.DirectStream("demo#chat", "ann", "ben"), Done: func(r domain.Result) { answer <- r },
		Command: conversation.SendMessage{
			Sender:   conversation.Sender{User: "ann", Incarnation: 1, Resource: "web", ClientID: id, Hash: message.Hash(body)},
			To:       conversation.Recipient{User: "ben", Incarnation: 1},
			Envelope: message.Envelope{Kind: message.Text, Size: len(body)},
			Body:     body, SyncOwn: true,
		},
	})
	select {
	case r := <-answer:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		return domain.Result{}
	}
}
