package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// plainViewer views over a socket, without a session around it.
type plainViewer struct {
	user domain.UserID
	out  *outbound
}

func (v *plainViewer) User() domain.UserID       { return v.user }
func (v *plainViewer) Resource() domain.Resource { return "web" }
func (v *plainViewer) Show(f *room.Frame)        { v.out.share(f.Wire(), f.Behind()) }

// Viewers who do not read cost references, not copies, are cut for it, and do not slow the others.
func TestViewersWhoDoNotReadDoNotGrowMemory(t *testing.T) {
	const stalled, readers, messages, size = 2000, 20, 150, 4 << 10
	set := room.DefaultSettings()
	set.Behind = 256 << 10
	rooms, err := room.New(room.Config{Settings: set, Now: time.Now, Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var wg, reading sync.WaitGroup
	f := newFlusher()
	wg.Go(func() { _ = rooms.Run(ctx) })
	wg.Go(f.run)
	t.Cleanup(func() {
		stop()
		f.close()
		wg.Wait()
	})
	stream := domain.RoomStream("org#app", "7")
	st, _ := stream.Parse()
	var cut, other atomic.Int64
	var ends sync.WaitGroup
	ends.Add(stalled)
	for i := range stalled {
		server, _ := smallPair(t)
		v := &plainViewer{user: domain.UserID(fmt.Sprint("s", i))}
		v.out = newOutbound(server, f, 1<<20, time.Minute, func(err error) {
			if err == errSlowViewer { //nolint:errorlint // it is never wrapped
				cut.Add(1)
			} else {
				other.Add(1)
			}
			rooms.Remove(stream, v)
			_ = v.out.Close()
			ends.Done()
		})
		rooms.Add(ctx, stream, v, func(*room.Frame) {}, room.Start{})
	}
	late := make([][]time.Duration, readers)
	for i := range readers {
		server, client := pair(t)
		v := &plainViewer{user: domain.UserID(fmt.Sprint("r", i)), out: newOutbound(server, f, 1<<20, time.Minute, func(err error) { t.Error(err) })}
		rooms.Add(ctx, stream, v, func(*room.Frame) {}, room.Start{})
		reading.Go(func() { late[i] = latencies(client, messages) })
	}
	before := heap()
	most := before
	var at domain.T
	body := conversation.MessageSent{From: "cat", Body: bytes.Repeat([]byte{1}, size)}
	for i := range messages {
		time.Sleep(5 * time.Millisecond)
		at = domain.NextT(time.Now(), at, domain.FirstRooms)
		rooms.Entry(stream, st, &domain.Event{Seq: domain.Seq(i + 1), T: at, Body: body})
		if i%25 == 24 {
			most = max(most, heap())
		}
	}
	reading.Wait()
	ends.Wait()
	all := slices.Concat(late...)
	slices.Sort(all)
	t.Logf("heap and stacks grew by at most %d KB; readers: p50 %s, p99 %s", (most-before)>>10, all[len(all)/2], all[len(all)*99/100])
	require.EqualValues(t, stalled, cut.Load())
	require.Zero(t, other.Load())
	require.Less(t, most-before, int64(stalled*24<<10), "each waiting viewer keeps more than references and a goroutine")
	require.Less(t, all[len(all)/2], time.Second)
}

// latencies reads so many metas, in order, and returns how long each took from its id's time.
func latencies(c net.Conn, n int) (out []time.Duration) {
	head := make([]byte, 10)
	for len(out) < n {
		if _, err := io.ReadFull(c, head[:2]); err != nil {
			return out
		}
		size := int(head[1])
		switch size {
		case 126:
			_, _ = io.ReadFull(c, head[:2])
			size = int(binary.BigEndian.Uint16(head))
		case 127:
			_, _ = io.ReadFull(c, head[:8])
			size = int(binary.BigEndian.Uint64(head))
		}
		b := make([]byte, size)
		_, _ = io.ReadFull(c, b)
		fr, _ := msync.DecodeFrame(b)
		down, _ := msync.DecodeSyncDown(fr.Payload, nil)
		for _, raw := range down.Metas {
			m, _ := msync.DecodeMeta(raw)
			out = append(out, time.Since(domain.T(m.ID).Time()))
		}
	}
	return out
}

// heap returns what is in use, goroutines' stacks too.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
