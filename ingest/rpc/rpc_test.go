package rpc_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/ingest/rpc"
)

// send is a message whose client id is n.
func send(n int, done func(domain.Result)) domain.Request {
	body := fmt.Appendf(nil, "%0200d", n)
	return domain.Request{
		Stream: domain.DirectStream("demo#chat", "ann", "bob"),
		Command: conversation.SendMessage{
			Sender:   conversation.Sender{User: "ann", Incarnation: 1, Resource: "web", ClientID: uint64(n), Hash: message.Hash(body)},
			To:       conversation.Recipient{User: "bob", Incarnation: 1},
			Envelope: message.Envelope{Kind: message.Text, Size: len(body)}, Body: body, SyncOwn: true,
		},
		Done: done,
	}
}

func clientID(c domain.Command) int {
	m, _ := c.(conversation.SendMessage)
	return int(m.Sender.ClientID)
}

func TestCommandsAndTheirAnswersTravel(t *testing.T) {
	type got struct {
		req  domain.Request
		hops int
	}
	taken := make(chan got, 1)
	refusal := &domain.Error{Code: domain.GroupFull, Reason: "no \xff room", Err: errors.New("why")}
	answers := []domain.Result{
		{Seq: 7, T: 9, Position: domain.Position{Partition: 3, Offset: 1 << 40, Term: 2, Index: 5, Prev: 1 << 63}},
		{Seq: 1, T: 2, Repeat: true},
		{},
		{Err: refusal},
		{Err: errors.New("strange")},
	}
	n := 0
	f := newFar(t, &owner{submit: func(req domain.Request, hops int) {
		taken <- got{req, hops}
		r := answers[n]
		n++
		go req.Done(r)
	}}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{})
	for i, want := range answers {
		result := make(chan domain.Result, 1)
		req := send(i, func(r domain.Result) { result <- r })
		if i == 1 {
			req.Deadline = time.Now().Add(3 * time.Second)
		}
		p.Submit(there, req, i)
		g, r := <-taken, <-result
		require.Equal(t, req.Stream, g.req.Stream)
		require.Equal(t, req.Command, g.req.Command)
		require.Equal(t, i, g.hops)
		require.Equal(t, i == 1, !g.req.Deadline.IsZero())
		if i == 1 {
			require.WithinDuration(t, req.Deadline, g.req.Deadline, 2*time.Second)
		}
		if want.Err != nil {
			require.Equal(t, domain.CodeOf(want.Err), domain.CodeOf(r.Err))
			require.ErrorContains(t, r.Err, want.Err.Error())
		} else {
			require.Equal(t, want, r)
		}
		if errors.Is(want.Err, refusal) {
			require.Equal(t, refusal, r.Err)
		}
	}
}

// Whatever is submitted by whom, and however it goes into frames: each submitter's commands arrive in its order, and each is answered by its own
// answer, once.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var mu sync.Mutex
		var arrived []int
		var waiting []domain.Request
		hold := rapid.IntRange(0, 20).Draw(rt, "held")
		f := newFar(t, &owner{submit: func(req domain.Request, _ int) {
			mu.Lock()
			defer mu.Unlock()
			arrived = append(arrived, clientID(req.Command))
			if waiting = append(waiting, req); len(waiting) > hold {
				for _, w := range slices.Backward(waiting) { // the last first
					echo(w, 0)
				}
				waiting = nil
			}
		}}, rpc.Settings{FrameCalls: rapid.IntRange(1, 5).Draw(rt, "answers in a frame")})
		defer f.stop()
		p, stop := near(t, f, rpc.Settings{
			FrameCalls: rapid.IntRange(1, 40).Draw(rt, "calls in a frame"), FrameBytes: rapid.IntRange(1, 5000).Draw(rt, "bytes in a frame"),
		})
		defer stop()
		const each = 100
		submitters := rapid.IntRange(1, 4).Draw(rt, "submitters")
		c := newTally(each * submitters)
		results := make([]domain.Seq, each*submitters)
		var wg sync.WaitGroup
		for s := range submitters {
			wg.Go(func() {
				for i := range each {
					n := s*each + i
					done := c.done(n)
					p.Submit(there, send(n, func(r domain.Result) { results[n] = r.Seq; done(r) }), 0)
				}
			})
		}
		wg.Wait()
		require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(arrived) == each*submitters }, 5*time.Second, time.Millisecond)
		mu.Lock()
		for _, w := range waiting {
			echo(w, 0)
		}
		last := make([]int, submitters)
		for _, n := range arrived {
			require.Equal(t, last[n/each], n%each)
			last[n/each]++
		}
		mu.Unlock()
		require.Equal(t, map[domain.Code]int{"": each * submitters}, c.wait(t, 5*time.Second))
		for n, seq := range results {
			require.EqualValues(t, n, seq)
		}
	})
}
