package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"parley/delivery/rpc"
	"parley/domain"
	"parley/schemas/cluster/clusterpb"
)

// raw is a node that tells what a test has it tell.
type raw struct {
	t      *testing.T
	hears  *node
	book   *book
	client clusterpb.DeliveryClient
	self   domain.Node
}

func newRaw(t *testing.T) *raw {
	r := &raw{t: t, book: newBook(t), self: domain.Node{Name: "raw", Life: 7}}
	r.hears = start("b", func(domain.NodeName) string { return "127.0.0.1:1" }, settings(), map[rpc.Kind]rpc.Party{rpc.Sessions: r.book})
	r.hears.links.Members([]domain.Node{r.self})
	conn := must(grpc.NewClient("passthrough:///"+r.hears.addr, append(rpc.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...))
	r.client = clusterpb.NewDeliveryClient(conn)
	t.Cleanup(func() { require.NoError(t, conn.Close()); r.hears.stop() })
	return r
}

type rawLink = grpc.BidiStreamingClient[clusterpb.TellRequest, clusterpb.TellResponse]

func (r *raw) hello(link uint64) *clusterpb.Hello {
	return &clusterpb.Hello{From: "raw", FromLife: 7, To: "b", ToLife: r.hears.Life, Link: link}
}

// open opens a link; the error is that of the first answer.
func (r *raw) open(first *clusterpb.TellRequest) (rawLink, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	r.t.Cleanup(cancel)
	s := must(r.client.Tell(ctx))
	must(0, s.Send(first))
	_, err := s.Recv()
	return s, err
}

func (r *raw) begin(link uint64) rawLink {
	s, err := r.open(&clusterpb.TellRequest{Content: &clusterpb.TellRequest_Hello{Hello: r.hello(link)}})
	require.NoError(r.t, err)
	return s
}

func facts(kind uint32, all ...string) *clusterpb.TellRequest {
	run := &clusterpb.Run{Kind: kind}
	for _, f := range all {
		run.Facts = append(run.Facts, []byte(f))
	}
	return &clusterpb.TellRequest{Content: &clusterpb.TellRequest_Facts{Facts: &clusterpb.Facts{Runs: []*clusterpb.Run{run}}}}
}

var snapshotEnd = &clusterpb.TellRequest{Content: &clusterpb.TellRequest_SnapshotEnd{SnapshotEnd: &clusterpb.SnapshotEnd{}}}

// knows waits until words are known.
func (r *raw) knows(words ...string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		got := r.book.knows(r.self)
		if len(got) != len(words) {
			return false
		}
		for i := range got {
			if got[i] != words[i] {
				return false
			}
		}
		return true
	}, 5*time.Second, 2*time.Millisecond)
}

// ends waits until a link is ended by the other side.
func ends(t *testing.T, s rawLink, code codes.Code) {
	t.Helper()
	for {
		if _, err := s.Recv(); err != nil {
			require.Equal(t, code, status.Code(err), err)
			return
		}
	}
}

func TestWhoIsNotHeard(t *testing.T) {
	r := newRaw(t)
	for _, c := range []struct {
		name   string
		change func(*clusterpb.Hello)
		code   codes.Code
	}{
		{"another node is meant", func(h *clusterpb.Hello) { h.To = "c" }, codes.FailedPrecondition},
		{"an earlier life is meant", func(h *clusterpb.Hello) { h.ToLife-- }, codes.FailedPrecondition},
		{"no member", func(h *clusterpb.Hello) { h.From = "x" }, codes.Unavailable},
		{"a life that is no member", func(h *clusterpb.Hello) { h.FromLife++ }, codes.Unavailable},
		{"a life that was", func(h *clusterpb.Hello) { h.FromLife-- }, codes.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := r.hello(1)
			c.change(h)
			_, err := r.open(&clusterpb.TellRequest{Content: &clusterpb.TellRequest_Hello{Hello: h}})
			require.Equal(t, c.code, status.Code(err), err)
		})
	}
	_, err := r.open(facts(1, "+x"))
	require.Equal(t, codes.InvalidArgument, status.Code(err), "no hello")
	require.Nil(t, r.book.knows(r.self))
}

// A link that a later one has replaced is not heard, whatever still comes out of it.
func TestALaterLinkReplacesAnEarlierOne(t *testing.T) {
	r := newRaw(t)
	old := r.begin(3)
	require.NoError(t, old.Send(facts(1, "+x")))
	r.knows("x")
	now := r.begin(5)
	_ = old.Send(facts(1, "+stale"))
	ends(t, old, codes.Aborted)
	require.NoError(t, now.Send(facts(1, "+y")))
	r.knows("x", "y") // x until the snapshot ends
	require.NoError(t, now.Send(snapshotEnd))
	r.knows("y")
	for _, link := range []uint64{4, 5} {
		_, err := r.open(&clusterpb.TellRequest{Content: &clusterpb.TellRequest_Hello{Hello: r.hello(link)}})
		require.Equal(t, codes.Aborted, status.Code(err), "a link that came late")
	}
	require.NoError(t, now.Send(facts(1, "+z")))
	r.knows("y", "z")
	require.EqualValues(t, 1, r.hears.value("cuts_total", "replaced"))
	r.hears.links.Members(nil)
	_ = now.Send(facts(1, "+stale"))
	ends(t, now, codes.Unavailable)
	require.Nil(t, r.book.knows(r.self))
	require.Equal(t, 1, r.book.timesGone(r.self))
}

// What a later version says, and what cannot be read, is left out and counted; the rest counts.
func TestWhatIsNotUnderstood(t *testing.T) {
	r := newRaw(t)
	s := r.begin(1)
	for _, m := range []*clusterpb.TellRequest{
		facts(1, "+a"), facts(77, "x", "y"), facts(257, "+beyond a byte"), {}, facts(1, "?", "+b"), snapshotEnd, facts(1, "-a"),
	} {
		require.NoError(t, s.Send(m))
	}
	r.knows("b")
	require.EqualValues(t, 4, r.hears.value("dropped_total", "unknown_kind"))
	require.EqualValues(t, 1, r.hears.value("dropped_total", "unreadable"))
	require.NoError(t, s.CloseSend())
	for {
		if _, err := s.Recv(); err != nil {
			break
		}
	}
	require.Equal(t, []string{"b"}, r.book.knows(r.self))
}
