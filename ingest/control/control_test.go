package control_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"parley/domain"
	"parley/ingest/control"
	"parley/storage/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openLog(t *testing.T, dir string) *pebble.Log {
	t.Helper()
	log, err := pebble.OpenLog(dir, pebble.Options{})
	require.NoError(t, err)
	return log
}

func load(t *testing.T, log control.Log) *control.Control {
	t.Helper()
	c := control.New(log, slog.New(slog.DiscardHandler), time.Now)
	require.NoError(t, c.Load(t.Context()))
	return c
}

func app(id domain.AppID, uuid string) control.App {
	return control.App{ID: id, UUID: uuid, ClientID: "c-" + uuid, SecretHash: control.HashSecret("s-" + uuid)}
}

func TestSlotMapIsFixedByTheFirst(t *testing.T) {
	dir := t.TempDir()
	log := openLog(t, dir)
	c := load(t, log)
	require.Nil(t, c.SlotMap())
	first, err := c.EnsureSlotMap(t.Context(), 16, 4)
	require.NoError(t, err)
	require.Len(t, first.Partitions(), 20)
	require.NoError(t, log.Close())

	log = openLog(t, dir)
	defer func() { require.NoError(t, log.Close()) }()
	c = load(t, log)
	again, err := c.EnsureSlotMap(t.Context(), 64, 16)
	require.NoError(t, err)
	require.Equal(t, first, again)
}

func TestSlotMapPartitions(t *testing.T) {
	m, err := control.NewSlotMap(16, 4)
	require.NoError(t, err)
	for _, tt := range []struct {
		stream domain.StreamID
		rooms  bool
		ok     bool
	}{
		{"demo#chat/u/ann", false, true},
		{"demo#chat/d/ann/ben", false, true},
		{"demo#chat/t/1", false, true},
		{"demo#chat/r/1", true, true},
		{"demo#chat/d/ben/ann", false, false},
		{"", false, false},
	} {
		p, ok := m.Partition(tt.stream)
		require.Equal(t, tt.ok, ok, tt.stream)
		require.Equal(t, tt.rooms, p.IsRooms(), tt.stream)
	}
	for _, n := range [][2]int{{0, 1}, {1, 0}, {2049, 1}, {1, 1025}} {
		_, err := control.NewSlotMap(n[0], n[1])
		require.Error(t, err, n)
	}
}

func TestApps(t *testing.T) {
	dir := t.TempDir()
	log := openLog(t, dir)
	c := load(t, log)
	ctx := t.Context()
	require.NoError(t, c.PutApp(ctx, app("demo#chat", "1")))
	require.NoError(t, c.PutApp(ctx, app("demo#other", "2")))
	require.ErrorIs(t, c.PutApp(ctx, app("demo#chat", "3")), control.ErrAppExists)
	require.Equal(t, domain.BadRequest, domain.CodeOf(c.PutApp(ctx, app("nonsense", "4"))))
	require.Equal(t, domain.BadRequest, domain.CodeOf(c.PutApp(ctx, control.App{ID: "demo#x"})))

	open := app("demo#chat", "1")
	open.OpenRegistration = true
	require.NoError(t, c.PutApp(ctx, open), "the same app may change")
	got, ok := c.App("demo#chat")
	require.True(t, ok)
	require.True(t, got.OpenRegistration)
	require.True(t, got.CheckSecret("s-1"))
	require.False(t, got.CheckSecret("s-2"))
	require.Len(t, got.SecretHash, sha256.Size)

	require.NoError(t, c.DeleteApp(ctx, "demo#other"))
	require.NoError(t, c.DeleteApp(ctx, "demo#other"))
	require.Equal(t, domain.AppNotFound, domain.CodeOf(c.DeleteApp(ctx, "demo#none")))
	require.NoError(t, log.Close())

	log = openLog(t, dir)
	defer func() { require.NoError(t, log.Close()) }()
	c = load(t, log)
	require.Len(t, c.Apps(), 1)
	_, ok = c.App("demo#other")
	require.False(t, ok)
	require.ErrorIs(t, c.PutApp(ctx, app("demo#other", "5")), control.ErrAppDeleted)
}

func TestAnchorsNeverMoveBack(t *testing.T) {
	log := openLog(t, t.TempDir())
	defer func() { require.NoError(t, log.Close()) }()
	c := load(t, log)
	a := control.Anchor{Partition: 5, Offset: 100, Term: 2, Index: 90, Prev: 1<<63 + 1, T: 1<<63 + 5}
	require.NoError(t, c.PutAnchor(t.Context(), a))
	lower := a
	lower.Offset = 99
	require.NoError(t, c.PutAnchor(t.Context(), lower))
	got, ok := load(t, log).Anchor(5)
	require.True(t, ok)
	a.Format = got.Format
	require.Equal(t, a, got)
}

func TestHistoryIsCompacted(t *testing.T) {
	dir := t.TempDir()
	log := openLog(t, dir)
	c := load(t, log)
	_, err := c.EnsureSlotMap(t.Context(), 16, 4)
	require.NoError(t, err)
	require.NoError(t, c.PutApp(t.Context(), app("demo#chat", "1")))
	number, err := c.EnsureNode(t.Context(), "a")
	require.NoError(t, err)
	reset := control.Reset{Partition: 3, At: time.Unix(1_800_000_000, 0).UTC(), End: 10, Index: 8, Beyond: 20, Lost: 9, Goes: 120, Term: 4}
	require.NoError(t, c.PutReset(t.Context(), reset))
	reset.Done = true
	require.NoError(t, c.PutReset(t.Context(), reset))
	b := domain.Batch{Plain: true}
	for i := range 12_000 {
		b.Keys = append(b.Keys, []byte("anchor/7"))
		b.Values = append(b.Values, fmt.Appendf(nil, `{"v":1,"partition":7,"offset":%d,"term":1,"index":1,"prev":"0","t":"1"}`, i))
	}
	_, err = log.Append(t.Context(), domain.Control, b)
	require.NoError(t, err)

	first := load(t, log)
	start, end, err := log.Bounds(t.Context(), domain.Control)
	require.NoError(t, err)
	require.Equal(t, domain.Offset(5), end-start, "the slot map, the app, the anchor, the node, the reset")
	require.NoError(t, log.Close())

	log = openLog(t, dir)
	defer func() { require.NoError(t, log.Close()) }()
	second := load(t, log)
	require.Equal(t, first.SlotMap(), second.SlotMap())
	require.Equal(t, first.Apps(), second.Apps())
	again, ok := second.Node("a")
	require.True(t, ok)
	require.Equal(t, number, again)
	a, ok := second.Anchor(7)
	require.True(t, ok)
	require.Equal(t, domain.Offset(11_999), a.Offset)
	reset.Format = 1
	require.Equal(t, []control.Reset{reset}, second.Resets())
}

func TestOtherNodesAreFollowed(t *testing.T) {
	log := openLog(t, t.TempDir())
	defer func() { require.NoError(t, log.Close()) }()
	one, two := load(t, log), load(t, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- two.Run(ctx) }()
	require.NoError(t, one.PutApp(ctx, app("demo#chat", "1")))
	require.Eventually(t, func() bool { _, ok := two.App("demo#chat"); return ok }, 10*time.Second, time.Millisecond)
	require.ErrorIs(t, two.PutApp(ctx, app("demo#chat", "2")), control.ErrAppExists)
	cancel()
	require.NoError(t, <-done)
}

func TestBrokenRecordStops(t *testing.T) {
	for name, value := range map[string]string{
		"no JSON":       "{",
		"newer format":  `{"v":2}`,
		"no partitions": `{"v":1,"version":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			log := openLog(t, t.TempDir())
			defer func() { require.NoError(t, log.Close()) }()
			b := domain.Batch{Keys: [][]byte{[]byte("slotmap")}, Values: [][]byte{[]byte(value)}, Plain: true}
			_, err := log.Append(t.Context(), domain.Control, b)
			require.NoError(t, err)
			require.Error(t, control.New(log, slog.New(slog.DiscardHandler), time.Now).Load(t.Context()))
		})
	}
}
