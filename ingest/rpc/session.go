package rpc

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"parley/domain"
	"parley/schemas/cluster"
	"parley/schemas/cluster/clusterpb"
)

// exchangeStream is the far side of a link's stream.
type exchangeStream = grpc.BidiStreamingServer[clusterpb.ExchangeRequest, clusterpb.ExchangeResponse]

// session is one link of another node. Its reader hands commands to their owner in turn; whoever answers only queues; its writer sends what has
// gathered. Reads run beside them.
type session struct {
	*server
	stream exchangeStream
	turn   *turn
	news   chan struct{} // has room for one: there are answers
	room   chan struct{} // has room for one: open has fallen
	reads  chan struct{} // a place for each read that runs
	work   sync.WaitGroup

	mu      sync.Mutex
	answers []*clusterpb.Answer
	open    int // calls whose answer is not sent
	ended   bool
}

// Exchange implements clusterpb.IngestServer.
func (s *server) Exchange(stream exchangeStream) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	turn, end, err := s.turns.begin(ctx, cancel)
	if err != nil {
		return err
	}
	defer end()
	s.metrics.links.Inc()
	defer s.metrics.links.Dec()
	x := &session{
		server: s, stream: stream, turn: turn,
		news: make(chan struct{}, 1), room: make(chan struct{}, 1), reads: make(chan struct{}, s.set.Reads),
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		defer cancel()
		x.write(ctx)
	})
	err = x.read(ctx)
	cancel()
	writer.Wait()
	x.work.Wait()
	x.end()
	return err
}

// read takes calls until the stream ends. When too many have no answer it waits, and with it the other node.
func (x *session) read(ctx context.Context) error {
	for {
		frame, err := x.stream.Recv()
		if err != nil {
			return err
		}
		now := time.Now()
		for _, c := range frame.GetCalls() {
			if !x.enter(ctx) {
				return ctx.Err()
			}
			if !x.turn.do(func() { x.take(ctx, c, now) }) {
				return errOldStream
			}
		}
	}
}

// enter counts a call in, when there is room. false: ctx ended.
func (x *session) enter(ctx context.Context) bool {
	for waited := false; ; waited = true {
		x.mu.Lock()
		ok := x.open < 2*x.set.InFlight // the other node keeps to once, but gives up some that are still under way here
		if ok {
			x.open++
		}
		x.mu.Unlock()
		if ok {
			return true
		}
		if !waited {
			x.metrics.full.Inc()
		}
		select {
		case <-x.room:
		case <-ctx.Done():
			return false
		}
	}
}

// take begins a call.
func (x *session) take(ctx context.Context, c *clusterpb.Call, now time.Time) {
	switch want := c.GetWant().(type) {
	case *clusterpb.Call_Command:
		x.command(ctx, c, want.Command, now)
	case *clusterpb.Call_Read:
		x.metrics.reads.Inc()
		x.startRead(ctx, c, want.Read)
	default: // of a newer version
		x.answer(&clusterpb.Answer{Id: c.GetId(), Failure: cluster.EncodeFailure(errNoCall)})
	}
}

// command hands a command to its owner. One that cannot be read, as it is of a newer version, is refused as Busy: a node that knows it may
// own the stream soon.
func (x *session) command(ctx context.Context, c *clusterpb.Call, want *clusterpb.Command, now time.Time) {
	x.metrics.commands.Inc()
	id := c.GetId()
	cmd, err := cluster.DecodeCommand(want.GetName(), want.GetBody())
	if err != nil {
		x.log.WarnContext(ctx, "command of another node is not known", slog.String("command", want.GetName()), slog.Any("error", err))
		x.answer(cluster.EncodeResult(id, domain.Result{Err: &domain.Error{Code: errNoCall.Code, Reason: errNoCall.Reason, Err: err}}))
		return
	}
	req := domain.Request{
		Stream: domain.StreamID(want.GetStream()), Command: cmd,
		Done: func(r domain.Result) { x.answer(cluster.EncodeResult(id, r)) },
	}
	if left, limited := timeLeft(c); limited {
		req.Deadline = now.Add(left)
	}
	x.owners.SubmitHere(req, int(want.GetHops()))
}

// timeLeft returns how long a call may take; limited is false when it does not say.
func timeLeft(c *clusterpb.Call) (left time.Duration, limited bool) {
	micros := min(c.GetLeftMicros(), uint64(longest/time.Microsecond))
	return time.Duration(micros) * time.Microsecond, micros > 0
}

// longest is as much time as any call has.
const longest = time.Hour

// startRead reads rows beside the commands, or refuses to when too many do.
func (x *session) startRead(ctx context.Context, c *clusterpb.Call, want *clusterpb.Read) {
	select {
	case x.reads <- struct{}{}:
	default:
		x.answer(&clusterpb.Answer{Id: c.GetId(), Failure: cluster.EncodeFailure(errReadsFull)})
		return
	}
	left, limited := timeLeft(c)
	if !limited {
		left = x.set.Deadline
	}
	x.work.Go(func() {
		defer func() { <-x.reads }()
		ctx, cancel := context.WithTimeout(ctx, left+x.set.Margin/2) // the caller's own end comes first
		defer cancel()
		rows, err := x.rows(ctx, want)
		if err != nil && ctx.Err() != nil {
			err = errExpired
		}
		if err != nil {
			x.answer(&clusterpb.Answer{Id: c.GetId(), Failure: cluster.EncodeFailure(err)})
			return
		}
		x.answer(&clusterpb.Answer{Id: c.GetId(), Rows: cluster.EncodeRows(rows, x.set.AnswerBytes)})
	})
}

func (x *session) rows(ctx context.Context, want *clusterpb.Read) ([]domain.Row, error) {
	if len(want.GetHeads()) > 0 {
		return x.owners.HeadsHere(ctx, ids[domain.StreamID](want.GetHeads()))
	}
	return x.owners.RowsHere(ctx, domain.StreamID(want.GetStream()), ids[domain.PartID](want.GetParts()))
}

func ids[S ~string](in [][]byte) []S {
	out := make([]S, len(in))
	for i, b := range in {
		out[i] = S(b)
	}
	return out
}

// answer queues an answer. Anybody may call it; it never blocks. After the session's end the answer is for nobody.
func (x *session) answer(a *clusterpb.Answer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return
	}
	x.answers = append(x.answers, a)
	if len(x.answers) == 1 {
		ring(x.news)
	}
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// write sends answers until ctx ends.
func (x *session) write(ctx context.Context) {
	for {
		select {
		case <-x.news:
		case <-ctx.Done():
			return
		}
		for frame := x.gather(); frame != nil; frame = x.gather() {
			if err := x.stream.Send(frame); err != nil {
				return // the reader is told, too
			}
			x.sent(len(frame.GetAnswers()))
		}
	}
}

// gather returns a frame of the answers that wait, nil when none do.
func (x *session) gather() *clusterpb.ExchangeResponse {
	x.mu.Lock()
	defer x.mu.Unlock()
	n, size := 0, 0
	for _, a := range x.answers {
		if n == x.set.FrameCalls || size > x.set.FrameBytes {
			break
		}
		n++
		for _, r := range a.GetRows() {
			size += len(r.GetForm())
		}
	}
	if n == 0 {
		return nil
	}
	frame := &clusterpb.ExchangeResponse{Answers: append([]*clusterpb.Answer(nil), x.answers[:n]...)}
	rest := copy(x.answers, x.answers[n:])
	clear(x.answers[rest:])
	x.answers = x.answers[:rest]
	return frame
}

// sent counts calls out.
func (x *session) sent(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.open -= n
	ring(x.room)
}

func (x *session) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ended, x.answers = true, nil
}
