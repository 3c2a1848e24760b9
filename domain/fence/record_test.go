package fence

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// The bytes of a header are stored for ever.
func TestHeaderGolden(t *testing.T) {
	h := Header{Term: 7, Index: 0x1122334455667788, Prev: 0x995dc9bbdf1939fa}
	const want = "09" + "0700000000000000" + "11" + "8877665544332211" + "19" + "fa3919dfbbc95d99"
	got := AppendHeader([]byte("x"), h)
	if hex.EncodeToString(got[1:]) != want {
		t.Fatalf("header is %x, want %s", got[1:], want)
	}
	back, err := ParseHeader(got[1:])
	if err != nil || back != h {
		t.Fatalf("parsed %+v, %v", back, err)
	}
}

// The checksum is stored for ever: CRC-64/XZ, whose check value is public, continued from one value to the next.
func TestChecksumGolden(t *testing.T) {
	const check = 0x995dc9bbdf1939fa
	if got := Checksum(0, []byte("123456789")); got != check {
		t.Fatalf("checksum is %x, want %x", got, uint64(check))
	}
	if got := Checksum(Checksum(0, []byte("1234")), []byte("56789")); got != check {
		t.Fatalf("continued checksum is %x, want %x", got, uint64(check))
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	good := AppendHeader(nil, Header{Term: 1, Index: 1})
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for _, c := range []struct {
		name  string
		value []byte
		want  error
	}{
		{"nothing", nil, errShort},
		{"a byte too few", good[:HeaderSize-1], errShort},
		{"another first field", change(0, 0x0a), errTags},
		{"another second field", change(9, 0x10), errTags},
		{"another third field", change(18, 0x21), errTags},
		{"term 0", change(1, 0), errTerm},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseHeader(c.value); !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
		})
	}
}

func TestPutHeaderKeepsTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		h := Header{Term: 1 + drawTerm(t), Index: drawIndex(t), Prev: rapid.Uint64().Draw(t, "prev")}
		value := append(make([]byte, HeaderSize), body...)
		PutHeader(value, h)
		got, err := ParseHeader(value)
		if err != nil || got != h || !bytes.Equal(value[HeaderSize:], body) {
			t.Fatalf("%+v became %+v, %v, %x", h, got, err, value)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{}, uint64(0), uint64(0))
	f.Add(AppendHeader(nil, Header{Term: 1}), uint64(0), uint64(0))
	f.Add(append(AppendHeader(nil, Header{Term: 3, Index: 8, Prev: 5}), "rest"...), uint64(3), uint64(7))
	f.Fuzz(func(t *testing.T, value []byte, term, index uint64) {
		r := readerAt(10, term, index, 5)
		before := r
		verdict, err := r.Read(12, value)
		switch {
		case err != nil && r != before:
			t.Fatalf("an error moved the reader from %+v to %+v", before, r)
		case err == nil && r.Next != 13:
			t.Fatalf("%v left the reader at %d", verdict, r.Next)
		case err == nil && verdict == Accepted && (r.Index != before.Index+1 || r.Prev != Checksum(5, value)):
			t.Fatalf("accepted, and the reader stands at %+v", r)
		case err == nil && verdict == Claimed && (r.Term <= before.Term || r.Index != before.Index):
			t.Fatalf("claimed, and the reader stands at %+v", r)
		}
	})
}
