package owners

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parley/domain"
	"parley/domain/fence"
	"parley/ingest/shard"
)

// tenure is one partition's part in this node's life: its shard runs here while the ring names the node, and until another node has taken over.
//
// What must hold: a command that is taken while the partition is handed over reaches the next owner behind those that were taken before it, or is
// refused as busy: at its deadline, or at once when too many wait.
type tenure struct {
	o  *Owners
	p  domain.Partition
	at atomic.Pointer[shard.Shard] // nil: the partition is not here

	asks chan chan struct{} // to hand over; each is closed when that is done

	mu     sync.RWMutex     // for writing also while commands are handed over: nobody finds their route before all of them are on it
	moving bool             // the shard hands over: what comes waits in late
	ended  bool             // run has returned
	left   []domain.Request // in order: what the shard that hands over has not decided; each with a deadline
	late   []domain.Request // in order: what comes while the shard hands over, or is about to open; each with a deadline
}

// submit hands a command to the shard that is here, or keeps it until the shard that leaves has handed its own over, or that which comes is open.
// here is false when there is none and none is about to be.
func (t *tenure) submit(req domain.Request) (here bool) {
	if s := t.at.Load(); s != nil && s.Take(req) {
		return true
	}
	return t.answered(req, func() bool { return false })
}

// submitFresh is submit for a command that nobody has sent on yet: it goes behind those of its stream that are under way to another node, if there are
// such. The partition may leave and come back between two looks: each looks for them first.
func (t *tenure) submitFresh(req domain.Request, hops int) (taken bool) {
	after := func() bool { return t.o.sendAfter(req, hops) }
	if t.sentOrTaken(req, after) {
		return true
	}
	return t.answered(req, after)
}

func (t *tenure) sentOrTaken(req domain.Request, after func() bool) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if after() {
		return true
	}
	s := t.at.Load()
	return s != nil && s.Take(req)
}

// answered is wait, and refuses what it says is to be refused.
func (t *tenure) answered(req domain.Request, after func() bool) (taken bool) {
	taken, err := t.wait(req, after)
	if err != nil {
		t.o.refuse(req, err)
	}
	return taken
}

// wait takes a command that the shard did not take, unless after has sent it, or says why it is to be refused.
func (t *tenure) wait(req domain.Request, after func() bool) (taken bool, err *domain.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch s := t.at.Load(); {
	case after():
		return true, nil
	case s != nil && !t.moving && s.Take(req): // it has just opened
		return true, nil
	case t.ended:
		return false, nil
	case t.passOn():
		return false, nil // behind what waited
	case len(t.late) >= t.o.cfg.Waiting:
		return true, errFull
	}
	if req.Deadline.IsZero() {
		req.Deadline = time.Now().Add(t.o.cfg.Shard.Deadline)
	}
	t.late = append(t.late, req)
	return true, nil
}

// run runs the partition's shard whenever the ring names the node, until ctx ends.
func (t *tenure) run(ctx context.Context) error {
	defer t.end()
	for ctx.Err() == nil {
		changed := t.o.ring.Changed()
		if t.o.ring.Standing(t.p) != fence.NotNamed {
			if err := t.serve(ctx); err != nil {
				return err
			}
			continue
		}
		t.mu.Lock()
		t.passOn()
		t.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case ask := <-t.asks:
			close(ask) // nothing is here
		case <-changed:
		}
	}
	return nil
}

// end refuses what waits, and all that comes.
func (t *tenure) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	for _, req := range t.late {
		req.Done(domain.Result{Err: errStopping})
	}
	t.late = nil
}

// lookEvery is how often a node that is not named looks whether it still owns.
const lookEvery = 100 * time.Millisecond

// serve runs a shard until ctx ends, the partition is handed over, or this node neither owns it nor is named.
func (t *tenure) serve(ctx context.Context) error {
	s, err := t.open()
	if err != nil {
		return err
	}
	defer t.close()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	asking, end := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer end()
	work.Go(func() { t.takeOver(asking, s) })
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			return err
		case ask := <-t.asks:
			end()
			t.handOver(s)
			close(ask)
			return t.await(done)
		case <-look.C:
			if !s.Owns() && t.o.ring.Standing(t.p) == fence.NotNamed {
				end()
				t.handOver(s)
				return t.await(done)
			}
		}
	}
}

// open makes the shard, unless it is there, and gives it what has waited for it.
func (t *tenure) open() (*shard.Shard, error) {
	if s := t.at.Load(); s != nil {
		return s, nil
	}
	s, err := shard.New(t.o.shardConfig(t.p))
	if err != nil {
		return nil, fmt.Errorf("owners: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, req := range t.late { // before anybody else finds the shard
		s.Submit(req)
	}
	t.late = nil
	t.at.Store(s)
	return s, nil
}

// close takes the shard away, which has ended.
func (t *tenure) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at.Store(nil)
}

// handOver gives what the shard has not decided to whom the ring names, and what came meanwhile behind it. All of it goes back to its senders
// when it may have come behind an outcome that was left unknown.
func (t *tenure) handOver(s *shard.Shard) {
	begin := time.Now()
	defer func() { t.o.metrics.handed.Observe(time.Since(begin).Seconds()) }()
	t.mu.Lock()
	t.moving = true
	t.mu.Unlock()
	<-s.HandOver(func(req domain.Request) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.left = append(t.left, req)
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at.Store(nil)
	t.moving = false
	t.late, t.left = append(t.left, t.late...), nil
	if s.Uncertain() { // their senders keep them in order, behind what is submitted again
		for _, req := range t.late {
			req.Done(domain.Result{Err: errMoved})
		}
		t.late = nil
	}
	t.passOn() // named again: the next shard takes what waits
}

// passOn sends what waits to whom the ring names, unless that is this node, or its shard has yet to hand over: ok tells. Call with mu held.
func (t *tenure) passOn() (ok bool) {
	if t.moving || t.o.ring.Standing(t.p) != fence.NotNamed {
		return false
	}
	for _, req := range t.late {
		t.o.forward(t.p, req, 1)
	}
	t.late = nil
	return true
}

// await waits for a shard that has handed over to end. The ring may say meanwhile that what waits for the next shard is to go elsewhere.
func (t *tenure) await(done <-chan error) error {
	for {
		changed := t.o.ring.Changed()
		t.mu.Lock()
		t.passOn()
		t.mu.Unlock()
		select {
		case err := <-done:
			return err
		case <-changed:
		}
	}
}

const (
	askLimit = 2 * time.Second       // of one try: then the fence has waited long enough to claim anyway
	askPause = 50 * time.Millisecond // between tries
)

// takeOver asks the node that has the partition to hand it over, so that the claim need not wait until the ring has settled.
func (t *tenure) takeOver(ctx context.Context, s *shard.Shard) {
	for ctx.Err() == nil && !s.Owns() {
		changed := t.o.ring.Changed()
		wait := time.Hour
		if from, ok := t.o.ring.From(t.p); ok {
			try, cancel := context.WithTimeout(ctx, askLimit)
			err := t.o.peers.Release(try, from, t.p)
			cancel()
			if err == nil {
				t.o.ring.HandedOver(t.p)
				return
			}
			wait = askPause
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(wait):
		}
	}
}

var errStillNamed = errors.New("the ring still names this node")

// Release hands a partition over to a node that the ring names in this one's stead: it returns when the shard here decides nothing more and what
// it has sent to the log is settled. It waits until this node's ring agrees: a node that is still named would take the partition again.
func (o *Owners) Release(ctx context.Context, p domain.Partition) error {
	t := o.tenures[p]
	if t == nil {
		return errPartition
	}
	for {
		changed := o.ring.Changed()
		if o.ring.Standing(p) == fence.NotNamed {
			break
		}
		select {
		case <-ctx.Done():
			return errStillNamed
		case <-changed:
		}
	}
	ask := make(chan struct{})
	select {
	case t.asks <- ask:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-ask:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
