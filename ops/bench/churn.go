package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// away is how long one who was cut, or has left, stays so.
const away = 300 * time.Millisecond

// Unrest is what happened to those who do not just listen.
type Unrest struct {
	Acts   int      // of all kinds
	Cut    int      // by the server, while they did not read
	Failed []string // did not succeed
}

func (u *Unrest) print(row func(name, format string, args ...any)) {
	if u.Acts > 0 {
		row("unrest", "%d acts, %d cut by the server while they did not read, %d failed", u.Acts, u.Cut, len(u.Failed))
	}
	for _, f := range u.Failed[:min(len(u.Failed), 3)] {
		row("failed", "%s", f)
	}
}

// checkChurn reports what is wrong with the flags of unrest.
func checkChurn(check func(bool, string, ...any), n, most int, every, hold time.Duration) {
	check(n >= 0 && n <= most, "churn: %d is not between 0 and %d", n, most)
	check(n == 0 || every >= 10*time.Millisecond && every <= time.Minute, "every: %s is not between 10ms and 1m", every)
	check(hold >= 0 && hold <= 10*time.Second, "hold: %s is not between 0 and 10s", hold)
}

// act is something that one does besides listening.
type act func(context.Context) error

// churn lets one after the other do something, each in turn all that it has, until ctx ends. What has begun is finished.
func churn(ctx context.Context, every time.Duration, acts [][]act, u *Unrest) {
	if len(acts) == 0 {
		return
	}
	for n := 0; sleep(ctx, every) == nil; n++ {
		own := acts[n%len(acts)]
		live, cancel := context.WithTimeout(context.WithoutCancel(ctx), handshakeLimit)
		err := own[n/len(acts)%len(own)](live)
		cancel()
		u.Acts++
		if err != nil && len(u.Failed) < 20 {
			u.Failed = append(u.Failed, err.Error())
		}
	}
}

// pause is a time until which one does not read.
type pause struct{ until atomic.Int64 }

func (p *pause) set(d time.Duration) { p.until.Store(time.Now().Add(d).UnixNano()) }

// wait runs on the reader.
func (p *pause) wait() {
	if until := p.until.Load(); until != 0 {
		time.Sleep(time.Until(time.Unix(0, until)))
		p.until.CompareAndSwap(until, 0)
	}
}

// churn cuts receivers, who come back, and lets them stop reading.
func (d *direct) churn(ctx context.Context) {
	var acts [][]act
	for _, p := range d.pairs[:d.cfg.Churn] {
		acts = append(acts, []act{p.reconnect, func(context.Context) error { p.pause.set(d.cfg.Hold); return nil }})
	}
	churn(ctx, d.cfg.Every, acts, &d.unrest)
}

// reconnect cuts the receiver and lets it come back.
func (p *pair) reconnect(ctx context.Context) error {
	_ = p.receiver.Cut()
	p.tally.resume()
	if err := sleep(ctx, away); err != nil {
		return err
	}
	return p.dialReceiver(ctx)
}

// churn cuts members who do not write, who come back, and lets them stop reading.
func (h *hot) churn(ctx context.Context) {
	var acts [][]act
	for _, c := range h.crowds {
		for _, m := range c.members[len(c.members)-h.cfg.Churn:] {
			acts = append(acts, []act{m.reconnect, func(context.Context) error { m.pause.set(h.cfg.Hold); return nil }})
		}
	}
	churn(ctx, h.cfg.Every, acts, &h.unrest)
}

func (m *member) reconnect(ctx context.Context) error {
	_ = m.session.Cut()
	m.repeats += m.session.Counters().Repeats
	m.got.resume()
	if err := sleep(ctx, away); err != nil {
		return err
	}
	return m.dial(ctx)
}

// churn lets the guests of a room leave and come, be cut and come back, or stop reading. None of them can be held to having seen all, for
// a room keeps nothing for who is away; order and repeats count as for everybody.
func (r *room) churn(ctx context.Context) {
	var acts [][]act
	for _, v := range r.guests {
		acts = append(acts, []act{v.leaveAndCome, v.cutAndCome, v.hold})
	}
	churn(ctx, r.cfg.Every, acts, &r.unrest)
}

func (v *viewer) cutAndCome(ctx context.Context) error {
	if v.w.heldFor() > 0 {
		return nil // the server is to see how long one does not read
	}
	if !v.alive() {
		return v.excuse(ctx, v.ended)
	}
	return v.reconnect(ctx)
}

func (v *viewer) reconnect(ctx context.Context) error {
	v.close()
	v.heldOnce = false
	v.checker.got.resume()
	if err := sleep(ctx, away); err != nil {
		return err
	}
	return v.dial(ctx)
}

func (v *viewer) hold(ctx context.Context) error {
	if v.w.heldFor() > 0 {
		return nil // it does already
	}
	if !v.alive() {
		return v.excuse(ctx, v.ended)
	}
	v.heldOnce = true
	v.w.hold(v.r.cfg.Hold)
	return nil
}

// excuse takes an error for the server's right when the guest has not read for a while: such a one may be cut. It comes back.
func (v *viewer) excuse(ctx context.Context, err error) error {
	if !v.heldOnce {
		return err
	}
	v.r.unrest.Cut++
	return v.reconnect(ctx)
}

func (v *viewer) leaveAndCome(ctx context.Context) error {
	if v.w.heldFor() > 0 {
		return nil // it would not read the answer
	}
	if err := v.ask(ctx, msync.MUCBody_LEAVE); err != nil {
		return v.excuse(ctx, err)
	}
	if err := sleep(ctx, away); err != nil {
		return err
	}
	if err := v.ask(ctx, msync.MUCBody_JOIN); err != nil {
		return v.excuse(ctx, err)
	}
	return nil
}

// ask sends a command and waits for the answer, which the reader hands on.
func (v *viewer) ask(ctx context.Context, op msync.MUCBody_Operation) error {
	if err := v.command(op); err != nil {
		return fmt.Errorf("%v: %w", op, err)
	}
	for {
		select {
		case a := <-v.answers:
			if a.MetaID != v.nth {
				continue // to what was given up
			}
			if a.Code != msync.Status_OK {
				return fmt.Errorf("%v: %v %s", op, a.Code, a.Reason)
			}
			return nil
		case <-v.done:
			return fmt.Errorf("%v: %w", op, v.ended)
		case <-ctx.Done():
			return fmt.Errorf("%v: no answer: %w", op, context.Cause(ctx))
		}
	}
}

// answered runs on the reader. Nobody waits for more answers than there is room for.
func (v *viewer) answered(s *msync.SyncDown) {
	select {
	case v.answers <- client.Ack{MetaID: s.MetaID, Code: s.Status.Code, Reason: string(s.Status.Reason)}:
	default:
	}
}
