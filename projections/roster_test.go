package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/ingest/shard"
	"parley/projections"
	"parley/projections/feed"
	"parley/projections/logtest"
	"parley/projections/queries"
	"parley/projections/runner"
	"parley/storage/pebble"
)

// hall is one partition as a node runs it: the shard that decides, the log, the feed, and the read models behind it.
type hall struct {
	t      *testing.T
	shard  *shard.Shard
	feed   *feed.Feed
	runner *runner.Runner
	q      *queries.Queries
	reg    *prometheus.Registry
	log    *pebble.Log
	stop   func()
}

func (h *house) hall(t *testing.T, p domain.Partition) *hall {
	t.Helper()
	c := &hall{t: t, reg: prometheus.NewRegistry(), log: h.log}
	c.feed = feed.New(p, h.log, feed.DefaultSettings(), feed.NewMetrics(c.reg))
	rules := conversation.NewGroupRules(message.DefaultLimits)
	var err error
	c.shard, err = shard.New(shard.Config{
		Partition: p, Node: "n", Log: h.log, Store: h.store, Feed: c.feed, Metrics: c.reg,
		Rules: func(k domain.Kind) domain.Rules {
			if k == domain.KindGroup {
				return rules
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.runner, err = runner.New(ctx, h.store, projections.Kinds(), runner.DefaultSettings(), runner.NewMetrics(c.reg), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c.q = queries.New(h.store, c.feed, c.runner)
	ended := make(chan error, 2)
	go func() { ended <- c.shard.Run(ctx) }()
	go func() { ended <- c.runner.Run(ctx, c.feed) }()
	c.stop = func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil && ctx.Err() == nil {
				t.Errorf("run: %v", err)
			}
		}
	}
	for deadline := time.Now().Add(20 * time.Second); c.shard.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the shard does not serve")
		}
	}
	return c
}

// do decides a command and waits until it is in the log.
func (c *hall) do(stream domain.StreamID, cmd domain.Command) domain.Result {
	c.t.Helper()
	answer := make(chan domain.Result, 1)
	c.shard.Submit(domain.Request{Stream: stream, Command: cmd, Done: func(r domain.Result) { answer <- r }})
	r := <-answer
	if r.Err != nil {
		c.t.Fatalf("%s: %v", cmd.CommandName(), r.Err)
	}
	return r
}

// shown waits until the read models have it.
func (c *hall) shown(r domain.Result) {
	c.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); c.runner.Wait(c.t.Context(), c.feed.Partition(), r.Position.Index) != nil; {
		if time.Now().After(deadline) {
			c.t.Fatal("the read models are late")
		}
	}
}

// gauge sums a metric over its labels.
func (c *hall) gauge(name string) (sum float64) {
	c.t.Helper()
	all, err := c.reg.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}

func (c *hall) logBytes(from domain.Offset) (bytes int, next domain.Offset) {
	c.t.Helper()
	_, end, err := c.log.Bounds(c.t.Context(), c.feed.Partition())
	if err != nil {
		c.t.Fatal(err)
	}
	for next = from; next < end; {
		records, err := c.log.Read(c.t.Context(), c.feed.Partition(), next, 1<<20, 0)
		if err != nil || len(records) == 0 {
			c.t.Fatalf("read the log at %d: %v", next, err)
		}
		for _, r := range records {
			bytes += len(r.Value)
			next = r.Offset + 1
		}
	}
	return bytes, next
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestAGroupOf100000 makes a group as an import does, 1,000 members a command, through shard, log and read models. A message to it afterwards
// must cost what a message to a small group costs: nothing is read or written for each member.
func TestAGroupOf100000(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN with -short: 100,000 members take some seconds")
	}
	h := open(t)
	size := 100_000
	if raced { // the race detector makes it ten times slower
		size = 20_000
	}
	stream := domain.GroupStream(logtest.App, "9")
	app := conversation.Actor{App: true}
	before := heap()
	c := h.hall(t, 3)
	c.do(stream, conversation.CreateGroup{
		By: app, Owner: conversation.Person{User: "owner", Incarnation: 1}, Settings: conversation.GroupSettings{Name: "all", MaxUsers: uint32(size + 1)},
	})
	begin := time.Now()
	var last domain.Result
	for i := 0; i < size; i += conversation.MaxBulk {
		users := make([]conversation.Person, conversation.MaxBulk)
		for j := range users {
			users[j] = conversation.Person{User: name(i + j), Incarnation: 1}
		}
		last = c.do(stream, conversation.AddMembers{By: app, Users: users, History: true})
	}
	acknowledged := time.Since(begin)
	c.shown(last)
	bytes, end := c.logBytes(0)
	t.Logf("%d members: acknowledged in %s, read models %s; %d B of log (%.1f a member), %.0f rows in the shard, heap +%d MB",
		size, acknowledged, time.Since(begin), bytes, float64(bytes)/float64(size), c.gauge("parley_shard_rows"), (heap()-before)>>20)
	if rows := c.gauge("parley_shard_rows"); rows > 200_000 {
		t.Errorf("%.0f rows in memory", rows)
	}

	const messages = 200
	writes, flushed := c.gauge("parley_runner_writes_total"), c.gauge("parley_shard_rows_flushed_total")
	acks, shows := make([]time.Duration, messages), make([]time.Duration, messages)
	for i := range messages {
		begin := time.Now()
		r := c.do(stream, groupText(i))
		acks[i] = time.Since(begin)
		c.shown(r)
		shows[i] = time.Since(begin)
	}
	bytes, _ = c.logBytes(end)
	perMessage := (c.gauge("parley_runner_writes_total") - writes) / messages
	t.Logf("a message: acknowledged p50 %s p99 %s, read models p50 %s p99 %s; %d B of log, %.1f writes of read models, %.1f rows of the shard",
		at(acks, 50), at(acks, 99), at(shows, 50), at(shows, 99), bytes/messages, perMessage,
		(c.gauge("parley_shard_rows_flushed_total")-flushed)/messages)
	if perMessage > 20 {
		t.Errorf("%.1f writes a message", perMessage)
	}
	c.stop()

	// A node that starts has nothing in memory: one member's row is loaded alone.
	c = h.hall(t, 3)
	defer c.stop()
	begin = time.Now()
	rows, err := c.shard.Rows(t.Context(), stream, []domain.PartID{conversation.MemberPart(name(size / 2))})
	if m, ok := rows[0].(*conversation.Member); err != nil || !ok || m.User != name(size/2) || m.Until != 0 {
		t.Fatalf("a member's row: %v, %v", rows, err)
	}
	t.Logf("a member's row, cold: %s, %.0f rows in the shard then", time.Since(begin), c.gauge("parley_shard_rows"))
	if n := c.gauge("parley_shard_rows"); n > 10 {
		t.Errorf("%.0f rows in memory after one was read", n)
	}
	begin = time.Now()
	if m, ok, err := c.q.Member(t.Context(), stream, name(size/2)); err != nil || !ok || m.Until != 0 {
		t.Fatalf("a member in the read model: %+v, %v", m, err)
	}
	t.Logf("a member in the read model: %s", time.Since(begin))
	begin = time.Now()
	page, next, err := c.q.Members(t.Context(), stream, "", 0, 50)
	if err != nil || len(page) != 50 || next == "" {
		t.Fatalf("a page: %d, %v", len(page), err)
	}
	t.Logf("a page of 50 members: %s", time.Since(begin))
	begin = time.Now()
	all := allByName(t, c.q, stream, queries.MaxNames)
	t.Logf("all %d members by name, as a router asks: %s", len(all), time.Since(begin))
	if len(all) != size+1 {
		t.Errorf("%d members, want %d", len(all), size+1)
	}
}

func groupText(i int) conversation.SendGroupMessage {
	text := fmt.Sprintf("message %d of some length, as people write them", i)
	return conversation.SendGroupMessage{
		Sender:   conversation.Sender{User: name(4321), Incarnation: 1, Resource: "web", ClientID: uint64(i + 1), Hash: 1},
		Envelope: message.Envelope{Kind: message.Text, Size: len(text)}, Body: message.Bytes(text), SyncOwn: true,
	}
}

// at returns a percentile.
func at(all []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)*percent/100]
}
