package crash

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/ops/bench"
	"parley/schemas/msync"
)

// load is users in conversations, in each of which all write.
type load struct {
	t        *testing.T
	accounts *bench.Accounts
	users    []*user // 2i and 2i+1 talk to each other, groups overlap
	groups   []string
	every    time.Duration

	stopWriting context.CancelFunc
	stopRunning context.CancelFunc
	writers     sync.WaitGroup
	runners     sync.WaitGroup

	lastAck atomic.Int64 // Unix nanoseconds
	pause   atomic.Int64 // the longest time without a positive answer to anybody
}

// plan is how much is written, and how long users wait for an answer before they connect anew.
type plan struct {
	pairs    int // direct conversations
	groups   int // each of members of the same users: neighbours share half of theirs
	members  int
	rate     int // messages a second over all
	patience time.Duration
}

// startLoad makes the users and lets them write.
func startLoad(t *testing.T, target *bench.Target, p plan, seed uint64) *load {
	t.Helper()
	l := &load{t: t, every: time.Second * time.Duration(2*p.pairs) / time.Duration(p.rate)}
	var err error
	if l.accounts, err = bench.OpenAccounts(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range p.pairs {
		names = append(names, fmt.Sprintf("crash-a%d", i), fmt.Sprintf("crash-b%d", i))
	}
	tokens, err := l.accounts.Tokens(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range names {
		u := newUser(target.App, target.WS, n, tokens[i], seed+uint64(i))
		u.onAck, u.patience = l.onAck, p.patience
		u.lines = append(u.lines, &line{to: names[i^1], domain: msync.UserDomain})
		l.users = append(l.users, u)
	}
	for i := range p.groups {
		if err := l.gather(i, p.members); err != nil {
			t.Fatal(err)
		}
	}
	l.lastAck.Store(time.Now().UnixNano())
	l.start()
	return l
}

// gather makes a group.
func (l *load) gather(i, members int) error {
	var names []string
	var in []*user
	for k := range members {
		u := l.users[(i*members/2+k)%len(l.users)]
		in, names = append(in, u), append(names, u.name)
	}
	id, err := l.accounts.NewGroup(l.t.Context(), fmt.Sprintf("crash %d", i), names[0], names[1:])
	if err != nil {
		return err
	}
	l.groups = append(l.groups, id)
	for _, u := range in {
		u.lines = append(u.lines, &line{to: id, domain: msync.GroupDomain})
	}
	return nil
}

func (l *load) start() {
	writing, stopWriting := context.WithCancel(context.Background())
	running, stopRunning := context.WithCancel(context.Background())
	l.stopWriting, l.stopRunning = stopWriting, stopRunning
	for i, u := range l.users {
		l.runners.Go(func() { u.run(running) })
		l.writers.Go(func() { u.writeEvery(writing, l.every, l.every*time.Duration(i)/time.Duration(len(l.users))) })
	}
	l.t.Cleanup(l.stop)
}

// stop ends everything. It may be called twice.
func (l *load) stop() {
	l.stopWriting()
	l.stopRunning()
	l.writers.Wait()
	l.runners.Wait()
	l.accounts.Close()
}

func (l *load) onAck() {
	now := time.Now().UnixNano()
	gap := now - l.lastAck.Swap(now)
	for {
		old := l.pause.Load()
		if gap <= old || l.pause.CompareAndSwap(old, gap) {
			return
		}
	}
}

// drain ends the writing, and waits until everything is answered and nothing more arrives.
func (l *load) drain(limit time.Duration) {
	l.stopWriting()
	l.writers.Wait()
	until := time.Now().Add(limit)
	for before, quiet := -1, time.Now(); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		answered, arrived := true, 0
		for _, u := range l.users {
			for _, line := range u.lines {
				answered = answered && line.out.empty()
				arrived += len(u.arrived(line))
			}
		}
		if !answered || arrived != before {
			before, quiet = arrived, time.Now()
		}
		if time.Since(quiet) > 2*time.Second {
			return
		}
	}
	l.t.Errorf("not everything was answered within %s", limit)
}

// acked returns how many messages have a positive answer.
func (l *load) acked() (n int) {
	for _, u := range l.users {
		for _, line := range u.lines {
			n += line.out.acked()
		}
	}
	return n
}

// gaveUp returns how often a user had no answer for longer than an SDK waits.
func (l *load) gaveUp() (n int) {
	for _, u := range l.users {
		for _, line := range u.lines {
			line.out.mu.Lock()
			n += line.out.timeouts
			line.out.mu.Unlock()
		}
	}
	return n
}

// verdict judges everything. The load must have been drained and stopped.
func (l *load) verdict() *verdict {
	v := &verdict{}
	var order []string // conversations, direct ones by their first user
	sides := map[string][]*side{}
	for i, u := range l.users {
		for _, line := range u.lines {
			history, err := l.history(u, line)
			if err != nil {
				l.t.Fatalf("history of %s with %s: %v", u.name, line.to, err)
			}
			conversation := line.to
			if line.domain == msync.UserDomain {
				conversation = l.users[i&^1].name
			}
			if sides[conversation] == nil {
				order = append(order, conversation)
			}
			sides[conversation] = append(sides[conversation], &side{user: u.name, fates: line.out.fates, inbox: u.arrived(line), history: history})
		}
		for _, p := range u.problems {
			l.t.Error(p)
		}
	}
	for _, c := range order {
		v.judge(sides[c]...)
	}
	return v
}

// history reads all of a user's conversation as the SDK does, oldest first.
func (l *load) history(u *user, in *line) (out []arrival, err error) {
	err = l.accounts.History(l.t.Context(), u.name, u.token, in.queue(), func(m msync.MetaView) error {
		from, _, ok := parseText(m.Payload)
		if !ok || string(m.From.Name) != from.author {
			return fmt.Errorf("entry %d from %q is none of this test", m.ID, m.From.Name)
		}
		out = append(out, arrival{id: m.ID, from: from})
		return nil
	})
	return out, err
}
