package runner

import (
	"encoding/binary"

	"parley/schemas/table"
)

// batch collects the writes of one pass. Its memory is used again.
type batch struct {
	writes []table.Write
	rows   map[string]int // what may be coalesced: the same cells of the same row, to the place of its write
	key    []byte
}

func newBatch() *batch { return &batch{rows: make(map[string]int)} }

func (b *batch) reset() {
	clear(b.writes)
	b.writes = b.writes[:0]
	clear(b.rows)
}

// coalesce lets the writes from the nth on replace earlier ones of the same cells of the same row.
func (b *batch) coalesce(n int) {
	kept := b.writes[:n]
	for _, w := range b.writes[n:] {
		b.key = cellsKey(b.key[:0], &w)
		if i, ok := b.rows[string(b.key)]; ok {
			if w.T > kept[i].T {
				kept[i] = w
			}
			continue
		}
		b.rows[string(b.key)] = len(kept)
		kept = append(kept, w)
	}
	b.writes = kept
}

// cellsKey appends what names the row and the cells of a write.
func cellsKey(dst []byte, w *table.Write) []byte {
	var columns uint32
	for _, c := range w.Cells {
		columns |= 1 << c.Column
	}
	dst = append(dst, w.Table.ID)
	dst = binary.BigEndian.AppendUint32(dst, columns)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(w.Partition)))
	dst = append(dst, w.Partition...)
	return append(dst, w.Cluster...)
}
