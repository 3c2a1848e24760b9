package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/delivery/room"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// viewersEnv makes the test binary a process of viewers: "<address> <number>".
const viewersEnv = "PARLEY_TEST_VIEWERS"

// report is what a process of viewers has seen.
type report struct {
	Least, Most int // metas that a viewer was shown
	Disorder    int
	P50, P99    float64 // ms from the id's time to the reading
}

// TestViewersProcess is the process of viewers that BenchmarkRoom starts; else it does nothing.
func TestViewersProcess(t *testing.T) {
	var addr string
	var number int
	if _, err := fmt.Sscan(os.Getenv(viewersEnv), &addr, &number); err != nil {
		return
	}
	all := make([]*readingViewer, number)
	var wg sync.WaitGroup
	for i := range all {
		all[i] = &readingViewer{sample: i%20 == 0}
		all[i].dial(t, addr)
		wg.Go(all[i].read)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, v := range all {
		_ = v.conn.SetReadDeadline(time.Now())
	}
	wg.Wait()
	rep := report{Least: all[0].metas}
	var late []float64
	for _, v := range all {
		rep.Least, rep.Most = min(rep.Least, v.metas), max(rep.Most, v.metas)
		rep.Disorder += v.disorder
		late = append(late, v.late...)
	}
	slices.Sort(late)
	if len(late) > 0 {
		rep.P50, rep.P99 = late[len(late)/2], late[len(late)*99/100]
	}
	require.NoError(t, json.NewEncoder(os.Stdout).Encode(rep))
}

type readingViewer struct {
	conn            net.Conn
	r               *bufio.Reader
	sample          bool
	metas, disorder int
	last            uint64
	late            []float64
}

func (v *readingViewer) dial(t *testing.T, addr string) {
	var err error
	v.conn, err = net.Dial("tcp", addr)
	require.NoError(t, err)
	_, err = io.WriteString(v.conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	require.NoError(t, err)
	v.r = bufio.NewReaderSize(v.conn, 16<<10)
	for {
		line, err := v.r.ReadString('\n')
		require.NoError(t, err)
		if line == "\r\n" {
			return
		}
	}
}

// read counts what comes; a sample of the viewers takes times too.
func (v *readingViewer) read() {
	var buf []byte
	var metas [][]byte
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(v.r, head[:2]); err != nil {
			return
		}
		n := int(head[1])
		if n == 126 {
			_, _ = io.ReadFull(v.r, head[2:])
			n = int(binary.BigEndian.Uint16(head[2:]))
		}
		buf = slices.Grow(buf[:0], n)[:n]
		if _, err := io.ReadFull(v.r, buf); err != nil {
			return
		}
		now := time.Now()
		fr, _ := msync.DecodeFrame(buf)
		down, _ := msync.DecodeSyncDown(fr.Payload, metas)
		metas = down.Metas
		v.metas += len(metas)
		for _, b := range metas {
			m, _ := msync.DecodeMeta(b)
			if m.ID <= v.last {
				v.disorder++
			}
			v.last = m.ID
			if v.sample {
				v.late = append(v.late, float64(now.Sub(domain.T(m.ID).Time()).Microseconds())/1000)
			}
		}
	}
}

// What a delivery costs this process when 1,000 viewers in another one read from sockets.
func BenchmarkRoom(b *testing.B) {
	for _, rate := range []int{40, 500} {
		b.Run(fmt.Sprintf("%d messages a second", rate), func(b *testing.B) { benchRoom(b, 1000, rate) })
	}
}

func benchRoom(b *testing.B, viewers, rate int) {
	g, err := New(Config{
		Settings: DefaultSettings(), Directory: directory.New(), Now: time.Now, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(b, err)
	server := httptest.NewServer(g)
	rooms, err := room.New(room.Config{
		Settings: room.DefaultSettings(), NextT: g.NextT, Now: time.Now, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(g.flusher.run)
	wg.Go(func() { _ = rooms.Run(ctx) })
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestViewersProcess$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", viewersEnv, strings.TrimPrefix(server.URL, "http://"), viewers))
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	lines := bufio.NewReader(out)
	_, err = lines.ReadString('\n')
	require.NoError(b, err)
	stream := domain.RoomStream("org#app", "7")
	st, _ := stream.Parse()
	for g.Sessions() < viewers {
		time.Sleep(time.Millisecond)
	}
	g.mu.Lock()
	n := 0
	for s := range g.sessions {
		s.key = directory.Key{App: "org#app", User: domain.UserID(fmt.Sprint("u", n))}
		rooms.Add(ctx, stream, s, func(*room.Frame) {}, room.Start{})
		n++
	}
	g.mu.Unlock()
	body := conversation.MessageSent{From: "cat", FromResource: "web", Body: bytes.Repeat([]byte{1}, 200)}
	var t domain.T
	before, sent, begun := cpu(), 0, time.Now()
	for b.Loop() {
		time.Sleep(time.Until(begun.Add(time.Duration(sent) * time.Second / time.Duration(rate))))
		sent++
		t = domain.NextT(time.Now(), t, domain.FirstRooms)
		rooms.Entry(stream, st, &domain.Event{Seq: domain.Seq(sent), T: t, Body: body})
	}
	time.Sleep(time.Second) // the other process may be late
	used := cpu() - before
	in.Close()
	var rep report
	require.NoError(b, json.NewDecoder(lines).Decode(&rep))
	_, _ = io.Copy(io.Discard, lines)
	require.NoError(b, cmd.Wait())
	require.Equal(b, report{Least: sent, Most: sent, P50: rep.P50, P99: rep.P99}, rep)
	b.ReportMetric(float64(used.Nanoseconds())/float64(sent*viewers)/1000, "us/delivery")
	b.ReportMetric(rep.P50, "p50-ms")
	b.ReportMetric(rep.P99, "p99-ms")
	g.wg.Wait()
	g.readers.stop()
	stop()
	g.flusher.close()
	wg.Wait()
	server.Close()
}

// cpu returns what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
