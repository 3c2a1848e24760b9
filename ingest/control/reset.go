package control

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"parley/domain"
)

// Reset writes down that an operator let a partition go on after its log had lost what was acknowledged. It is kept for ever.
type Reset struct {
	Format    int              `json:"v"`
	Partition domain.Partition `json:"partition"`
	At        time.Time        `json:"at"`
	Done      bool             `json:"done"`   // false: it was begun, and must be done again
	End       domain.Offset    `json:"end"`    // where the log ended
	Index     domain.Index     `json:"index"`  // of the last commit that it had
	Beyond    domain.Offset    `json:"beyond"` // how far the store had seen it
	Lost      uint64           `json:"lost"`   // commits, at least
	Goes      domain.Offset    `json:"goes"`   // where the log goes on
	Term      domain.Term      `json:"term"`   // which claim ended all before
}

func resetKey(r Reset) string {
	return resetPrefix + strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(int64(r.End), 10)
}

// Resets returns all of them, by partition and place.
func (c *Control) Resets() []Reset {
	return slices.SortedFunc(maps.Values(c.current.Load().resets), func(a, b Reset) int {
		if a.Partition != b.Partition {
			return int(a.Partition) - int(b.Partition)
		}
		return int(a.End - b.End)
	})
}

// PutReset writes a reset down, or that it is done.
func (c *Control) PutReset(ctx context.Context, r Reset) error {
	r.Format = format
	value, err := encode(resetKey(r), r)
	if err != nil {
		return err
	}
	return c.put(ctx, resetKey(r), value)
}

func (s *snapshot) foldReset(rec domain.LogRecord) error {
	r := Reset{}
	if err := decode(rec, &r, &r.Format); err != nil {
		return err
	}
	s.resets[string(rec.Key)] = r
	return nil
}
