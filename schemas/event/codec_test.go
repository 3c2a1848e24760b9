package event_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/domain/user"
	"parley/schemas/event"
	"parley/schemas/event/eventpb"
)

func names() []string { return slices.Sorted(maps.Keys(bodies)) }

// Each event of the schema is drawn by the tests, under its name.
func TestEveryEventIsDrawn(t *testing.T) {
	fields := (&eventpb.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	var schema []string
	for i := range fields.Len() {
		schema = append(schema, string(fields.Get(i).Message().Name()))
	}
	slices.Sort(schema)
	if !slices.Equal(schema, names()) {
		t.Fatalf("schema has %v, tests draw %v", schema, names())
	}
	for name, draw := range bodies {
		if got := rapid.Custom(draw).Example(1).EventName(); got != name {
			t.Errorf("%s calls itself %s", name, got)
		}
	}
}

func TestCommitComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, c := drawHeader(t), drawCommit(t)
		value := event.AppendCommit([]byte("before"), h, c)
		if string(value[:6]) != "before" {
			t.Fatal("what was there is gone")
		}
		r, err := event.DecodeRecord(value[6:])
		if err != nil {
			t.Fatal(err)
		}
		if want := (event.Record{Header: h, Commit: c}); !reflect.DeepEqual(r, want) {
			t.Fatalf("got %+v, want %+v", r.Commit, c)
		}
	})
}

// What the hand-written code writes, the generated code reads as the same, and the other way round.
func TestAgreesWithGenerated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, c := drawHeader(t), drawCommit(t)
		want := toProto(h, c)
		got := new(eventpb.Record)
		if err := proto.Unmarshal(event.AppendCommit(nil, h, c), got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		content, err := proto.Marshal(&eventpb.Record{Content: want.Content})
		if err != nil {
			t.Fatal(err)
		}
		r, err := event.DecodeRecord(append(fence.AppendHeader(nil, h), content...))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Commit, c) {
			t.Fatalf("got %+v, want %+v", r.Commit, c)
		}
	})
}

func TestMarkersComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHeader(t)
		claim := &event.Claim{Node: text[string](t, "node"), Nonce: number(t, "nonce")}
		closed := &event.SlotClosed{Slot: domain.Slot(rapid.Uint16Range(0, domain.Slots-1).Draw(t, "slot")), T: domain.T(number(t, "t"))}
		for range rapid.IntRange(0, 3).Draw(t, "causes") {
			closed.Causes = append(closed.Causes, drawCause(t))
		}
		cause := drawCause(t)
		opened := &event.SlotOpened{Slot: closed.Slot, T: closed.T, From: cause.Partition, Closed: cause.Offset}
		for _, c := range []struct {
			value []byte
			want  event.Record
			pb    *eventpb.Record
		}{
			{
				event.EncodeClaim(h, claim.Node, claim.Nonce),
				event.Record{Header: h, Claim: claim},
				&eventpb.Record{Content: &eventpb.Record_Claim{Claim: &eventpb.Claim{Node: claim.Node, Nonce: claim.Nonce}}},
			},
			{
				event.AppendSlotClosed(nil, h, closed),
				event.Record{Header: h, SlotClosed: closed},
				&eventpb.Record{Content: &eventpb.Record_SlotClosed{SlotClosed: &eventpb.SlotClosed{
					Slot: uint32(closed.Slot), T: uint64(closed.T), Causes: protoCauses(closed.Causes),
				}}},
			},
			{
				event.AppendSlotOpened(nil, h, opened),
				event.Record{Header: h, SlotOpened: opened},
				&eventpb.Record{Content: &eventpb.Record_SlotOpened{SlotOpened: &eventpb.SlotOpened{
					Slot: uint32(opened.Slot), T: uint64(opened.T), From: uint32(opened.From), Closed: uint64(opened.Closed),
				}}},
			},
		} {
			got, err := event.DecodeRecord(c.value)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Fatalf("got %+v (%v), want %+v", got, err, c.want)
			}
			c.pb.Term, c.pb.Index, c.pb.Prev = uint64(h.Term), uint64(h.Index), h.Prev
			back := new(eventpb.Record)
			if err := proto.Unmarshal(c.value, back); err != nil || !proto.Equal(back, c.pb) {
				t.Fatalf("got %v (%v), want %v", back, err, c.pb)
			}
		}
	})
}

func TestClaimContentIsWhatFollowsTheHeader(t *testing.T) {
	h := event.Header{Term: 3}
	whole := event.EncodeClaim(h, "n1", 7)
	if got := event.AppendClaim(fence.AppendHeader(nil, h), "n1", 7); !slices.Equal(got, whole) {
		t.Fatalf("got %x, want %x", got, whole)
	}
}

func TestOneEventComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ev := drawCommit(t).Events[0]
		got, err := event.DecodeEvent(event.AppendEvent(nil, &ev))
		if err != nil || !reflect.DeepEqual(got, ev) {
			t.Fatalf("got %+v (%v), want %+v", got, err, ev)
		}
	})
}

func TestUndecodable(t *testing.T) {
	h := fence.AppendHeader(nil, event.Header{Term: 1, Index: 1})
	commit := func(b ...byte) []byte { return append(append(slices.Clone(h), 4<<3|2, byte(len(b))), b...) }
	// An Event of t 1 with a UserDeleted.
	ev := []byte{2<<3 | 2, 12, 1<<3 | 1, 1, 0, 0, 0, 0, 0, 0, 0, 0xca, 0x02, 0}
	if r, err := event.DecodeRecord(commit(ev...)); err != nil || len(r.Commit.Events) != 1 {
		t.Fatalf("the good one: %v", err)
	}
	for name, value := range map[string][]byte{
		"nothing":                nil,
		"half a header":          h[:20],
		"another header":         append([]byte{0}, h[1:]...),
		"no content":             h,
		"an unknown content":     append(slices.Clone(h), 8<<3|2, 0),
		"two contents":           append(commit(ev...), 5<<3|2, 0),
		"a commit cut short":     commit(ev...)[:len(h)+8],
		"no events":              commit(),
		"no body":                commit(2<<3|2, 9, 1<<3|1, 1, 0, 0, 0, 0, 0, 0, 0),
		"an unknown body":        commit(2<<3|2, 4, 0xda, 0x02, 1, 0),
		"two bodies":             commit(2<<3|2, 6, 0xca, 0x02, 0, 0xca, 0x02, 0),
		"t that stands still":    commit(append(slices.Clone(ev), ev...)...),
		"a sealed message":       commit(2<<3|2, 6, 11<<3|2, 4, 0x82, 0x01, 1, 'x'),
		"a wrong wire type":      commit(2<<3|2, 5, 0xca, 0x02, 2, 1<<3|5, 0),
		"an incarnation of 2^32": commit(2<<3|2, 9, 0xca, 0x02, 6, 1<<3, 0x80, 0x80, 0x80, 0x80, 0x10),
		"field 0":                append(slices.Clone(h), 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := event.DecodeRecord(value)
			if want := new(event.DecodeError); !errors.As(err, &want) {
				t.Fatalf("got %+v, %v", r, err)
			}
		})
	}
}

func TestUnknownBodyPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a body without a schema was encoded")
		}
	}()
	event.AppendCommit(nil, event.Header{}, &domain.Commit{Events: []domain.Event{{T: 1, Body: strange{}}}})
}

type strange struct{}

func (strange) EventName() string { return "Strange" }

func toProto(h event.Header, c *domain.Commit) *eventpb.Record {
	pb := &eventpb.Commit{Stream: string(c.Stream)}
	if c.Cause != nil {
		pb.Cause = protoCauses([]domain.Cause{*c.Cause})[0]
	}
	for _, ev := range c.Events {
		pb.Events = append(pb.Events, protoEvent(ev))
	}
	return &eventpb.Record{Term: uint64(h.Term), Index: uint64(h.Index), Prev: h.Prev, Content: &eventpb.Record_Commit{Commit: pb}}
}

func protoCauses(causes []domain.Cause) (out []*eventpb.Cause) {
	for _, c := range causes {
		out = append(out, &eventpb.Cause{Partition: uint32(c.Partition), Offset: uint64(c.Offset), N: c.N})
	}
	return out
}

func protoEvent(ev domain.Event) *eventpb.Event {
	pb := &eventpb.Event{T: uint64(ev.T), Seq: uint64(ev.Seq)}
	switch b := ev.Body.(type) {
	case conversation.MemberAdded:
		pb.Body = &eventpb.Event_MemberAdded{MemberAdded: &eventpb.MemberAdded{
			User: string(b.User), Incarnation: uint32(b.Incarnation), From: uint64(b.From), N: b.N,
		}}
	case conversation.MessageSent:
		m := &eventpb.MessageSent{
			From: string(b.From), FromResource: string(b.FromResource), To: string(b.To), ToResource: string(b.ToResource),
			ClientId: b.ClientID, Hash: b.Hash, Kind: eventpb.MessageKind(b.Kind), Counted: b.Counted, History: b.History,
			SyncOwn: b.SyncOwn, Body: b.Body, Ext: b.Ext, N: b.N, Own: b.Own, NoHistory: protoUsers(b.NoHistory),
			Audience: protoUsers(b.Audience),
		}
		pb.Body = &eventpb.Event_MessageSent{MessageSent: m}
	case conversation.MessageDelivered:
		pb.Body = &eventpb.Event_MessageDelivered{MessageDelivered: &eventpb.MessageDelivered{
			By: string(b.By), ByResource: string(b.ByResource), To: string(b.To), Message: uint64(b.Message),
			ClientId: b.ClientID, Hash: b.Hash, Body: b.Body,
		}}
	case conversation.MessageRead:
		pb.Body = &eventpb.Event_MessageRead{MessageRead: &eventpb.MessageRead{
			By: string(b.By), ByResource: string(b.ByResource), To: string(b.To), Message: uint64(b.Message),
			ClientId: b.ClientID, Hash: b.Hash, Body: b.Body,
		}}
	case conversation.ConversationRead:
		pb.Body = &eventpb.Event_ConversationRead{ConversationRead: &eventpb.ConversationRead{
			By: string(b.By), ByResource: string(b.ByResource), To: string(b.To), ClientId: b.ClientID, Hash: b.Hash,
			Body: b.Body, ReadN: b.ReadN, ReadOwn: b.ReadOwn,
		}}
	case user.Registered:
		pb.Body = &eventpb.Event_UserRegistered{UserRegistered: &eventpb.UserRegistered{
			Incarnation: uint32(b.Incarnation), Uuid: b.UUID, Password: b.Password, Nickname: b.Nickname, AuthEpoch: b.AuthEpoch,
			From: uint64(b.From),
		}}
	case user.Deleted:
		pb.Body = &eventpb.Event_UserDeleted{UserDeleted: &eventpb.UserDeleted{
			Incarnation: uint32(b.Incarnation), Registered: uint64(b.Registered),
		}}
	case user.PasswordSet:
		pb.Body = &eventpb.Event_PasswordSet{PasswordSet: &eventpb.PasswordSet{
			Password: b.Password, AuthEpoch: b.AuthEpoch, Registered: uint64(b.Registered),
		}}
	default:
		protoGroupBody(pb, b)
		protoRoomBody(pb, b)
	}
	return pb
}
