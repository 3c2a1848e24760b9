package shard_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/message"
	"parley/domain/user"
	"parley/ingest/shard"
	"parley/schemas/table"
	"parley/storage/pebble"
)

// TestMain keeps the model's test short: it syncs a real disk. -rapid.checks on the command line counts.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const (
	app       = domain.AppID("demo#chat")
	partition = domain.Partition(3)
)

// rules are the real ones.
func rules(k domain.Kind) domain.Rules {
	switch k {
	case domain.KindUser:
		return user.Rules{}
	case domain.KindDirect:
		return conversation.NewRules(message.DefaultLimits)
	default:
		return nil
	}
}

// disk is what survives a shard: a real log and a real store, with wrappers that can fail.
type disk struct {
	dir   string
	log   *pebble.Log
	store *pebble.Store
}

func openDisk(t testing.TB, dir string) *disk {
	t.Helper()
	log, err := pebble.OpenLog(filepath.Join(dir, "log"), pebble.Options{})
	require.NoError(t, err)
	store, err := pebble.OpenStore(filepath.Join(dir, "store"), pebble.Options{})
	require.NoError(t, err)
	return &disk{dir: dir, log: log, store: store}
}

func newDisk(t testing.TB) *disk {
	t.Helper()
	d := openDisk(t, t.TempDir())
	t.Cleanup(func() { d.close(t) })
	return d
}

func (d *disk) close(t testing.TB) {
	t.Helper()
	require.NoError(t, d.log.Close())
	require.NoError(t, d.store.Close())
}

// reopen closes both and opens them again, as a new process would.
func (d *disk) reopen(t testing.TB) {
	t.Helper()
	d.close(t)
	n := openDisk(t, d.dir)
	d.log, d.store = n.log, n.store
}

var errBroken = errors.New("broken for the test")

// faultyLog is the real log with faults in between.
type faultyLog struct {
	shard.Log
	loseAnswers atomic.Int32 // so many appends land and answer with an error
	refuse      atomic.Bool  // appends fail and do not land
	reject      atomic.Int32 // so many appends of commits are refused for good and do not land
	rejectLate  atomic.Bool  // the same, but what was rejected has landed all the same, as an abandoned attempt might
	commits     atomic.Int32 // appends of commits
	delay       atomic.Int64 // of appends
	appends     atomic.Int32
}

func (l *faultyLog) Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	l.appends.Add(1)
	if d := l.delay.Load(); d > 0 {
		select {
		case <-time.After(time.Duration(d)):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if l.refuse.Load() {
		return 0, errBroken
	}
	if !b.Plain {
		l.commits.Add(1)
		if l.reject.Add(-1) >= 0 {
			return 0, l.rejected(p, b)
		}
	}
	at, err := l.Log.Append(ctx, p, b)
	if err == nil && l.loseAnswers.Add(-1) >= 0 {
		return 0, errBroken
	}
	return at, err
}

func (l *faultyLog) rejected(p domain.Partition, b domain.Batch) error {
	if l.rejectLate.Load() {
		_, _ = l.Log.Append(context.Background(), p, b)
	}
	return fmt.Errorf("out of sequence: %w", domain.ErrRefused)
}

// faultyStore is the real store, failing while broken.
type faultyStore struct {
	shard.Store
	broken atomic.Bool
	gets   atomic.Int32
	writes atomic.Int32
}

func (s *faultyStore) Write(ctx context.Context, w []table.Write) error {
	if s.broken.Load() {
		return errBroken
	}
	s.writes.Add(1)
	return s.Store.Write(ctx, w)
}

func (s *faultyStore) Get(ctx context.Context, t *table.Table, k []table.RowKey) ([]table.Row, error) {
	if s.broken.Load() {
		return nil, errBroken
	}
	s.gets.Add(1)
	return s.Store.Get(ctx, t, k)
}

// recorder is a feed that remembers, and fails the test when a commit comes twice or out of order.
type recorder struct {
	mu      sync.Mutex
	commits []domain.Accepted
	wrong   error
}

func (f *recorder) Publish(batch []domain.Accepted) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range batch {
		if n := len(f.commits); n > 0 && a.Index != f.commits[n-1].Index+1 {
			f.wrong = fmt.Errorf("index %d after %d", a.Index, f.commits[n-1].Index)
		}
		f.commits = append(f.commits, a)
	}
}

func (f *recorder) all(t testing.TB) []domain.Accepted {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NoError(t, f.wrong)
	return append([]domain.Accepted(nil), f.commits...)
}

// rig is a running shard.
type rig struct {
	*shard.Shard
	t      testing.TB
	log    *faultyLog
	store  *faultyStore
	feed   *recorder
	cancel context.CancelFunc
	done   chan error
}

// quick settings make faults pass in milliseconds.
func quick() shard.Settings {
	return shard.Settings{
		FlushEvery: 10 * time.Millisecond,
		RetryAfter: 5 * time.Millisecond,
		Hearing:    20 * time.Millisecond,
		Fence: fence.Config{
			Settle: 50 * time.Millisecond, Follow: 20 * time.Millisecond, Poll: 20 * time.Millisecond,
			BackoffMin: 2 * time.Millisecond, BackoffMax: 20 * time.Millisecond,
		},
	}
}

func start(t testing.TB, d *disk, change func(*shard.Config)) *rig {
	t.Helper()
	r := &rig{
		t: t, log: &faultyLog{Log: d.log}, store: &faultyStore{Store: d.store}, feed: &recorder{}, done: make(chan error, 1),
	}
	cfg := shard.Config{
		Partition: partition, Node: "node-1", Log: r.log, Store: r.store, Feed: r.feed, Rules: rules, Settings: quick(),
	}
	if os.Getenv("PARLEY_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if change != nil {
		change(&cfg)
	}
	s, err := shard.New(cfg)
	require.NoError(t, err)
	r.Shard = s
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() { r.done <- s.Run(ctx) }()
	return r
}

// stop ends the shard in good order.
func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		require.NoError(r.t, err)
	case <-time.After(20 * time.Second):
		require.FailNow(r.t, "the shard does not stop")
	}
}

func (r *rig) ready() {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.Ready() == nil }, 10*time.Second, time.Millisecond)
}

// submit sends a command and returns the answer to come.
func (r *rig) submit(stream domain.StreamID, cmd domain.Command) <-chan domain.Result {
	answers := make(chan domain.Result, 2)
	r.Submit(domain.Request{Stream: stream, Command: cmd, Done: func(res domain.Result) { answers <- res }})
	return answers
}

func (r *rig) do(stream domain.StreamID, cmd domain.Command) domain.Result {
	r.t.Helper()
	return r.wait(r.submit(stream, cmd))
}

func (r *rig) wait(answers <-chan domain.Result) domain.Result {
	r.t.Helper()
	select {
	case res := <-answers:
		return res
	case <-time.After(20 * time.Second):
		require.FailNow(r.t, "no answer")
		return domain.Result{}
	}
}

// ok sends a command that must be accepted, however busy the machine is.
func (r *rig) ok(stream domain.StreamID, cmd domain.Command) domain.Result {
	r.t.Helper()
	answers := make(chan domain.Result, 2)
	began := time.Now()
	r.Submit(domain.Request{
		Stream: stream, Command: cmd, Deadline: began.Add(20 * time.Second), Done: func(res domain.Result) { answers <- res },
	})
	res := r.wait(answers)
	require.NoError(r.t, res.Err)
	if took := time.Since(began); took > time.Second {
		r.t.Logf("an answer took %v", took)
	}
	return res
}

// send makes a text message with a client id.
func send(from, to domain.UserID, id uint64) conversation.SendMessage {
	body := fmt.Appendf(nil, "%s to %s, %d", from, to, id)
	return conversation.SendMessage{
		Sender:   conversation.Sender{User: from, Incarnation: 1, Resource: "web", ClientID: id, Hash: message.Hash(body)},
		To:       conversation.Recipient{User: to, Incarnation: 1},
		Envelope: message.Envelope{Kind: message.Text, Size: len(body)},
		Body:     body,
		SyncOwn:  true,
	}
}

func direct(a, b domain.UserID) domain.StreamID { return domain.DirectStream(app, a, b) }

func (r *rig) head(stream domain.StreamID) domain.Row {
	r.t.Helper()
	rows, err := r.Heads(r.t.Context(), []domain.StreamID{stream})
	require.NoError(r.t, err)
	return rows[0]
}
