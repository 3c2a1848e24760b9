package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"parley/schemas/cluster/clusterpb"
)

// run keeps the link until ctx ends: it opens a stream when there is something to send, and another when it broke.
func (l *link) run(ctx context.Context) {
	defer l.end()
	set := &l.peers.set
	pause := set.Pause
	for l.wait(ctx) {
		begin := time.Now()
		if l.exchange(ctx) {
			pause = set.Pause
		}
		if !sleep(ctx, pause-time.Since(begin)) {
			return
		}
		pause = min(2*pause, set.LongestPause)
	}
}

// wait returns true when something is to be sent, false when ctx ended.
func (l *link) wait(ctx context.Context) bool {
	for ctx.Err() == nil {
		if l.waiting() {
			return true
		}
		select {
		case <-l.news:
		case <-ctx.Done():
		}
	}
	return false
}

func (l *link) waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) > 0
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// exchange is the life of one stream. served tells that it brought an answer.
func (l *link) exchange(ctx context.Context) (served bool) {
	conn, err := l.peers.dial(l.node)
	if err != nil {
		l.report(ctx, brokeOpening, err)
		l.noNode()
		return false
	}
	life, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.open(life, cancel, conn)
	if err != nil {
		l.report(ctx, brokeOpening, err)
		return false
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		defer cancel()
		served, err = l.read(stream)
	})
	l.write(life, stream)
	cancel()
	reader.Wait()
	l.report(ctx, brokeOpen, err)
	l.broke()
	return served
}

// open opens a stream, waiting a little for the connection.
func (l *link) open(ctx context.Context, cancel func(), conn *grpc.ClientConn) (clusterpb.Ingest_ExchangeClient, error) {
	timer := time.AfterFunc(l.peers.set.OpenTimeout, cancel)
	turn := withTurn(ctx, l.peers.name, l.peers.streams.Add(1))
	stream, err := clusterpb.NewIngestClient(conn).Exchange(turn, grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(MessageBytes))
	if !timer.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard, l.cut = time.Now(), cancel
	return stream, nil
}

// read settles what is answered until the stream ends.
func (l *link) read(stream clusterpb.Ingest_ExchangeClient) (served bool, err error) {
	for {
		frame, err := stream.Recv()
		if err != nil {
			return served, err
		}
		served = true
		l.answer(frame)
	}
}

// write sends what waits until the stream ends.
func (l *link) write(ctx context.Context, stream clusterpb.Ingest_ExchangeClient) {
	for ctx.Err() == nil {
		frame, more := l.take(time.Now())
		if frame != nil {
			if err := stream.Send(frame); err != nil {
				return // the reader knows why
			}
			l.peers.metrics.frames.Inc()
		}
		if more {
			continue
		}
		select {
		case <-l.news:
		case <-ctx.Done():
		}
	}
}

// report counts and logs the end of a stream, unless ctx, the link's, ended it.
func (l *link) report(ctx context.Context, when string, err error) {
	if ctx.Err() != nil {
		return
	}
	l.peers.metrics.broken.WithLabelValues(when).Inc()
	l.peers.log.WarnContext(ctx, "link to a node ended", slog.String("node", string(l.node)), slog.String("when", when), slog.Any("error", err))
}
