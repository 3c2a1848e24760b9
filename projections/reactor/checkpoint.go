package reactor

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"parley/domain"
	"parley/domain/fence"
	"parley/schemas/table"
)

// checkpoints has a row for each partition.
var checkpoints = &table.Table{
	ID: 62, Name: "reactors",
	Partition: []table.Field{{Name: "log", Type: table.Uint64}},
	Cells: []table.Field{
		{Name: "next", Type: table.Bytes},
		{Name: "term", Type: table.Bytes},
		{Name: "idx", Type: table.Bytes},
		{Name: "prev", Type: table.Bytes},
	},
}

// Tables are the package's own.
func Tables() []*table.Table { return []*table.Table{checkpoints} }

func checkpointKey(p domain.Partition) table.RowKey {
	return table.RowKey{Partition: table.Key(nil).Uint64(uint64(p))}
}

// write stores a place.
func (r *Runner) write(ctx context.Context, p domain.Partition, at fence.Reader) error {
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.settings.StoreTimeout)
	defer cancel()
	return SavePlace(try, r.store, p, at)
}

// SavePlace stores a partition's checkpoint; its write timestamp is the offset, so that a late write cannot move it back.
func SavePlace(ctx context.Context, store Store, p domain.Partition, at fence.Reader) error {
	w := table.Write{Table: checkpoints, Partition: checkpointKey(p).Partition, T: uint64(at.Next)}
	for i, v := range []uint64{uint64(at.Next), uint64(at.Term), uint64(at.Index), at.Prev} {
		w.Cells = append(w.Cells, table.Cell{Column: uint8(i), Value: binary.BigEndian.AppendUint64(nil, v)})
	}
	if err := store.Write(ctx, []table.Write{w}); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// read returns the stored place, the log's start when there is none.
func (r *Runner) read(ctx context.Context, p domain.Partition) (at fence.Reader, err error) {
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.settings.StoreTimeout)
	defer cancel()
	return SavedPlace(try, r.store, p)
}

// SavedPlace returns a partition's checkpoint, the log's start when there is none.
func SavedPlace(ctx context.Context, store Store, p domain.Partition) (at fence.Reader, err error) {
	rows, err := store.Get(ctx, checkpoints, []table.RowKey{checkpointKey(p)})
	if err != nil {
		return at, fmt.Errorf("read checkpoint: %w", err)
	}
	if !rows[0].Found() {
		return at, nil
	}
	var v [4]uint64
	for i := range v {
		b := rows[0].Cells[i].Value
		if len(b) != 8 {
			return at, fmt.Errorf("read checkpoint: cell %d has %d bytes, want 8", i, len(b))
		}
		v[i] = binary.BigEndian.Uint64(b)
	}
	return fence.Reader{Next: domain.Offset(v[0]), Term: domain.Term(v[1]), Index: domain.Index(v[2]), Prev: v[3]}, nil
}

// pause waits, and returns ctx's error when it ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
