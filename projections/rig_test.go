package projections_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/projections"
	"parley/projections/feed"
	"parley/projections/logtest"
	"parley/projections/runner"
	"parley/schemas/table"
	"parley/storage/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type house struct {
	log   *pebble.Log
	store *pebble.Store
	next  domain.Partition
}

func open(t testing.TB) *house {
	t.Helper()
	log, err := pebble.OpenLog(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := pebble.OpenStore(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), store.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &house{log: log, store: store}
}

// world makes a partition of its own, and empties the store.
func (h *house) world(tb logtest.TB) *logtest.World {
	h.next++
	h.drop(tb)
	return logtest.NewWorld(tb, h.log, h.next-1)
}

func (h *house) drop(tb logtest.TB) {
	for _, tb2 := range projections.Tables() {
		if err := h.store.Drop(context.Background(), tb2); err != nil {
			tb.Fatalf("drop: %v", err)
		}
	}
}

// run keeps the read models until stop.
func (h *house) run(tb logtest.TB, w *logtest.World) (r *runner.Runner, f *feed.Feed, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r, err := runner.New(ctx, h.store, projections.Kinds(), runner.DefaultSettings(),
		runner.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatalf("start: %v", err)
	}
	f = feed.New(w.Partition, h.log, feed.DefaultSettings(), feed.NewMetrics(prometheus.NewRegistry()))
	ended := make(chan error, 1)
	go func(r *runner.Runner, f *feed.Feed) { ended <- r.Run(ctx, f) }(r, f)
	return r, f, func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Fatalf("run: %v", err)
		}
	}
}

// settle waits until all read models have passed the world's end.
func settle(tb logtest.TB, r *runner.Runner, w *logtest.World) {
	for range 1000 {
		if r.Wait(context.Background(), w.Partition, w.At().Index) == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	tb.Fatalf("the read models are late")
}

// applied returns every write of every read model for a world, commit by commit.
func applied(tb logtest.TB, w *logtest.World, version int) (out []table.Write) {
	for _, k := range projections.Kinds() {
		p := k.New(version)
		for i := range w.Accepted {
			var err error
			if out, err = p.Apply(out, &w.Accepted[i]); err != nil {
				tb.Fatalf("apply: %v", err)
			}
		}
	}
	return out
}

// dump returns all rows of the partitions that the writes touch, as text.
func (h *house) dump(tb logtest.TB, writes []table.Write) string {
	type partition struct {
		t   *table.Table
		key string
	}
	seen := make(map[partition]bool)
	var all []partition
	for _, w := range writes {
		if p := (partition{w.Table, string(w.Partition)}); !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b partition) int { return strings.Compare(a.t.Name+a.key, b.t.Name+b.key) })
	var out bytes.Buffer
	for _, p := range all {
		rows, err := h.store.Scan(context.Background(), table.Query{Table: p.t, Partition: table.Key(p.key), Limit: 100000})
		if err != nil {
			tb.Fatalf("scan: %v", err)
		}
		for _, row := range rows {
			fmt.Fprintf(&out, "%s %x %x %x\n", p.t.Name, p.key, row.Cluster, row.Cells)
		}
	}
	return out.String()
}

func none(domain.StreamID, domain.Seq, domain.Seq) []domain.Event { return nil }

// fixed says that version 1 is active.
type fixed struct{}

func (fixed) Active(string) int { return 1 }

func (fixed) Positions(string) map[domain.Partition]domain.Index { return nil }

// streams are those of random histories in which most happens.
var streams = []domain.StreamID{
	domain.DirectStream(logtest.App, "ann", "bob"), domain.GroupStream(logtest.App, "101"), domain.GroupStream(logtest.App, "102"),
	domain.RoomStream(logtest.App, "101"), domain.RoomStream(logtest.App, "202"),
}

func scan(t *testing.T, h *house, q table.Query) []table.Row {
	t.Helper()
	rows, err := h.store.Scan(t.Context(), q)
	if err != nil || len(rows) == 0 {
		t.Fatalf("scan: %d rows, %v", len(rows), err)
	}
	return rows
}

// send lets ann send a text: to bob, to a group or room that is made before.
func send(t *testing.T, w *logtest.World, kind domain.Kind, text string) domain.Accepted {
	t.Helper()
	from := conversation.Sender{User: "ann", Incarnation: 1, Resource: "web"}
	envelope := message.Envelope{Kind: message.Text, Size: len(text)}
	var sent domain.Accepted
	var ok bool
	switch kind {
	case domain.KindRoom:
		w.CreateRoom("7", "ann")
		sent, ok = w.Do(domain.RoomStream(logtest.App, "7"), conversation.SendRoomMessage{
			Sender: from, Envelope: envelope, Body: message.Bytes(text), SyncOwn: true,
		})
	case domain.KindGroup:
		stream := domain.GroupStream(logtest.App, "7")
		w.Do(stream, conversation.CreateGroup{
			By: conversation.Actor{App: true}, Owner: w.Person("ann"), Members: []conversation.Person{w.Person("bob")},
			Settings: conversation.GroupSettings{Name: "seven", MaxUsers: 200},
		})
		sent, ok = w.Do(stream, conversation.SendGroupMessage{Sender: from, Envelope: envelope, Body: message.Bytes(text), SyncOwn: true})
	default:
		sent, ok = w.Send("ann", "bob", text)
	}
	if !ok {
		t.Fatal("not sent")
	}
	return sent
}
