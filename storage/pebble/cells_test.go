package pebble

import (
	"bytes"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"

	"parley/schemas/table"
	"parley/storage/storagetest"
)

// testWrites makes n writes of 300 bytes each.
func testWrites(n int, from uint64) []table.Write {
	out := make([]table.Write, n)
	for i := range out {
		at := from + uint64(i)
		out[i] = table.Write{
			Table: storagetest.Places, Partition: table.Key{}.Text("land").Uint64(at / 2000), Cluster: table.Key{}.Uint64(at), T: at + 1,
			Cells: []table.Cell{{Column: 0, Value: bytes.Repeat([]byte("v"), 300)}},
		}
	}
	return out
}

// TestStoredForms pins the bytes of keys, records and rows: they lie on users' disks.
func TestStoredForms(t *testing.T) {
	row, _ := appendWrite(nil, table.Write{T: 0x0102, Cells: []table.Cell{
		{Column: 2, Value: []byte("cc")}, {Column: 0, Value: nil}, {Column: 2, Value: []byte("cb")},
	}}, nil)
	record := make([]byte, recordSize([]byte("key"), []byte("value")))
	putRecord(record, []byte("key"), []byte("value"))
	for _, c := range []struct{ name, want, got string }{
		{"record key of chats", "1000030000000000000005", hex.EncodeToString(recordKey(3, 5))},
		{"record key of rooms", "110801000000000000012c", hex.EncodeToString(recordKey(2049, 300))},
		{"record key of control", "1fffff0000000000000000", hex.EncodeToString(recordKey(65535, 0))},
		{"start key", "01100003", hex.EncodeToString(startKey(3))},
		{"record", "036b657976616c7565", hex.EncodeToString(record)},
		{"row", "00000000000000010200" + "0200000000000001020263" + "63", hex.EncodeToString(row)},
		{"row key", "f16c616e640000000000000000070000000000000009", hex.EncodeToString(appendRowKey(nil, storagetest.Places,
			table.Key{}.Text("land").Uint64(7), table.Key{}.Uint64(9)))},
		{"merger", "parley.last_write_wins.1", lastWriteWins.Name},
		{"formats", "parley log 1, parley rows 1", logFormat + ", " + storeFormat},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
}

// merge merges operands in Pebble's manner: the first, and then others on either side.
func merge(t *rapid.T, operands [][]byte) []byte {
	m, err := lastWriteWins.Merge(nil, operands[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range operands[1:] {
		side := m.MergeNewer
		if rapid.Bool().Draw(t, "older") {
			side = m.MergeOlder
		}
		if err := side(o); err != nil {
			t.Fatal(err)
		}
	}
	out, _, err := m.Finish(true)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMergeLaws checks that any grouping, order and repetition of operands gives the same bytes.
func TestMergeLaws(t *testing.T) {
	operand := rapid.Custom(func(t *rapid.T) []byte {
		w := table.Write{T: rapid.Uint64Range(1, 3).Draw(t, "t")}
		for range rapid.IntRange(1, 3).Draw(t, "cells") {
			value := rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "value")
			w.Cells = append(w.Cells, table.Cell{Column: rapid.Uint8Range(0, 3).Draw(t, "column"), Value: value})
		}
		b, _ := appendWrite(nil, w, nil)
		return b
	})
	rapid.Check(t, func(t *rapid.T) {
		operands := rapid.SliceOfN(operand, 1, 10).Draw(t, "operands")
		want := merge(t, operands)
		shuffled := rapid.Permutation(append(operands, operands...)).Draw(t, "order")
		cut := rapid.IntRange(1, len(shuffled)-1).Draw(t, "cut")
		got := merge(t, [][]byte{merge(t, shuffled[:cut]), merge(t, shuffled[cut:])})
		if !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x", got, want)
		}
	})
}

func FuzzDecodeRow(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'a'})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := decodeRow(storagetest.People, b); err != nil {
			return
		}
		m, _ := lastWriteWins.Merge(nil, b)
		if m.MergeNewer(b) == nil {
			out, _, err := m.Finish(true)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := decodeRow(storagetest.People, out); err != nil {
				t.Fatalf("a row merged with itself cannot be read: %v", err)
			}
		}
	})
}

func FuzzCutRecord(f *testing.F) {
	f.Add([]byte{3, 'k', 'e', 'y', 'v'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, value, err := cutRecord(b)
		if err == nil && len(key)+len(value) >= len(b) {
			t.Fatalf("%d and %d bytes out of %d", len(key), len(value), len(b))
		}
	})
}
