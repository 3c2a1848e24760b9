package owners_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
)

// sender sends messages from one user to another through a node, as a gateway does: a window of them at once; what has an unknown outcome, or found no owner
// that takes it, again one after the other, with all that came behind it.
type sender struct {
	f        *fleet
	node     *member
	from, to domain.UserID

	n       int           // messages that were accepted
	longest time.Duration // that one took, with all the times that it was sent
	began   map[int]time.Time
}

func (f *fleet) sender(node *member, i int) *sender {
	return &sender{f: f, node: node, from: domain.UserID(fmt.Sprintf("a%d", i)), to: domain.UserID(fmt.Sprintf("b%d", i)), began: make(map[int]time.Time)}
}

// run sends until stop is closed. It checks that the messages are accepted in their order, each once.
func (s *sender) run(window int, stop <-chan struct{}) {
	oneByOne := 0 // up to this message
	for {
		select {
		case <-stop:
			return
		default:
		}
		most := window
		if s.n < oneByOne {
			most = 1
		}
		results := s.send(most)
		for _, r := range results {
			if code := domain.CodeOf(r.Err); code == domain.Unknown || code == domain.Stopping || code == domain.Busy {
				oneByOne = max(oneByOne, s.n+len(results))
				time.Sleep(5 * time.Millisecond)
				break
			}
			if r.Err != nil || r.Seq != domain.Seq(s.n+1) {
				s.f.t.Errorf("message %d of %s: seq %d, repeat %t, %v", s.n+1, s.from, r.Seq, r.Repeat, r.Err)
				return
			}
			s.n++
			s.longest = max(s.longest, time.Since(s.began[s.n]))
			delete(s.began, s.n)
		}
	}
}

// send sends the next messages, until one of them has an unknown outcome, and returns when all are answered.
func (s *sender) send(most int) []domain.Result {
	results := make([]domain.Result, most)
	var answered sync.WaitGroup
	var failed atomic.Bool
	for k := range most {
		if failed.Load() {
			results = results[:k]
			break
		}
		answered.Add(1)
		s.submit(s.n+k+1, func(r domain.Result) {
			results[k] = r
			if r.Err != nil {
				failed.Store(true)
			}
			answered.Done() // a second answer panics
		})
	}
	answered.Wait()
	return results
}

func (s *sender) submit(n int, done func(domain.Result)) {
	if s.began[n].IsZero() {
		s.began[n] = time.Now()
	}
	body := fmt.Appendf(nil, "%d", n)
	s.node.Owners.Submit(domain.Request{
		Stream: domain.DirectStream(app, s.from, s.to), Deadline: time.Now().Add(20 * time.Second), Done: done,
		Command: conversation.SendMessage{
			Sender:   conversation.Sender{User: s.from, Incarnation: 1, Resource: "web", ClientID: uint64(n), Hash: message.Hash(body)},
			To:       conversation.Recipient{User: s.to, Incarnation: 1},
			Envelope: message.Envelope{Kind: message.Text, Size: len(body)}, Body: body,
		},
	})
}
