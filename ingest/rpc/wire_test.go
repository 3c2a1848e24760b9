package rpc_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"parley/domain"
	"parley/ingest/rpc"
	"parley/schemas/cluster"
	"parley/schemas/cluster/clusterpb"
)

// inMemory serves over memory and returns the connection to it.
func inMemory(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	lis, server, served := bufconn.Listen(1<<20), grpc.NewServer(), make(chan struct{})
	register(server)
	go func() { defer close(served); _ = server.Serve(lis) }()
	conn, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	return conn
}

// What another version asks for, or garbles, is refused call by call; the stream goes on.
func TestCallsThatAreNotKnown(t *testing.T) {
	conn := inMemory(t, func(s *grpc.Server) { rpc.Register(s, rpc.ServerConfig{Owners: &owner{submit: echo}}) })
	stream, err := clusterpb.NewIngestClient(conn).Exchange(t.Context())
	require.NoError(t, err)
	name, body, err := cluster.EncodeCommand(send(9, nil).Command)
	require.NoError(t, err)
	command := func(id uint64, name string, body []byte) *clusterpb.Call {
		return &clusterpb.Call{Id: id, Want: &clusterpb.Call_Command{Command: &clusterpb.Command{Stream: []byte("s"), Name: name, Body: body}}}
	}
	require.NoError(t, stream.Send(&clusterpb.ExchangeRequest{Calls: []*clusterpb.Call{
		{Id: 1}, command(2, "Fly", nil), command(3, name, body[:7]), command(4, name, body), command(4, name, body), {Id: 6, LeftMicros: 1 << 63},
	}}))
	var answers []*clusterpb.Answer
	for len(answers) < 6 {
		frame, err := stream.Recv()
		require.NoError(t, err)
		answers = append(answers, frame.GetAnswers()...)
	}
	for i, want := range []domain.Code{domain.Busy, domain.Busy, domain.Busy, "", "", domain.Busy} {
		require.Equal(t, want, domain.CodeOf(cluster.DecodeResult(answers[i]).Err), "answer %d", i)
	}
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	require.Error(t, err)
}

// What lies unread in a stream is not done once there is a newer one, and an older stream gets no turn.
func TestNewerStreamEndsOlder(t *testing.T) {
	const many = 2000
	var mu sync.Mutex
	var arrived []int
	conn := inMemory(t, func(s *grpc.Server) {
		rpc.Register(s, rpc.ServerConfig{Owners: &owner{submit: func(req domain.Request, _ int) {
			mu.Lock()
			arrived = append(arrived, clientID(req.Command))
			mu.Unlock()
			time.Sleep(50 * time.Microsecond)
			echo(req, 0)
		}}})
	})
	open := func(number string, from, n int) clusterpb.Ingest_ExchangeClient {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "parley-peer", "a", "parley-stream", number)
		stream, err := clusterpb.NewIngestClient(conn).Exchange(ctx)
		require.NoError(t, err)
		frame := &clusterpb.ExchangeRequest{}
		for i := range n {
			name, body, err := cluster.EncodeCommand(send(from+i, nil).Command)
			require.NoError(t, err)
			command := &clusterpb.Command{Stream: []byte("s"), Name: name, Body: body}
			frame.Calls = append(frame.Calls, &clusterpb.Call{Id: uint64(i), Want: &clusterpb.Call_Command{Command: command}})
		}
		_ = stream.Send(frame) // one without a turn may be over already
		return stream
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(arrived) }
	open("7", 0, many)
	require.Eventually(t, func() bool { return count() > 10 }, 5*time.Second, time.Millisecond)
	newer := open("9", many, 1)
	_, err := newer.Recv()
	require.NoError(t, err)
	_, err = open("8", many+1, 1).Recv()
	require.Equal(t, codes.Aborted, status.Code(err))
	_, err = open("x", many+1, 1).Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	time.Sleep(20 * time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	require.Less(t, len(arrived), many)
	require.Equal(t, many, arrived[len(arrived)-1])
	for i := range len(arrived) - 1 {
		require.Equal(t, i, arrived[i])
	}
}

// liar is a node that answers calls twice, and calls that nobody made.
type liar struct {
	clusterpb.UnimplementedIngestServer
}

func (liar) Exchange(stream grpc.BidiStreamingServer[clusterpb.ExchangeRequest, clusterpb.ExchangeResponse]) error {
	for {
		frame, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, c := range frame.GetCalls() {
			a := &clusterpb.Answer{Id: c.GetId()}
			err := stream.Send(&clusterpb.ExchangeResponse{Answers: []*clusterpb.Answer{a, a, {Id: 1 << 60}, {}, nil}})
			if err != nil {
				return err
			}
		}
	}
}

func TestAnswersThatNobodyWaitsFor(t *testing.T) {
	p, _ := peersOver(t, inMemory(t, func(s *grpc.Server) { clusterpb.RegisterIngestServer(s, liar{}) }), rpc.Settings{})
	c := newTally(100)
	for i := range 100 {
		p.Submit(there, send(i, c.done(i)), 0)
	}
	require.Equal(t, map[domain.Code]int{"": 100}, c.wait(t, 5*time.Second))
}

// A node that does not offer the service at all: unknown, and tried again with pauses.
func TestNoSuchService(t *testing.T) {
	p, _ := peersOver(t, inMemory(t, func(*grpc.Server) {}), rpc.Settings{})
	c := newTally(1)
	p.Submit(there, send(1, c.done(0)), 0)
	require.Equal(t, map[domain.Code]int{domain.Unknown: 1}, c.wait(t, 5*time.Second))
	_, _, err := p.Operate(t.Context(), there, "GET", "/", nil)
	require.Equal(t, domain.Unsupported, domain.CodeOf(err))
}

func TestSettings(t *testing.T) {
	require.NoError(t, rpc.Settings{}.Validate())
	err := rpc.Settings{InFlight: -1, CommandBytes: 3 << 20, Idle: -time.Second}.Validate()
	for _, name := range []string{"in_flight", "command_bytes", "idle"} {
		require.ErrorContains(t, err, name)
	}
}
