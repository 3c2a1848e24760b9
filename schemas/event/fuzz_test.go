package event_test

import (
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/schemas/event"
	"parley/schemas/event/eventpb"
)

// Whatever the bytes: no panic, errors of the one type, and what was read is read again from its own encoding. Bytes that the generated
// code refuses (other than for text that is not UTF-8) are refused here too.
func FuzzDecodeRecord(f *testing.F) {
	for _, r := range goldens {
		f.Add(encode(r))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := event.DecodeRecord(value)
		if err != nil {
			if want := new(event.DecodeError); !errors.As(err, &want) {
				t.Fatalf("error %T", err)
			}
			return
		}
		again, err := event.DecodeRecord(encode(r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("got %+v (%v), want %+v", again, err, r)
		}
		// Field for field: the generated code must find no field that it does not know.
		pb := new(eventpb.Record)
		if proto.Unmarshal(value, pb) == nil && len(pb.ProtoReflect().GetUnknown()) > 0 {
			t.Fatal("a field went unread")
		}
	})
}

// typical is the commit of an ordinary text of 250 bytes.
func typical() *domain.Commit {
	return &domain.Commit{
		Stream: "demo#chat/d/alice/bob",
		Events: []domain.Event{{T: 115_964_116_992_004_099, Seq: 41, Body: conversation.MessageSent{
			From: "alice", FromResource: "webim_1", To: "bob", ClientID: 1_763_900_000_123, Hash: 0xcbf29ce484222325, Kind: message.Text,
			Counted: true, History: true, SyncOwn: true, Body: make(message.Bytes, 200), Ext: make(message.Bytes, 50), N: 18, Own: 9,
		}}},
	}
}

func BenchmarkAppendCommit(b *testing.B) {
	c := typical()
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = event.AppendCommit(dst[:0], event.Header{Term: 1, Index: 2, Prev: 3}, c)
	}
	b.SetBytes(int64(len(dst)))
}

func BenchmarkDecodeRecord(b *testing.B) {
	value := event.AppendCommit(nil, event.Header{Term: 1, Index: 2, Prev: 3}, typical())
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.DecodeRecord(value); err != nil {
			b.Fatal(err)
		}
	}
}
