package crash

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/ops/bench"
	"parley/schemas/msync"
)

// load is users in pairs, each of whom writes to the other.
type load struct {
	t        *testing.T
	accounts *bench.Accounts
	users    []*user // 2i and 2i+1 talk to each other
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
	pairs, rate int // conversations, messages a second over all
	patience    time.Duration
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
		u := newUser(target.App, target.WS, n, names[i^1], tokens[i], seed+uint64(i))
		u.onAck, u.patience = l.onAck, p.patience
		l.users = append(l.users, u)
	}
	l.lastAck.Store(time.Now().UnixNano())
	l.start()
	return l
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
			answered = answered && u.out.empty()
			arrived += len(u.arrived())
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
		u.out.mu.Lock()
		for i := range u.out.fates {
			n += min(len(u.out.fates[i].ids), 1)
		}
		u.out.mu.Unlock()
	}
	return n
}

// gaveUp returns how often a user had no answer for longer than an SDK waits.
func (l *load) gaveUp() (n int) {
	for _, u := range l.users {
		u.out.mu.Lock()
		n += u.out.timeouts
		u.out.mu.Unlock()
	}
	return n
}

// verdict judges everything. The load must have been drained and stopped.
func (l *load) verdict() *verdict {
	v := &verdict{}
	sides := make([]side, len(l.users))
	for i, u := range l.users {
		history, err := l.history(u)
		if err != nil {
			l.t.Fatalf("history of %s: %v", u.name, err)
		}
		sides[i] = side{user: u.name, fates: u.out.fates, inbox: u.arrived(), history: history}
		for _, p := range u.problems {
			l.t.Error(p)
		}
	}
	for i := 0; i < len(sides); i += 2 {
		v.judge(&sides[i], &sides[i+1])
	}
	return v
}

// maxPages bounds the reading of one history.
const maxPages = 400

// history reads all of a user's conversation as the SDK does, oldest first.
func (l *load) history(u *user) (out []arrival, err error) {
	cursor := "-1"
	for range maxPages {
		var answer struct {
			Data struct {
				Msgs []struct {
					Msg string `json:"msg"`
				} `json:"msgs"`
				NextKey string `json:"next_key"`
				IsLast  bool   `json:"is_last"`
			} `json:"data"`
		}
		body := map[string]any{"queue": u.peer + "@easemob.com", "start": cursor, "end": -1, "pull_number": 50, "is_positive": true}
		if err := l.accounts.Call(l.t.Context(), http.MethodPost, "/users/"+u.name+"/messageroaming", u.token, body, &answer); err != nil {
			return nil, err
		}
		for _, m := range answer.Data.Msgs {
			a, err := decode(m.Msg)
			if err != nil {
				return nil, err
			}
			out = append(out, a)
		}
		if answer.Data.IsLast {
			return out, nil
		}
		if answer.Data.NextKey == cursor {
			return nil, fmt.Errorf("page after %s ends where it began", cursor)
		}
		cursor = answer.Data.NextKey
	}
	return nil, fmt.Errorf("more than %d pages", maxPages)
}

func decode(text string) (arrival, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return arrival{}, err
	}
	m, err := msync.DecodeMeta(b)
	if err != nil {
		return arrival{}, err
	}
	from, ok := parseText(m.Payload)
	if !ok || string(m.From.Name) != from.author {
		return arrival{}, fmt.Errorf("entry %d from %q is none of this test", m.ID, m.From.Name)
	}
	return arrival{id: m.ID, from: from}, nil
}
