// Package logtest writes real logs for the tests of projections: what the domain's rules decide, in records as an owner writes them, with
// what deposed owners and repeated requests leave in between.
package logtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/event"
)

// App is the tenant of every stream.
const App domain.AppID = "demo#chat"

// Log is what a World appends to.
type Log interface {
	Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error)
}

// TB is a test, or rapid's T.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

var _ TB = testing.TB(nil)

// World is one partition with its owner: state, clock, and the place of the reader rule.
type World struct {
	Partition domain.Partition
	Accepted  []domain.Accepted // all that a reader must see

	tb   TB
	log  Log
	at   fence.Reader
	now  time.Time
	last domain.T
	rows map[domain.StreamID]map[domain.PartID]domain.Row
	prev []byte // the value of the last commit
}

// NewWorld starts a partition with a first claim.
func NewWorld(tb TB, log Log, p domain.Partition) *World {
	w := &World{
		Partition: p, tb: tb, log: log, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		rows: make(map[domain.StreamID]map[domain.PartID]domain.Row),
	}
	w.Claim()
	return w
}

// view is what Decide sees.
type view map[domain.PartID]domain.Row

// Head implements domain.View.
func (v view) Head() domain.HeadRow {
	if h, ok := v[domain.PartHead].(domain.HeadRow); ok {
		return h
	}
	return nil
}

// Part implements domain.View.
func (v view) Part(id domain.PartID) domain.Row { return v[id] }

// rulesOf returns the rules of a kind of stream.
func rulesOf(k domain.Kind) domain.Rules {
	switch k {
	case domain.KindUser:
		return user.Rules{}
	case domain.KindGroup:
		return conversation.NewGroupRules(message.DefaultLimits)
	case domain.KindRoom:
		return conversation.NewRoomRules(message.DefaultLimits)
	default:
		return conversation.NewRules(message.DefaultLimits)
	}
}

// Do decides a command and appends its commit; ok is false when the rules refuse it or nothing follows.
func (w *World) Do(stream domain.StreamID, cmd domain.Command) (a domain.Accepted, ok bool) {
	w.tb.Helper()
	a, err := w.Try(stream, cmd)
	return a, err == nil && a.Commit != nil
}

// Try is Do with the refusal. Without a commit and error nothing follows.
func (w *World) Try(stream domain.StreamID, cmd domain.Command) (a domain.Accepted, err error) {
	w.tb.Helper()
	st, ok := stream.Parse()
	if !ok {
		w.tb.Fatalf("bad stream %s", stream)
	}
	rules := rulesOf(st.Kind)
	rows := w.rows[stream]
	if rows == nil {
		rows = make(map[domain.PartID]domain.Row)
		w.rows[stream] = rows
	}
	d, err := rules.Decide(st, view(maps.Clone(rows)), cmd, w.now)
	if err != nil || len(d.Bodies) == 0 {
		return domain.Accepted{}, err
	}
	w.now = w.now.Add(time.Millisecond)
	events := domain.Stamp(d.Bodies, w.Head(stream), w.now, w.last, w.Partition)
	for i := range events {
		for _, id := range rules.Touches(nil, st, &events[i]) {
			if row := rules.Evolve(st, id, rows[id], &events[i]); row != nil {
				rows[id] = row
			}
		}
	}
	return w.Append(&domain.Commit{Stream: stream, Events: events}), nil
}

// Head returns the seq of a stream's last entry.
func (w *World) Head(stream domain.StreamID) domain.Seq {
	if h := view(w.rows[stream]).Head(); h != nil {
		return h.LastSeq()
	}
	return 0
}

// Incarnation returns the incarnation of a user, 0 for none.
func (w *World) Incarnation(u domain.UserID) domain.Incarnation {
	h, ok := w.rows[domain.UserStream(App, u)][domain.PartHead].(*user.Head)
	if !ok || !h.Exists {
		return 0
	}
	return h.Incarnation
}

// Sleep lets time pass.
func (w *World) Sleep(d time.Duration) { w.now = w.now.Add(d) }

// Append appends a commit as the owner, past the rules.
func (w *World) Append(c *domain.Commit) domain.Accepted {
	w.tb.Helper()
	w.last = c.LastT()
	value := event.AppendCommit(nil, fence.Header{Term: w.at.Term, Index: w.at.Index + 1, Prev: w.at.Prev}, c)
	w.prev = value
	offset := w.put(c.Stream, value)
	a := domain.Accepted{
		Position: domain.Position{Partition: w.Partition, Offset: offset, Term: w.at.Term, Index: w.at.Index, Prev: w.at.Prev},
		Commit:   c,
	}
	w.Accepted = append(w.Accepted, a)
	return a
}

// Claim appends a claim of a higher term.
func (w *World) Claim() {
	w.tb.Helper()
	w.put("", event.EncodeClaim(fence.Header{Term: w.at.Term + 1}, "node", uint64(w.at.Term)+7))
}

// Repeat appends the last commit's record again, as a repeated request does.
func (w *World) Repeat() {
	w.tb.Helper()
	if w.prev != nil {
		w.put("", w.prev)
	}
}

// Deposed appends a commit of the term before, as a late writer does: it must have no effect.
func (w *World) Deposed() {
	w.tb.Helper()
	c := &domain.Commit{Stream: "demo#chat/d/void/void", Events: []domain.Event{{T: w.last + 4096, Seq: 1, Body: conversation.MessageSent{From: "void"}}}}
	w.put(c.Stream, event.AppendCommit(nil, fence.Header{Term: w.at.Term - 1, Index: w.at.Index + 1, Prev: w.at.Prev}, c))
}

// Raw appends any value, past the reader rule: to damage a log.
func (w *World) Raw(value []byte) domain.Offset {
	w.tb.Helper()
	offset, err := w.log.Append(context.Background(), w.Partition, domain.Batch{Keys: [][]byte{nil}, Values: [][]byte{value}, Plain: true})
	if err != nil {
		w.tb.Fatalf("append: %v", err)
	}
	return offset
}

func (w *World) put(key domain.StreamID, value []byte) domain.Offset {
	w.tb.Helper()
	offset, err := w.log.Append(context.Background(), w.Partition, domain.Batch{
		Keys: [][]byte{[]byte(key)}, Values: [][]byte{value}, Plain: true,
	})
	if err != nil {
		w.tb.Fatalf("append: %v", err)
	}
	if _, err := w.at.Read(offset, value); err != nil {
		w.tb.Fatalf("the world broke the reader rule: %v", err)
	}
	return offset
}

// At returns where the reader rule stands at the log's end.
func (w *World) At() fence.Reader { return w.at }

// Send sends a text of u to another user.
func (w *World) Send(u, to domain.UserID, text string) (domain.Accepted, bool) {
	w.tb.Helper()
	return w.Do(domain.DirectStream(App, u, to), conversation.SendMessage{
		Sender:   conversation.Sender{User: u, Incarnation: w.Incarnation(u), Resource: "web"},
		To:       conversation.Recipient{User: to, Incarnation: w.Incarnation(to)},
		Envelope: message.Envelope{Kind: message.Text, Size: len(text)}, Body: message.Bytes(text), SyncOwn: true,
	})
}

// Register makes an account.
func (w *World) Register(u domain.UserID) {
	w.tb.Helper()
	if _, ok := w.Do(domain.UserStream(App, u), user.Register{UUID: "uuid-" + string(u), Nickname: fmt.Sprintf("N %s", u)}); !ok {
		w.tb.Fatalf("cannot register %s", u)
	}
}

// Account is a user as its owner has it.
type Account struct {
	Name domain.UserID
	user.Head
}

// Accounts returns the accounts that exist, in the order of their registration.
func (w *World) Accounts() (out []Account) {
	for stream, rows := range w.rows {
		st, _ := stream.Parse()
		if h, ok := rows[domain.PartHead].(*user.Head); ok && h.Exists {
			out = append(out, Account{domain.UserID(st.A), *h})
		}
	}
	slices.SortFunc(out, func(a, b Account) int { return cmp.Compare(a.Registered, b.Registered) })
	return out
}
