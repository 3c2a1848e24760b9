package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/ingest/rpc"
)

// accounts answers heads with an account of the stream's user, for every third with none.
func accounts(_ context.Context, ids []domain.StreamID) ([]domain.Row, error) {
	out := make([]domain.Row, len(ids))
	for i, id := range ids {
		st, ok := id.Parse()
		if !ok {
			return nil, domain.Refuse(domain.BadRequest, "malformed stream")
		}
		if !strings.HasSuffix(st.A, "3") {
			out[i] = &user.Head{Exists: true, UUID: st.A, Nickname: strings.Repeat("n", 100)}
		}
	}
	return out, nil
}

func TestHeads(t *testing.T) {
	f := newFar(t, &owner{heads: accounts}, rpc.Settings{AnswerBytes: 2000})
	p, _ := near(t, f, rpc.Settings{ReadRows: 30})
	for _, n := range []int{0, 1, 29, 30, 31, 200} {
		ids := make([]domain.StreamID, n)
		for i := range ids {
			ids[i] = domain.UserStream("demo#chat", domain.UserID(fmt.Sprint("u", i)))
		}
		want, err := accounts(t.Context(), ids)
		require.NoError(t, err)
		got, err := p.Heads(t.Context(), there, ids)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := p.Heads(t.Context(), there, []domain.StreamID{"x"})
	require.Equal(t, domain.BadRequest, domain.CodeOf(err))
	_, err = p.Heads(t.Context(), "n9", []domain.StreamID{"demo#chat/u/ann"})
	require.Equal(t, domain.Unknown, domain.CodeOf(err))
}

func TestRows(t *testing.T) {
	stream := domain.DirectStream("demo#chat", "ann", "bob")
	rows := map[domain.PartID]domain.Row{
		"m/ann": &conversation.Member{User: "ann", Incarnation: 1}, "s/ann/web": conversation.NewSends(nil), "": &conversation.Head{Seq: 7},
	}
	f := newFar(t, &owner{rows: func(_ context.Context, id domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
		if id != stream {
			return make([]domain.Row, len(parts)+1), nil // more than asked for
		}
		out := make([]domain.Row, len(parts))
		for i, part := range parts {
			if r := rows[part]; r != nil {
				out[i] = r
			}
		}
		return out, nil
	}}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{ReadRows: 2})
	got, err := p.Rows(t.Context(), there, stream, []domain.PartID{"m/ann", "m/bob", "", "s/ann/web", "m/ann"})
	require.NoError(t, err)
	require.Equal(t, []domain.Row{rows["m/ann"], nil, rows[""], rows["s/ann/web"], rows["m/ann"]}, got)
	got, err = p.Rows(t.Context(), there, stream, nil)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = p.Rows(t.Context(), there, "demo#chat/u/ann", []domain.PartID{""})
	require.Equal(t, domain.Internal, domain.CodeOf(err))
}

// A read ends with its context, here and there; too many at once are refused; commands pass all the while.
func TestReadsThatHang(t *testing.T) {
	var running, ended atomic.Int32
	f := newFar(t, &owner{submit: echo, heads: func(ctx context.Context, _ []domain.StreamID) ([]domain.Row, error) {
		running.Add(1)
		defer ended.Add(1)
		<-ctx.Done()
		return nil, ctx.Err()
	}}, rpc.Settings{Reads: 3})
	p, _ := near(t, f, rpc.Settings{InFlight: 8})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	errs := make(chan error, 10)
	for range 5 {
		go func() {
			_, err := p.Heads(ctx, there, []domain.StreamID{"demo#chat/u/ann"})
			errs <- err
		}()
	}
	for range 2 {
		require.Equal(t, domain.Busy, domain.CodeOf(<-errs))
	}
	c := newTally(1)
	p.Submit(there, send(1, c.done(0)), 0)
	require.Equal(t, map[domain.Code]int{"": 1}, c.wait(t, 5*time.Second))
	for range 3 {
		require.ErrorIs(t, <-errs, context.DeadlineExceeded)
	}
	require.Eventually(t, func() bool { return ended.Load() == 3 }, 5*time.Second, time.Millisecond)
	require.EqualValues(t, 3, running.Load())

	// What was given up takes no room: there is some for eight more.
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := p.Heads(ctx, there, []domain.StreamID{"demo#chat/u/ann"})
		require.ErrorIs(t, err, context.Canceled)
	}
}

func TestRelease(t *testing.T) {
	f := newFar(t, &owner{release: func(ctx context.Context, p domain.Partition) error {
		switch p {
		case 1:
			return nil
		case 2:
			return domain.Refuse(domain.Unknown, "moved")
		default:
			<-ctx.Done()
			return ctx.Err()
		}
	}}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{})
	require.NoError(t, p.Release(t.Context(), there, 1))
	require.Equal(t, domain.Unknown, domain.CodeOf(p.Release(t.Context(), there, 2)))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Release(ctx, there, 3), context.DeadlineExceeded)
	require.Equal(t, domain.Unknown, domain.CodeOf(p.Release(t.Context(), "n9", 1)))
	f.stop()
	require.Equal(t, domain.Unknown, domain.CodeOf(p.Release(t.Context(), there, 1)))
}

func TestWait(t *testing.T) {
	positions := map[domain.Partition]domain.Index{1: 5, 2049: 1 << 40}
	var answer error
	f := newFar(t, &owner{wait: func(_ context.Context, got map[domain.Partition]domain.Index, names []string) error {
		if fmt.Sprint(got, names) != fmt.Sprint(positions, []string{"timeline"}) {
			return fmt.Errorf("got %v %v", got, names)
		}
		return answer
	}}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{})
	for _, want := range []error{nil, rpc.ErrLate, rpc.ErrNotHere} {
		if answer = want; want != nil {
			answer = fmt.Errorf("partition 1: %w", want)
		}
		err := p.Wait(t.Context(), there, positions, []string{"timeline"})
		require.ErrorIs(t, err, want)
	}
	answer = errors.New("strange")
	err := p.Wait(t.Context(), there, positions, []string{"timeline"})
	require.ErrorContains(t, err, "strange")
	require.Equal(t, domain.Internal, domain.CodeOf(err))
	require.Error(t, p.Wait(t.Context(), there, nil, nil))
}

func TestOperate(t *testing.T) {
	f := newFar(t, &owner{operate: func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusOK) // too late
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Query().Get("a"), b)
		case "/large":
			for range 300 {
				_, _ = w.Write(make([]byte, 10))
			}
		case "/panic":
			panic("strange")
		}
	}}, rpc.Settings{OperateBytes: 2000})
	p, _ := near(t, f, rpc.Settings{})
	status, answer, err := p.Operate(t.Context(), there, http.MethodPost, "/echo?a=b%20c", []byte("body"))
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, status)
	require.Equal(t, "POST b c body", string(answer))
	status, answer, err = p.Operate(t.Context(), there, http.MethodGet, "/nothing", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, answer)
	_, _, err = p.Operate(t.Context(), there, http.MethodGet, "/large", nil)
	require.Equal(t, domain.TooLarge, domain.CodeOf(err))
	_, _, err = p.Operate(t.Context(), there, http.MethodPost, "/echo", make([]byte, 3000))
	require.Equal(t, domain.TooLarge, domain.CodeOf(err))
	for _, path := range []string{"/panic", "http://[", ":"} {
		_, _, err = p.Operate(t.Context(), there, http.MethodGet, path, nil)
		require.Error(t, err, path)
	}
}

// The largest commands pass; what is larger is refused here.
func TestLargeCommands(t *testing.T) {
	taken := make(chan domain.Command, 1)
	f := newFar(t, &owner{submit: func(req domain.Request, _ int) { taken <- req.Command; req.Done(domain.Result{}) }}, rpc.Settings{})
	p, _ := near(t, f, rpc.Settings{})
	bulk := conversation.AddMembers{By: conversation.Actor{App: true}}
	for i := range conversation.MaxBulk {
		bulk.Users = append(bulk.Users, conversation.Person{User: domain.UserID(fmt.Sprintf("%064d", i)), Incarnation: 1 << 31})
	}
	message := conversation.SendGroupMessage{Body: make([]byte, 900<<10)}
	for _, cmd := range []domain.Command{bulk, message} {
		result := make(chan domain.Result, 1)
		p.Submit(there, domain.Request{Stream: "demo#chat/g/7", Command: cmd, Done: func(r domain.Result) { result <- r }}, 0)
		require.Equal(t, cmd, <-taken)
		require.NoError(t, (<-result).Err)
	}
	message.Body = make([]byte, 2<<20)
	for cmd, code := range map[*domain.Command]domain.Code{
		new(domain.Command(message)): domain.TooLarge, new(domain.Command(strange{})): domain.Internal,
	} {
		result := make(chan domain.Result, 1)
		p.Submit(there, domain.Request{Stream: "demo#chat/g/7", Command: *cmd, Done: func(r domain.Result) { result <- r }}, 0)
		require.Equal(t, code, domain.CodeOf((<-result).Err))
	}
}

type strange struct{}

func (strange) CommandName() string { return "Strange" }
