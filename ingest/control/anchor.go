package control

import (
	"context"

	"parley/domain"
)

// Anchor is an acknowledged position where a consumer that may skip history can start reading.
type Anchor struct {
	Format    int              `json:"v"`
	Partition domain.Partition `json:"partition"`
	Offset    domain.Offset    `json:"offset"` // the next to read
	Term      domain.Term      `json:"term"`
	Index     domain.Index     `json:"index"`
	Prev      uint64           `json:"prev,string"`
	T         domain.T         `json:"t,string"`
}

// Anchor returns the partition's anchor.
func (c *Control) Anchor(p domain.Partition) (Anchor, bool) {
	a, ok := c.current.Load().anchors[p]
	return a, ok
}

// PutAnchor writes an anchor. Only the partition's owner does, every 10 minutes.
func (c *Control) PutAnchor(ctx context.Context, a Anchor) error {
	a.Format = format
	value, err := encode(anchorKey(a.Partition), a)
	if err != nil {
		return err
	}
	return c.put(ctx, anchorKey(a.Partition), value)
}
