package rpc_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
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
