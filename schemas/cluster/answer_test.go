package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/schemas/cluster"
	"parley/schemas/cluster/clusterpb"
)

func as[E error](err error, target *E) bool { return errors.As(err, target) }

func TestResultsSurvive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := domain.Result{
			Seq: domain.Seq(rapid.Uint64().Draw(rt, "seq")), T: domain.T(rapid.Uint64().Draw(rt, "t")), Repeat: rapid.Bool().Draw(rt, "repeat"),
		}
		if rapid.Bool().Draw(rt, "has position") {
			want.Position = domain.Position{
				Partition: domain.Partition(rapid.Uint16().Draw(rt, "partition")), Offset: domain.Offset(rapid.Int64().Draw(rt, "offset")),
				Term: domain.Term(rapid.Uint64().Draw(rt, "term")), Index: domain.Index(rapid.Uint64().Draw(rt, "index")),
				Prev: rapid.Uint64().Draw(rt, "prev"),
			}
		}
		if rapid.Bool().Draw(rt, "failed") {
			text := string(rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(rt, "reason"))
			want.Err = domain.Refuse(rapid.SampledFrom([]domain.Code{domain.Busy, domain.Unknown, domain.GroupFull, "new_code"}).Draw(rt, "code"), text)
		}
		id := rapid.Uint64().Draw(rt, "id")
		b, err := proto.Marshal(cluster.EncodeResult(id, want))
		require.NoError(rt, err)
		var a clusterpb.Answer
		require.NoError(rt, proto.Unmarshal(b, &a))
		require.Equal(rt, id, a.GetId())
		require.Equal(rt, want, cluster.DecodeResult(&a))
	})
}

func TestFailures(t *testing.T) {
	refused := domain.Refuse(domain.NotMember, "not in the group")
	for name, c := range map[string]struct {
		err        error
		code       domain.Code
		reason     string
		cause, all string
	}{
		"refused":         {refused, domain.NotMember, "not in the group", "", refused.Error()},
		"wrapped":         {fmt.Errorf("heads: %w", refused), domain.NotMember, "not in the group", "heads: " + refused.Error(), ""},
		"with a cause":    {domain.Fail(domain.Busy, errors.New("disk")), domain.Busy, "", "disk", "busy: disk"},
		"not of domain":   {context.Canceled, domain.Internal, "", "context canceled", "internal: context canceled"},
		"a long cause":    {errors.New(strings.Repeat("x", 5000)), domain.Internal, "", strings.Repeat("x", 1024), ""},
		"a code not text": {domain.Refuse("\xff", "\xff"), "?", "\xff", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := proto.Marshal(cluster.EncodeFailure(c.err))
			require.NoError(t, err)
			var f clusterpb.Failure
			require.NoError(t, proto.Unmarshal(b, &f))
			got := new(domain.Error)
			require.ErrorAs(t, cluster.DecodeFailure(&f), &got)
			require.Equal(t, c.code, got.Code)
			require.Equal(t, c.reason, got.Reason)
			if c.cause == "" {
				require.NoError(t, got.Err)
			} else {
				require.EqualError(t, got.Err, c.cause)
			}
			if c.all != "" {
				require.EqualError(t, got, c.all)
			}
		})
	}
	require.Nil(t, cluster.EncodeFailure(nil))
	require.NoError(t, cluster.DecodeFailure(nil))
	require.Equal(t, domain.Internal, domain.CodeOf(cluster.DecodeFailure(&clusterpb.Failure{})))
}

func TestRowsSurvive(t *testing.T) {
	for _, c := range []struct {
		stream domain.StreamID
		part   domain.PartID
		row    domain.Row
	}{
		{domain.UserStream("demo#chat", "ann"), domain.PartHead, &user.Head{Exists: true, Incarnation: 2, UUID: "u", Password: user.PasswordHash("p"), AuthEpoch: 3}},
		{domain.UserStream("demo#chat", "ann"), user.CausesPart(7), &user.Causes{Last: domain.Cause{Partition: 7, Offset: 8}}},
		{domain.DirectStream("demo#chat", "ann", "bob"), domain.PartHead, &conversation.Head{Kind: domain.KindDirect, Seq: 4, N: 2, T: 9}},
		{domain.DirectStream("demo#chat", "ann", "bob"), "m/ann", &conversation.Member{User: "ann", Incarnation: 1}},
		{domain.DirectStream("demo#chat", "ann", "bob"), "s/ann/web", conversation.NewSends([]conversation.Send{{ClientID: 5, Seq: 1, T: 2}})},
		{domain.DirectStream("demo#chat", "ann", "bob"), "s/ann/ios", conversation.NewSends(nil)}, // whose form is empty
		{domain.GroupStream("demo#chat", "7"), domain.PartHead, &conversation.GroupHead{Owner: "ann", Admins: []domain.UserID{"bob"}, Count: 2}},
		{domain.RoomStream("demo#chat", "7"), domain.PartHead, &conversation.RoomHead{Owner: conversation.Person{User: "ann", Incarnation: 1}}},
		{domain.RoomStream("demo#chat", "8"), domain.PartHead, nil},
	} {
		rows := cluster.EncodeRows([]domain.Row{c.row}, 1)
		require.Len(t, rows, 1)
		b, err := proto.Marshal(rows[0])
		require.NoError(t, err)
		var r clusterpb.Row
		require.NoError(t, proto.Unmarshal(b, &r))
		got, err := cluster.DecodeRow(c.stream, c.part, &r)
		require.NoError(t, err)
		require.Equal(t, c.row, got)
	}
	_, err := cluster.DecodeRow("x", "", &clusterpb.Row{There: true})
	require.Error(t, err)
	_, err = cluster.DecodeRow("demo#chat/u/ann", "", &clusterpb.Row{There: true, Form: []byte{0xff}})
	require.Error(t, err)
}

// As many rows as fit, but at least one.
func TestRowsAreBounded(t *testing.T) {
	rows := make([]domain.Row, 10)
	for i := range rows {
		rows[i] = &user.Head{Nickname: strings.Repeat("n", 100)}
	}
	require.Len(t, cluster.EncodeRows(rows, 1), 1)
	require.Len(t, cluster.EncodeRows(rows, 300), 3)
	require.Len(t, cluster.EncodeRows(rows, 1<<20), 10)
	require.Empty(t, cluster.EncodeRows(nil, 1<<20))
}
