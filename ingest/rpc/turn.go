package rpc

import (
	"context"
	"crypto/rand"
	"strconv"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What a stream says of itself when it begins: whose it is (one life of Peers), and which of its streams.
const (
	peerKey   = "parley-peer"
	streamKey = "parley-stream"
)

// newPeerName returns the name of a life of Peers.
func newPeerName() string { return rand.Text() }

// withTurn tells the far side which stream this is.
func withTurn(ctx context.Context, peer string, number uint64) context.Context {
	return metadata.AppendToOutgoingContext(ctx, peerKey, peer, streamKey, strconv.FormatUint(number, 10))
}

// errOldStream ends a stream of which there is a newer one.
var errOldStream = status.Error(codes.Aborted, "there is a newer stream")

// turns knows the stream of each other node that may hand commands over: the newest. Commands of an older one, which the other node has given up
// already, may still lie here unread; were they handed over later, they would come behind what was said after them.
type turns struct {
	mu sync.Mutex
	of map[string]*turn
}

// turn is one stream's. Its lock is held while a command is handed over.
type turn struct {
	number uint64
	cancel func()

	mu   sync.Mutex
	over bool
}

// begin gives the turn to a new stream; when it returns, no older one hands anything over any more. end gives it back. A stream that does not say
// whose it is has a turn of its own.
func (t *turns) begin(ctx context.Context, cancel func()) (now *turn, end func(), err error) {
	peer, stream := metadata.ValueFromIncomingContext(ctx, peerKey), metadata.ValueFromIncomingContext(ctx, streamKey)
	now = &turn{cancel: cancel}
	if len(peer) != 1 || len(stream) != 1 {
		return now, func() {}, nil
	}
	if now.number, err = strconv.ParseUint(stream[0], 10, 64); err != nil {
		return nil, nil, status.Error(codes.InvalidArgument, "bad number of a stream")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if before := t.of[peer[0]]; before != nil {
		if before.number > now.number {
			return nil, nil, errOldStream
		}
		before.stop()
	}
	t.of[peer[0]] = now
	return now, func() { t.end(peer[0], now) }, nil
}

func (t *turns) end(peer string, now *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[peer] == now {
		delete(t.of, peer)
	}
}

// stop ends the turn; it waits for the command that is being handed over.
func (t *turn) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.cancel()
}

// do hands a command over, unless the turn is over.
func (t *turn) do(handOver func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		handOver()
	}
	return !t.over
}
