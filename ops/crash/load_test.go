package crash

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
	viewers  []*user // who view rooms, and do nothing else
	groups   []string
	rooms    []*crowd
	every    time.Duration // between two messages of one of users
	often    time.Duration // of one of viewers
	ws       atomic.Pointer[string]

	stopWriting context.CancelFunc
	stopRunning context.CancelFunc
	writers     sync.WaitGroup
	runners     sync.WaitGroup

	lastAck atomic.Int64 // Unix nanoseconds
	pause   atomic.Int64 // the longest time without a positive answer to anybody
}

// plan is how much is written, and how long users wait for an answer before they connect anew.
type plan struct {
	pairs     int // direct conversations
	groups    int // each of members of the same users: neighbours share half of theirs
	members   int
	rate      int // messages a second over all conversations but rooms
	patience  time.Duration
	steadfast time.Duration // how long every second user waits instead; 0: no longer
	stalls    bool          // a node may hold what was sent to it, and do it when it wakes: what its author has given up may then stand anywhere
	tag       string        // in users' names: loads of one server differ in it; "": crash

	rooms    int // of viewers of the same users: neighbours share half of theirs
	viewers  int
	speakers int // of the viewers of a room
	roomRate int // messages a second over all rooms, so few that who comes back misses no more than a room keeps
}

// each returns how often one of n users writes for all of them to reach a rate.
func each(n, rate int) time.Duration {
	return time.Second * time.Duration(n) / time.Duration(max(rate, 1))
}

// wsOf is where users connect, which a test may change.
func (l *load) wsOf() string { return *l.ws.Load() }

// startLoad makes the users and lets them write.
func startLoad(t *testing.T, target *bench.Target, p plan, seed uint64) *load {
	t.Helper()
	l := &load{t: t, every: each(2*p.pairs, p.rate)}
	l.ws.Store(&target.WS)
	tag := cmp.Or(p.tag, "crash")
	var err error
	if l.accounts, err = bench.OpenAccounts(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range p.pairs {
		names = append(names, fmt.Sprintf("%s-a%d", tag, i), fmt.Sprintf("%s-b%d", tag, i))
	}
	if l.users, err = l.makeUsers(target, names, &p, seed); err != nil {
		t.Fatal(err)
	}
	for i, u := range l.users {
		u.lines = append(u.lines, &line{to: names[i^1], domain: msync.UserDomain})
	}
	for i := range p.groups {
		if err := l.gather(i, p.members); err != nil {
			t.Fatal(err)
		}
	}
	if p.rooms > 0 {
		if err := l.furnish(target, tag, &p, seed); err != nil {
			t.Fatal(err)
		}
	}
	l.lastAck.Store(time.Now().UnixNano())
	l.start()
	return l
}

func (l *load) makeUsers(target *bench.Target, names []string, p *plan, seed uint64) ([]*user, error) {
	tokens, err := l.accounts.Tokens(l.t.Context(), names)
	if err != nil {
		return nil, err
	}
	users := make([]*user, len(names))
	for i, n := range names {
		users[i] = newUser(target.App, l.wsOf, n, tokens[i], seed+uint64(i))
		users[i].onAck, users[i].patience, users[i].stalls = l.onAck, p.patience, p.stalls
		if p.steadfast > 0 && i%2 == 1 {
			users[i].patience = p.steadfast
		}
	}
	return users, nil
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
	l.t.Cleanup(l.stop)
	for _, u := range l.all() {
		l.runners.Go(func() { u.run(running) })
	}
	if err := l.awaitViewers(); err != nil {
		l.t.Fatal(err)
	}
	write := func(users []*user, every time.Duration) {
		for i, u := range users {
			l.writers.Go(func() { u.writeEvery(writing, every, every*time.Duration(i)/time.Duration(len(users))) })
		}
	}
	write(l.users, l.every)
	write(l.viewers, l.often)
}

// all returns everybody.
func (l *load) all() []*user { return slices.Concat(l.users, l.viewers) }

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
		for _, u := range l.all() {
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

// missing tells about how many messages that are acknowledged have not come to somebody.
func (l *load) missing() (n int) {
	written := map[string]int{} // by conversation
	for _, u := range l.all() {
		for _, line := range u.lines {
			written[conversationOf(u, line)] += line.out.acked()
		}
	}
	for _, u := range l.all() {
		for _, line := range u.lines {
			n += max(0, written[conversationOf(u, line)]-line.out.acked()-u.others(line))
		}
	}
	return n
}

// conversationOf names the conversation of a line, the same for all in it.
func conversationOf(u *user, l *line) string {
	if l.domain == msync.UserDomain {
		return min(u.name, l.to) + " " + max(u.name, l.to)
	}
	return l.to
}

// acked returns how many messages have a positive answer.
func (l *load) acked() (n int) {
	for _, u := range l.all() {
		for _, line := range u.lines {
			n += line.out.acked()
		}
	}
	return n
}

// slowest returns the longest time from writing to a positive answer.
func (l *load) slowest() (most time.Duration) {
	for _, u := range l.all() {
		for _, line := range u.lines {
			line.out.mu.Lock()
			most = max(most, line.out.slowest)
			line.out.mu.Unlock()
		}
	}
	return most
}

// calm forgets how long answers and log-ins have taken so far.
func (l *load) calm() {
	for _, u := range l.all() {
		u.away.Store(0)
	}
	l.pause.Store(0)
	l.forgetAnswers()
}

// forgetAnswers forgets how long answers have taken so far.
func (l *load) forgetAnswers() {
	for _, u := range l.all() {
		for _, line := range u.lines {
			line.out.mu.Lock()
			line.out.slowest = 0
			line.out.mu.Unlock()
		}
	}
}

// away returns the longest time that a user who wanted one had no session.
func (l *load) away() (most time.Duration) {
	for _, u := range l.all() {
		most = max(most, time.Duration(u.away.Load()))
	}
	return most
}

// gaveUp returns how often a user had no answer for longer than an SDK waits.
func (l *load) gaveUp() (n int) {
	for _, u := range l.all() {
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
	var order []string // conversations
	sides := map[string][]*side{}
	for _, u := range l.all() {
		for _, line := range u.lines {
			history, err := l.history(u, line)
			if err != nil {
				l.t.Fatalf("history of %s with %s: %v", u.name, line.to, err)
			}
			conversation := conversationOf(u, line)
			if sides[conversation] == nil {
				order = append(order, conversation)
			}
			sides[conversation] = append(sides[conversation], sideOf(u, line, history))
		}
		for _, p := range u.problems {
			v.blamef(&v.resurrected, "%s", p)
		}
		if u.hidden > 0 {
			v.blamef(&v.doubled, "%s was shown %d messages twice on one connection to its rooms", u.name, u.hidden)
		}
	}
	for _, c := range order {
		if len(sides[c][0].shown) > 0 {
			v.judgeRoom(sides[c]...)
		} else {
			v.judge(sides[c]...)
		}
	}
	return v
}

func sideOf(u *user, l *line, history []arrival) *side {
	s := &side{user: u.name, fates: l.out.fates, history: history}
	if l.view != nil {
		s.inbox, s.shown = l.view.first(u.name), l.view.shown
	} else {
		s.inbox = u.arrived(l)
	}
	return s
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
