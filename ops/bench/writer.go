package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// maxPending is how many sends of a session may wait for their answer: open loop means that the server's slowness shows in latency.
const maxPending = 50_000

// timing is a run's clock, and what those who write measure by it.
type timing struct {
	start    time.Time
	warmup   time.Duration
	ack, lag histogram // from the scheduled time, measured part only
}

// writer sends a message at each of its times. What must hold: sent and unsent are written by the sending goroutine alone, what answers fill
// by the reader of the session; all are read when those have ended.
type writer struct {
	t        *timing
	session  *client.Client
	out      msync.Outgoing // Payload is the body, digits to be filled in
	digits   int            // where seq begins in it
	offset   time.Duration  // of the first message
	interval time.Duration
	n        int
	onID     func(seq int, id uint64) // told the id of each acknowledged message; may be nil

	sent   int // sends that were written to the socket
	unsent int // not even written: the session had ended, or too many were waiting

	refusals       map[string]int // by code and reason
	acked          bitmap
	answered, acks atomic.Int64
}

// write takes the body, which holds the mark, of the messages to come.
func (w *writer) write(out msync.Outgoing, mark []byte) {
	w.out, w.digits = out, bytes.Index(out.Payload, mark)+len(mark)
	w.refusals, w.acked = map[string]int{}, newBitmap(w.n)
}

// send sends every message at its time.
func (w *writer) send(ctx context.Context) {
	live := context.WithoutCancel(ctx) // close ends a write that blocks
	for seq := range w.n {
		due := w.offset + time.Duration(seq)*w.interval
		if wait := time.Until(w.t.start.Add(due)); wait > 0 && sleep(ctx, wait) != nil {
			return
		}
		if !w.sendOne(live, seq, due) {
			w.unsent += w.n - seq
			return
		}
	}
}

// sendOne returns false when the session has ended.
func (w *writer) sendOne(ctx context.Context, seq int, due time.Duration) bool {
	w.fill(seq, due)
	if due >= w.t.warmup {
		w.t.lag.record(time.Since(w.t.start) - due)
	}
	_, err := w.session.SendAsync(ctx, w.out, func(a client.Ack, err error) { w.onAnswer(seq, due, &a, err) })
	switch {
	case err == nil:
		w.sent++
		return true
	case errors.Is(err, client.ErrPending):
		w.unsent++
		return true
	default:
		return false
	}
}

// fill writes seq and due into the body.
func (w *writer) fill(seq int, due time.Duration) { fillStamp(w.out.Payload[w.digits:], seq, due) }

// onAnswer runs on the reader of the session.
func (w *writer) onAnswer(seq int, due time.Duration, a *client.Ack, err error) {
	if err != nil {
		return // the session ended first: without answer
	}
	w.answered.Add(1)
	if a.Code != msync.Status_OK {
		w.refusals[fmt.Sprintf("%v %s", a.Code, a.Reason)]++
		return
	}
	w.acks.Add(1)
	w.acked.set(seq)
	if w.onID != nil {
		w.onID(seq, a.ServerID)
	}
	if due >= w.t.warmup {
		w.t.ack.record(time.Since(w.t.start) - due)
	}
}

// unanswered counts what was written and has no answer.
func (w *writer) unanswered() int { return w.sent - int(w.answered.Load()) }
