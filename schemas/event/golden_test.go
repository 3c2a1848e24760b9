package event_test

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/event"
)

// addGolden writes the files that are missing. It never changes one: what was once written to a log is read for ever.
var addGolden = flag.Bool("add-golden", false, "write golden files that are missing")

// goldens are records as they were first written. Add new ones; never change one.
var goldens = union(union(chatGoldens, groupGoldens), roomGoldens)

var chatGoldens = map[string]event.Record{
	"member-added": of(conversation.MemberAdded{User: "bob", Incarnation: 2, From: 41, N: 17}, 0),
	"message-sent": of(conversation.MessageSent{
		From: "alice", FromResource: "webim_1", To: "bob", ClientID: 1_763_900_000_123, Hash: 0xcbf29ce484222325, Kind: message.Text,
		Counted: true, History: true, SyncOwn: true, Body: message.Bytes("\x0a\x05hello"), Ext: message.Bytes("\x0a\x01k\x10\x07"),
		N: 18, Own: 9,
	}, 41),
	"message-sent-all-fields": of(conversation.MessageSent{
		From: "alice", FromResource: "ios_7", To: "bob", ToResource: "webim_2", ClientID: 1<<64 - 1, Hash: 1, Kind: message.Custom,
		Counted: true, History: true, SyncOwn: true, NoHistory: []domain.UserID{"alice", "bob"},
		Body: message.Bytes(strings.Repeat("b", 200)), Ext: message.Bytes(strings.Repeat("e", 130)), N: 1 << 40, Own: 1 << 33,
	}, 1<<40),
	"message-delivered": of(conversation.MessageDelivered{
		By: "bob", ByResource: "android_3", To: "alice", Message: 115_964_116_992_000_003, ClientID: 12, Hash: 34, Body: message.Bytes("d"),
	}, 42),
	"message-read": of(conversation.MessageRead{
		By: "bob", ByResource: "android_3", To: "alice", Message: 115_964_116_992_000_003, ClientID: 13, Hash: 35, Body: message.Bytes("r"),
	}, 43),
	"conversation-read": of(conversation.ConversationRead{
		By: "bob", ByResource: "android_3", To: "alice", ClientID: 14, Hash: 36, Body: message.Bytes("c"), ReadN: 18, ReadOwn: 9,
	}, 44),
	"user-registered": of(user.Registered{
		Incarnation: 1, UUID: "4f1d4f8e-0000-11f0-8de9-0242ac120002", Password: user.PasswordHash("$argon2id$x"), Nickname: "Ann", AuthEpoch: 1,
	}, 0),
	"user-deleted": of(user.Deleted{Incarnation: 1, Registered: 115_964_116_992_000_003}, 0),
	"password-set": of(user.PasswordSet{Password: user.PasswordHash("$argon2id$y"), AuthEpoch: 2, Registered: 115_964_116_992_000_003}, 0),
	"commit-caused": {
		Header: event.Header{Term: 7, Index: 1_000_001, Prev: 0x0123456789abcdef},
		Commit: &domain.Commit{
			Stream: "demo#chat/d/alice/bob",
			Events: []domain.Event{
				{T: 4099, Body: conversation.MemberAdded{User: "alice", Incarnation: 1, From: 1}},
				{T: 8195, Body: conversation.MemberAdded{User: "bob", Incarnation: 1, From: 1}},
			},
			Cause: &domain.Cause{Partition: 5, Offset: 123_456_789, N: 2},
		},
	},
	"claim": {Header: event.Header{Term: 8}, Claim: &event.Claim{Node: "node-a", Nonce: 0xfedcba9876543210}},
	"slot-closed": {
		Header: event.Header{Term: 8, Index: 5, Prev: 6},
		SlotClosed: &event.SlotClosed{
			Slot: 4095, T: 115_964_116_992_000_003, Causes: []domain.Cause{{Partition: 1, Offset: 2, N: 3}, {Partition: 2047, Offset: 1 << 40}},
		},
	},
	"slot-opened": {
		Header:     event.Header{Term: 1, Index: 1, Prev: 6},
		SlotOpened: &event.SlotOpened{Slot: 4095, T: 115_964_116_992_000_003, From: 3, Closed: 99},
	},
}

func of(body domain.Body, seq domain.Seq) event.Record {
	return event.Record{
		Header: event.Header{Term: 3, Index: 257, Prev: 0x0123456789abcdef},
		Commit: &domain.Commit{
			Stream: "demo#chat/d/alice/bob",
			Events: []domain.Event{{T: 115_964_116_992_004_099, Seq: seq, Body: body}},
		},
	}
}

func encode(r event.Record) []byte {
	switch {
	case r.Claim != nil:
		return event.EncodeClaim(r.Header, r.Claim.Node, r.Claim.Nonce)
	case r.SlotClosed != nil:
		return event.AppendSlotClosed(nil, r.Header, r.SlotClosed)
	case r.SlotOpened != nil:
		return event.AppendSlotOpened(nil, r.Header, r.SlotOpened)
	default:
		return event.AppendCommit(nil, r.Header, r.Commit)
	}
}

func TestGolden(t *testing.T) {
	seen := map[string]bool{}
	for name, r := range goldens {
		if r.Commit != nil {
			seen[r.Commit.Events[0].Body.EventName()] = true
		}
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", "golden", name+".hex")
			if _, err := os.Stat(file); os.IsNotExist(err) && *addGolden {
				if err := os.WriteFile(file, []byte(hex.EncodeToString(encode(r))+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want := readHex(t, file)
			if got := encode(r); string(got) != string(want) {
				t.Errorf("the stored form changed: got %x, want %x", got, want)
			}
			got, err := event.DecodeRecord(want)
			if err != nil || !reflect.DeepEqual(got, r) {
				t.Errorf("got %+v (%v), want %+v", got, err, r)
			}
		})
	}
	for _, name := range names() {
		if !seen[name] {
			t.Errorf("%s has no golden bytes", name)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.hex"))
	if err != nil || len(files) != len(goldens) {
		t.Errorf("%d golden files for %d records: none may go (%v)", len(files), len(goldens), err)
	}
}

func readHex(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
