package shard

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/fence"
	"parley/schemas/table"
)

// The keys and cells below are in users' stores: they are kept for ever. A row's own bytes have their golden files in schemas/state.
func TestStoredFormOfKeysAndCheckpoints(t *testing.T) {
	head := rowName{"demo#chat/d/ann/ben", domain.PartHead}
	part := rowName{"demo#chat/d/ann/ben", conversation.MemberPart("ann")}
	c := checkpoint{Reader: fence.Reader{Next: 0x0102, Term: 3, Index: 0x0405, Prev: 0xf1f2f3f4f5f6f7f8}, t: 0x1122334455667003}
	w := c.write(3)
	var cells []byte
	for _, cell := range w.Cells {
		cells = append(append(cells, cell.Column), cell.Value...)
	}
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"partition of a head", head.key().Partition, "000000000000029b"},
		{"head", head.key().Cluster, "64656d6f23636861742f642f616e6e2f62656e00"},
		{"partition of a part", part.key().Partition, "64656d6f23636861742f642f616e6e2f62656e00"},
		{"part", part.key().Cluster, "6d2f616e6e00"},
		{"partition of a checkpoint", w.Partition, "0000000000000003"},
		{"checkpoint's cells", cells, "00" + "0000000000000102" + "01" + "0000000000000003" + "02" + "0000000000000405" +
			"03" + "f1f2f3f4f5f6f7f8" + "04" + "1122334455667003"},
	} {
		require.Equal(t, tt.want, hex.EncodeToString(tt.got), tt.name)
	}
	require.Equal(t, uint64(0x0102), w.T, "the write timestamp of a checkpoint is its offset")
	require.Equal(t, []byte{1, 2, 3}, []byte{Heads.ID, Parts.ID, Checkpoints.ID})
}

func TestRowsAreReadAsWritten(t *testing.T) {
	n := rowName{"demo#chat/d/ann/ben", domain.PartHead}
	for name, v := range map[string]*version{
		"a row":         {row: &conversation.Head{Kind: domain.KindDirect, Seq: 7, N: 3, T: 99}, asof: 99},
		"a removed row": {asof: 99},
	} {
		t.Run(name, func(t *testing.T) {
			w := rowWrite(n, v)
			require.Equal(t, uint64(99), w.T, "the write timestamp of a row is its asof")
			cells := make([]table.Value, len(Heads.Cells))
			for _, c := range w.Cells {
				cells[c.Column] = table.Value{Value: c.Value, T: w.T}
			}
			got, err := readRow(n, table.Row{Cells: cells})
			require.NoError(t, err)
			require.Equal(t, v, got)
		})
	}
	got, err := readRow(n, table.Row{})
	require.NoError(t, err)
	require.Equal(t, &version{}, got)
	_, err = readRow(n, table.Row{Cells: []table.Value{{Value: []byte("junk"), T: 1}, {}}})
	require.Error(t, err)
}

func TestCacheLetsCleanRowsGo(t *testing.T) {
	c := newCache(10)
	s := &stream{id: "a"}
	c.addStream(s)
	dirty := c.addRow(s, "dirty", &version{asof: 5}, 4)
	speculative := c.addRow(s, "speculative", &version{asof: 5}, 5)
	speculative.spec = &version{asof: 6}
	for i := range 100 {
		c.addRow(s, domain.PartID(rune('a'+i)), &version{}, 0)
		c.shrink()
	}
	for c.shrink() > 0 {
	}
	require.LessOrEqual(t, len(c.clock), 12)
	require.Same(t, dirty, s.row("dirty"))
	require.Same(t, speculative, s.row("speculative"))
	for i, r := range c.clock {
		require.Equal(t, i, r.slot)
		require.Same(t, r, s.row(r.part))
	}
}
