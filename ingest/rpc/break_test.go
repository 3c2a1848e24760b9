package rpc_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"parley/domain"
	"parley/ingest/rpc"
)

// Connections are cut and the node is started again under load: each request has one answer, what was answered without error was done, nothing
// was done twice, and a submitter's commands are done in order.
func TestBreaksUnderLoad(t *testing.T) {
	var mu sync.Mutex
	times := make(map[int]int)
	var arrived []int
	f := newFar(t, &owner{submit: func(req domain.Request, _ int) {
		mu.Lock()
		n := clientID(req.Command)
		times[n]++
		arrived = append(arrived, n)
		mu.Unlock()
		if n%3 == 0 {
			time.AfterFunc(time.Duration(rand.IntN(3))*time.Millisecond, func() { echo(req, 0) })
			return
		}
		echo(req, 0)
	}}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{Pause: 5 * time.Millisecond})
	const submitters, each, atOnce = 4, 3000, 40
	c := newTally(submitters * each)
	var wg sync.WaitGroup
	for s := range submitters {
		wg.Go(func() {
			room := make(chan struct{}, atOnce)
			for n := s * each; n < (s+1)*each; n++ {
				room <- struct{}{}
				done := c.done(n)
				p.Submit(there, send(n, func(r domain.Result) { done(r); <-room }), 0)
			}
		})
	}
	stop := make(chan struct{})
	var breaker sync.WaitGroup
	breaker.Go(func() {
		for i, at := 0, 0; ; { // a break after each few hundred commands, however fast they come
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			mu.Lock()
			due := len(arrived) >= at
			if due {
				at = len(arrived) + 50 + rand.IntN(500)
			}
			mu.Unlock()
			switch {
			case due && i%4 == 3:
				f.stop()
				f.start()
				i++
			case due:
				f.cut()
				i++
			}
		}
	})
	wg.Wait()
	codes := c.wait(t, 20*time.Second)
	close(stop)
	breaker.Wait()
	require.Greater(t, codes[""], 0)
	require.Greater(t, codes[domain.Unknown], 0)
	require.Len(t, codes, 2, "%v", codes)
	mu.Lock()
	defer mu.Unlock()
	for n := range submitters * each {
		require.LessOrEqual(t, times[n], 1)
		if c.codes[n].Load() == domain.Code("") {
			require.Equal(t, 1, times[n])
		}
	}
	last := [submitters]int{-1, -1, -1, -1}
	for _, n := range arrived {
		require.Greater(t, n, last[n/each])
		last[n/each] = n
	}
}

// A submitter who waits until an unknown outcome is told, and then sends the same again, finds nothing that it said later before it.
func TestNothingOvertakesWhatIsSentAgain(t *testing.T) {
	var mu sync.Mutex
	var arrived []int
	f := newFar(t, &owner{submit: func(req domain.Request, _ int) {
		mu.Lock()
		arrived = append(arrived, clientID(req.Command))
		mu.Unlock()
		echo(req, 0)
	}}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{Pause: time.Millisecond, LongestPause: 5 * time.Millisecond})
	stop := make(chan struct{})
	var breaker sync.WaitGroup
	breaker.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				f.cut()
			}
		}
	})
	// Windows of commands, each ended by the first unknown outcome that is told.
	const windows, size = 200, 20
	unknowns := 0
	for w := range windows {
		bell := make(chan struct{}, size)
		var unknown [size]atomic.Bool
		var telling sync.Mutex // no answer is told between a look at told and what is submitted upon it
		told := false          // an unknown of this window was
		submitted := size
		for i := range size {
			telling.Lock()
			if told {
				telling.Unlock()
				submitted = i
				break
			}
			p.Submit(there, send(w*size+i, func(r domain.Result) {
				telling.Lock()
				defer telling.Unlock()
				if r.Err != nil {
					unknown[i].Store(true)
					told = true
				}
				bell <- struct{}{}
			}), 0)
			telling.Unlock()
			if i%5 == 4 {
				time.Sleep(100 * time.Microsecond)
			}
		}
		for range submitted {
			<-bell
		}
		first := submitted
		for i := range submitted {
			if unknown[i].Load() {
				first = i
				unknowns++
				break
			}
		}
		// Nothing behind the first unknown was done on a later stream: what is behind it and was done went over the same stream, so that it
		// was done, too, or it is unknown as well.
		mu.Lock()
		done := make(map[int]bool)
		for _, n := range arrived {
			done[n-w*size] = true
		}
		arrived = arrived[:0]
		mu.Unlock()
		for i := first; i < submitted; i++ {
			if done[i] {
				require.True(t, done[first], "command %d was done, %d before it was not", i, first)
			}
		}
	}
	close(stop)
	breaker.Wait()
	require.Greater(t, unknowns, 0, "the breaks hit nothing")
}

func TestUnknownNodeAndDeadNode(t *testing.T) {
	f := newFar(t, &owner{submit: echo}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{QueueWait: 200 * time.Millisecond})
	answer := func(node domain.NodeName) (domain.Code, time.Duration) {
		begin := time.Now()
		result := make(chan domain.Result, 2)
		p.Submit(node, send(1, func(r domain.Result) { result <- r }), 0)
		r := <-result
		require.Empty(t, result)
		return domain.CodeOf(r.Err), time.Since(begin)
	}
	code, took := answer("n9")
	require.Equal(t, domain.Unknown, code)
	require.Less(t, took, 150*time.Millisecond)
	code, _ = answer(there)
	require.Empty(t, code)

	f.stop()
	code, took = answer(there)
	require.Equal(t, domain.Unknown, code)
	require.Less(t, took, time.Second)
	_, err := p.Heads(t.Context(), there, []domain.StreamID{"demo#chat/u/ann"})
	require.Equal(t, domain.Unknown, domain.CodeOf(err))

	f.start()
	require.Eventually(t, func() bool { code, _ := answer(there); return code == "" }, 5*time.Second, time.Millisecond)
}

func TestBackPressure(t *testing.T) {
	var mu sync.Mutex
	var held []domain.Request
	f := newFar(t, &owner{submit: func(req domain.Request, _ int) {
		mu.Lock()
		defer mu.Unlock()
		held = append(held, req)
	}}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{InFlight: 10})
	c := newTally(15)
	for i := range 15 {
		p.Submit(there, send(i, c.done(i)), 0)
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(held) == 10 }, 5*time.Second, time.Millisecond)
	for _, req := range held {
		echo(req, 0)
	}
	require.Equal(t, map[domain.Code]int{"": 10, domain.Busy: 5}, c.wait(t, 5*time.Second))

	c = newTally(1)
	p.Submit(there, send(1, c.done(0)), 0)
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(held) == 11 }, 5*time.Second, time.Millisecond)
	echo(held[10], 0)
	require.Equal(t, map[domain.Code]int{"": 1}, c.wait(t, 5*time.Second))
}

// A node that takes commands and does not answer them until too many wait is not read any further, and nothing is lost when it goes on.
func TestFarSideStopsReading(t *testing.T) {
	var mu sync.Mutex
	var held []domain.Request
	f := newFar(t, &owner{submit: func(req domain.Request, _ int) {
		mu.Lock()
		defer mu.Unlock()
		held = append(held, req)
	}}, rpc.Settings{InFlight: 5})
	p, _ := near(t, f, rpc.Settings{})
	c := newTally(100)
	for i := range 100 {
		p.Submit(there, send(i, c.done(i)), 0)
	}
	taken := func() []domain.Request { mu.Lock(); defer mu.Unlock(); return held }
	require.Eventually(t, func() bool { return len(taken()) == 10 }, 5*time.Second, time.Millisecond)
	time.Sleep(20 * time.Millisecond)
	require.Len(t, taken(), 10)
	for i := range 100 {
		require.Eventually(t, func() bool { return len(taken()) > i }, 5*time.Second, 100*time.Microsecond)
		echo(taken()[i], 0)
	}
	require.Equal(t, map[domain.Code]int{"": 100}, c.wait(t, 5*time.Second))
}

// A link that says nothing: a request is answered at its deadline and a margin, and the link is opened again.
func TestSilentLink(t *testing.T) {
	f := newFar(t, &owner{submit: echo}, rpc.Settings{})
	proxy := newProxy(t, f.addr)
	conn, err := grpc.NewClient(proxy.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(rpc.ConnectParams()))
	require.NoError(t, err)
	p, _ := peersOver(t, conn, rpc.Settings{Margin: 100 * time.Millisecond, Pause: time.Millisecond})
	ask := func(n int) (domain.Code, time.Duration) {
		c, begin := newTally(1), time.Now()
		req := send(n, c.done(0))
		req.Deadline = begin.Add(200 * time.Millisecond)
		p.Submit(there, req, 0)
		codes := c.wait(t, 5*time.Second)
		for code := range codes {
			return code, time.Since(begin)
		}
		return "none", 0
	}
	code, _ := ask(1)
	require.Empty(t, code)
	proxy.silent.Store(true)
	code, took := ask(2)
	require.Equal(t, domain.Unknown, code)
	require.Greater(t, took, 290*time.Millisecond)
	require.Less(t, took, 2*time.Second)
	proxy.silent.Store(false)
	proxy.cut() // what it has swallowed is missing: the connection cannot go on
	require.Eventually(t, func() bool { code, _ := ask(3); return code == "" }, 5*time.Second, time.Millisecond)
}

func TestRunEnds(t *testing.T) {
	var mu sync.Mutex
	var held []domain.Request
	f := newFar(t, &owner{submit: func(req domain.Request, _ int) {
		mu.Lock()
		defer mu.Unlock()
		held = append(held, req)
	}}, rpc.Settings{})
	p, stop := near(t, f, rpc.Settings{})
	c := newTally(21)
	for i := range 20 {
		p.Submit(there, send(i, c.done(i)), 0)
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(held) == 20 }, 5*time.Second, time.Millisecond)
	stop()
	p.Submit(there, send(20, c.done(20)), 0)
	require.Equal(t, map[domain.Code]int{domain.Unknown: 20, domain.Stopping: 1}, c.wait(t, time.Second))
	f.stop()
	for _, req := range held {
		echo(req, 0) // for nobody
	}
	_, err := p.Heads(t.Context(), there, []domain.StreamID{"demo#chat/u/ann"})
	require.Equal(t, domain.Stopping, domain.CodeOf(err))
}

// What is submitted before Run waits for it.
func TestSubmitBeforeRun(t *testing.T) {
	f := newFar(t, &owner{submit: echo}, rpc.Settings{})
	conn, err := grpc.NewClient(f.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(rpc.ConnectParams()))
	require.NoError(t, err)
	p := rpc.NewPeers(rpc.PeersConfig{Dial: func(domain.NodeName) (*grpc.ClientConn, error) { return conn, nil }})
	c := newTally(1)
	p.Submit(there, send(1, c.done(0)), 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	require.Equal(t, map[domain.Code]int{"": 1}, c.wait(t, 5*time.Second))
	require.Error(t, p.Run(ctx))
	cancel()
	require.NoError(t, <-done)
	require.NoError(t, conn.Close())
}

// A link that nobody uses is closed, and opened again when it is used.
func TestIdleLinks(t *testing.T) {
	f := newFar(t, &owner{submit: echo}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{Idle: time.Millisecond})
	for i := range 10 {
		c := newTally(1)
		p.Submit(there, send(i, c.done(0)), 0)
		require.Equal(t, map[domain.Code]int{"": 1}, c.wait(t, 5*time.Second))
		time.Sleep(15 * time.Millisecond)
	}
}

// proxy copies bytes both ways, or swallows them.
type proxy struct {
	addr   string
	silent atomic.Bool
	mu     sync.Mutex
	conns  []net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	var lc net.ListenConfig
	lis, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{addr: lis.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			a, err := lis.Accept()
			if err != nil {
				return
			}
			b, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
			if err != nil {
				_ = a.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, a, b)
			p.mu.Unlock()
			wg.Go(func() { p.copy(a, b) })
			wg.Go(func() { p.copy(b, a) })
		}
	})
	t.Cleanup(func() {
		_ = lis.Close()
		p.cut()
		wg.Wait()
	})
	return p
}

func (p *proxy) copy(dst, src net.Conn) {
	defer dst.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := src.Read(b)
		if err != nil {
			return
		}
		if p.silent.Load() {
			continue
		}
		if _, err := dst.Write(b[:n]); err != nil && err != io.ErrClosedPipe { //nolint:errorlint // its end
			return
		}
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}
