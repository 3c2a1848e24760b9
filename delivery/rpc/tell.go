package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"

	"parley/domain"
	"parley/schemas/cluster/clusterpb"
)

// link tells one life of another node what this one knows, over one stream after the other.
type link struct {
	links *Links
	to    domain.Node
	queue *queue
	log   *slog.Logger
}

func newLink(l *Links, to domain.Node) *link {
	return &link{links: l, to: to, queue: newQueue(l.cfg.Settings.Queue), log: l.log.With("node", to.Name, "life", to.Life)}
}

// Why a link ends, besides its breaking.
var (
	errFull   = errors.New("too much waits to be told")
	errSilent = errors.New("the node is silent")
)

// run begins the link again and again until ctx ends.
func (k *link) run(ctx context.Context) {
	set := &k.links.cfg.Settings
	for pause := set.Retry; ctx.Err() == nil; pause = min(2*pause, set.RetryMax) {
		up, err := k.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if up {
			pause = set.Retry
			k.links.metrics.cut("told", cutReason(err))
			k.log.Warn("a link is cut", "err", err)
		} else {
			k.links.metrics.failed.Inc()
			k.log.Debug("a link cannot begin", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

func cutReason(err error) string {
	switch {
	case errors.Is(err, errFull):
		return cutFull
	case errors.Is(err, errSilent):
		return cutSilent
	default:
		return cutBroken
	}
}

// once tells over one stream until it ends. up: the node had accepted it.
func (k *link) once(ctx context.Context) (up bool, err error) {
	conn, err := k.links.cfg.Dial(k.to.Name)
	if err != nil {
		return false, fmt.Errorf("dial: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(Silence, func() { cancel(errSilent) })
	defer silence.Stop()
	stream, err := k.hello(ctx, conn)
	if err != nil {
		return false, causeOr(ctx, err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() { cancel(k.listen(stream, silence)) })
	k.queue.begin(func() { cancel(errFull) })
	defer k.queue.close()
	k.links.metrics.up.Inc()
	defer k.links.metrics.up.Dec()
	return true, causeOr(ctx, k.tell(ctx, stream))
}

// causeOr prefers the reason for which ctx was ended to what the stream made of it.
func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

type tellStream = grpc.BidiStreamingClient[clusterpb.TellRequest, clusterpb.TellResponse]

// hello opens a stream and waits until the node accepts it: until then no snapshot is worth its while.
func (k *link) hello(ctx context.Context, conn *grpc.ClientConn) (tellStream, error) {
	stream, err := clusterpb.NewDeliveryClient(conn).Tell(ctx)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	self := k.links.cfg.Self
	err = stream.Send(&clusterpb.TellRequest{Content: &clusterpb.TellRequest_Hello{Hello: &clusterpb.Hello{
		From: string(self.Name), FromLife: self.Life, To: string(k.to.Name), ToLife: k.to.Life, Link: k.links.number.Add(1),
	}}})
	if err == nil || ctx.Err() == nil { // why it was refused comes with the answer
		_, err = stream.Recv()
	}
	if err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	return stream, nil
}

// listen waits until the stream ends, and notes that the node is not silent, and what it has applied.
func (k *link) listen(stream tellStream, silence *time.Timer) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		silence.Reset(Silence)
		k.queue.reached(r.GetApplied())
	}
}

// tell sends a snapshot and then what comes.
func (k *link) tell(ctx context.Context, stream tellStream) error {
	begin := time.Now()
	facts := batch{stream: stream, metrics: k.links.metrics}
	n := 0
	for _, kind := range k.links.kinds {
		k.links.cfg.Parties[kind].Snapshot(func(fact []byte) {
			facts.add(told{kind: kind, fact: fact})
			n++
		})
	}
	facts.flush()
	facts.send(&clusterpb.TellRequest{Content: &clusterpb.TellRequest_SnapshotEnd{SnapshotEnd: &clusterpb.SnapshotEnd{}}})
	if facts.err != nil {
		return fmt.Errorf("send a snapshot: %w", facts.err)
	}
	k.links.metrics.snapshotsTold.Inc()
	k.log.Info("a link is up", "facts", n, "ms", time.Since(begin).Milliseconds())
	facts.sent = k.queue.sent
	return k.drain(ctx, &facts)
}

// drain sends what is put into the queue until the stream ends.
func (k *link) drain(ctx context.Context, facts *batch) error {
	var spare []told
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("tell: %w", context.Cause(ctx))
		case <-k.queue.wake:
		}
		some := k.queue.take(spare)
		for i := range some {
			facts.add(some[i])
		}
		facts.flush()
		if facts.err != nil {
			return fmt.Errorf("tell: %w", facts.err)
		}
		clear(some)
		spare = spareOf(some)
	}
}

// spareOf returns room to be used again, if it is not too much to keep.
func spareOf(some []told) []told {
	if cap(some) > 4096 {
		return nil
	}
	return some
}
