package state_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/schemas/state"
)

func text[S ~string](t *rapid.T, name string) S { return S(rapid.StringN(0, 20, 60).Draw(t, name)) }

func number(t *rapid.T, name string) uint64 { return rapid.Uint64().Draw(t, name) }

// drawSends draws what devices send: mostly small steps, sometimes anything.
func drawSends(t *rapid.T) *conversation.Sends {
	var sends []conversation.Send
	var last conversation.Send
	for range rapid.IntRange(0, 80).Draw(t, "sends") {
		if rapid.IntRange(0, 9).Draw(t, "wild") == 0 {
			last = conversation.Send{ClientID: number(t, "id"), Seq: domain.Seq(number(t, "seq")), T: domain.T(number(t, "t"))}
		}
		last.ClientID += rapid.Uint64Range(0, 5000).Draw(t, "id step")
		last.Seq += domain.Seq(rapid.Uint64Range(1, 9).Draw(t, "seq step"))
		last.T += domain.T(rapid.Uint64Range(1, 1<<32).Draw(t, "t step"))
		last.Hash = number(t, "hash")
		sends = append(sends, last)
	}
	return conversation.NewSends(sends)
}

// drawRow draws a row of each kind, with the place that it has.
func drawRow(t *rapid.T) (domain.Kind, domain.PartID, domain.Row) {
	switch rapid.IntRange(0, 9).Draw(t, "row") {
	case 0:
		return domain.KindDirect, domain.PartHead, &conversation.Head{
			Kind: domain.Kind(rapid.Byte().Draw(t, "kind")), Seq: domain.Seq(number(t, "seq")), N: number(t, "n"), T: domain.T(number(t, "t")),
			ShownSeq: domain.Seq(number(t, "shown seq")), ShownT: domain.T(number(t, "shown t")), Closed: domain.Seq(number(t, "closed")),
		}
	case 1:
		return domain.KindDirect, conversation.MemberPart("ann"), &conversation.Member{
			User: text[domain.UserID](t, "user"), Incarnation: domain.Incarnation(rapid.Uint32().Draw(t, "incarnation")),
			From: domain.Seq(number(t, "from")), FromN: number(t, "from n"), Own: number(t, "own"), ReadN: number(t, "read n"),
			ReadOwn: number(t, "read own"),
		}
	case 2:
		return domain.KindDirect, conversation.SendsPart("ann", "web"), drawSends(t)
	case 3:
		return domain.KindUser, domain.PartHead, &user.Head{
			Seq: domain.Seq(number(t, "seq")), T: domain.T(number(t, "t")), Exists: rapid.Bool().Draw(t, "exists"),
			Incarnation: domain.Incarnation(rapid.Uint32().Draw(t, "incarnation")), UUID: text[string](t, "uuid"),
			Nickname: text[string](t, "nickname"), Password: append(user.PasswordHash(nil), text[string](t, "password")...),
			AuthEpoch: rapid.Uint32().Draw(t, "auth epoch"), Registered: domain.T(number(t, "registered")), Modified: domain.T(number(t, "modified")),
			From: domain.Seq(number(t, "from")),
		}
	case 4:
		return drawRoomHead(t)
	default:
		return drawGroupRow(t)
	}
}

func TestRowComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind, id, row := drawRow(t)
		b := state.EncodeRow([]byte("before"), row)
		got, err := state.DecodeRow(kind, id, b[len("before"):])
		if err != nil || !reflect.DeepEqual(got, row) {
			t.Fatalf("got %+v (%v), want %+v", got, err, row)
		}
	})
}

func TestUsualSendsArePacked(t *testing.T) {
	b := state.EncodeRow(nil, usualSends(512))
	if each := len(b) / 512; each > 20 {
		t.Fatalf("a send takes %d bytes", each)
	}
}

// usualSends are those of a device that sends every 100 ms.
func usualSends(n int) *conversation.Sends {
	var sends []conversation.Send
	for i := range uint64(n) {
		sends = append(sends, conversation.Send{
			ClientID: 1_763_900_000_000 + i*100, Hash: 0xcbf29ce484222325 + i*0x9e3779b97f4a7c15, Seq: domain.Seq(1000 + 2*i),
			T: 115_964_116_992_000_003 + domain.T(i*100_000<<12),
		})
	}
	return conversation.NewSends(sends)
}

func TestUndecodable(t *testing.T) {
	for name, c := range map[string]struct {
		kind domain.Kind
		id   domain.PartID
		b    []byte
	}{
		"an unknown field of a head":   {domain.KindDirect, "", []byte{8 << 3, 1}},
		"an unknown field of a member": {domain.KindDirect, "m/ann", []byte{13 << 3, 1}},
		"an unknown field of sends":    {domain.KindDirect, "s/ann/web", []byte{2 << 3, 1}},
		"an unknown field of a user":   {domain.KindUser, "", []byte{12 << 3, 1}},
		"a field of a group's head":    {domain.KindDirect, "", []byte{21 << 3, 1}},
		"a field after a group's head": {domain.KindGroup, "", []byte{22<<3&0x7f | 0x80, 1, 1}},
		"a field after a room's head":  {domain.KindRoom, "", []byte{16<<3&0x7f | 0x80, 1, 1}},
		"an owner cut short":           {domain.KindRoom, "", []byte{14<<3 | 2, 1, 0x0a}},
		"an unknown field of a cause":  {domain.KindUser, "c/1", []byte{4 << 3, 1}},
		"who invited an applicant":     {domain.KindGroup, "a/ann", []byte{6<<3 | 2, 1, 'x'}},
		"a field of an invitation":     {domain.KindGroup, "i/ann", []byte{7 << 3, 1}},
		"an application elsewhere":     {domain.KindDirect, "a/ann", nil},
		"a span cut short":             {domain.KindGroup, "m/ann", []byte{12<<3 | 2, 1, 8}},
		"an unknown part":              {domain.KindDirect, "x/ann", nil},
		"a part of a user":             {domain.KindUser, "m/ann", nil},
		"a send cut short":             {domain.KindDirect, "s/ann/web", []byte{1<<3 | 2, 3, 1, 2, 3}},
		"a head cut short":             {domain.KindDirect, "", []byte{4<<3 | 1, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			row, err := state.DecodeRow(c.kind, c.id, c.b)
			if want := new(state.DecodeError); !errors.As(err, &want) || row != nil {
				t.Fatalf("got %v, %v", row, err)
			}
		})
	}
}

// addGolden writes the files that are missing. It never changes one: what a store holds must stay readable.
var addGolden = flag.Bool("add-golden", false, "write golden files that are missing")

func TestGolden(t *testing.T) {
	all := maps.Clone(groupGoldens)
	maps.Copy(all, roomGoldens)
	maps.Copy(all, map[string]goldenRow{
		"head": {domain.KindDirect, "", &conversation.Head{
			Kind: domain.KindDirect, Seq: 300, N: 200, T: 115_964_116_992_000_003, ShownSeq: 299, ShownT: 115_964_116_991_000_003, Closed: 1,
		}},
		"member": {domain.KindDirect, "m/ann", &conversation.Member{
			User: "ann", Incarnation: 2, From: 10, FromN: 5, Own: 100, ReadN: 150, ReadOwn: 99,
		}},
		"sends":       {domain.KindDirect, "s/ann/web", usualSends(40)},
		"sends-empty": {domain.KindDirect, "s/ann/web", conversation.NewSends(nil)},
		"user": {domain.KindUser, "", &user.Head{
			Seq: 7, T: 115_964_116_992_000_003, Exists: true, Incarnation: 2, UUID: "4f1d4f8e-0000-11f0-8de9-0242ac120002", Nickname: "Ann",
			Password: user.PasswordHash("$argon2id$x"), AuthEpoch: 3, Registered: 115_964_116_991_000_003, Modified: 115_964_116_992_000_003,
		}},
		"user-deleted": {domain.KindUser, "", &user.Head{T: 115_964_116_992_000_003, Incarnation: 2, AuthEpoch: 3}},
	})
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", "golden", name+".hex")
			if _, err := os.Stat(file); os.IsNotExist(err) && *addGolden {
				if err := os.WriteFile(file, []byte(hex.EncodeToString(state.EncodeRow(nil, c.row))+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := hex.DecodeString(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			if got := state.EncodeRow(nil, c.row); !slices.Equal(got, want) {
				t.Errorf("the stored form changed: got %x, want %x", got, want)
			}
			if got, err := state.DecodeRow(c.kind, c.id, want); err != nil || !reflect.DeepEqual(got, c.row) {
				t.Errorf("got %+v (%v), want %+v", got, err, c.row)
			}
		})
	}
}

func FuzzDecodeRow(f *testing.F) {
	f.Add(byte(domain.KindDirect), "", state.EncodeRow(nil, &conversation.Head{Seq: 1}))
	f.Add(byte(domain.KindDirect), "m/ann", state.EncodeRow(nil, &conversation.Member{User: "ann"}))
	f.Add(byte(domain.KindDirect), "s/ann/web", state.EncodeRow(nil, usualSends(20)))
	for _, g := range append(slices.Collect(maps.Values(groupGoldens)), roomGoldens["room-head"]) {
		f.Add(byte(g.kind), string(g.id), state.EncodeRow(nil, g.row))
	}
	f.Add(byte(domain.KindUser), "", state.EncodeRow(nil, &user.Head{Seq: 1}))
	f.Fuzz(func(t *testing.T, kind byte, id string, b []byte) {
		row, err := state.DecodeRow(domain.Kind(kind), domain.PartID(id), b)
		if err != nil {
			if want := new(state.DecodeError); !errors.As(err, &want) {
				t.Fatalf("error %T", err)
			}
			return
		}
		again, err := state.DecodeRow(domain.Kind(kind), domain.PartID(id), state.EncodeRow(nil, row))
		if err != nil || !reflect.DeepEqual(again, row) {
			t.Fatalf("got %+v (%v), want %+v", again, err, row)
		}
	})
}

func BenchmarkEncodeSends(b *testing.B) {
	row := usualSends(512)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = state.EncodeRow(dst[:0], row)
	}
	b.SetBytes(int64(len(dst)))
}
