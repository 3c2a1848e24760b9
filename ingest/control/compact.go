package control

import (
	"context"
	"fmt"

	"parley/domain"
)

// Trimmer is a log of this node alone whose start can be cut off. A log that compacts by itself, as a compacted topic does, is none.
type Trimmer interface {
	// Trim removes the records below an offset.
	Trim(ctx context.Context, p domain.Partition, before domain.Offset) error
}

// compactFrom is the number of records from which an embedded log is compacted: reading fewer takes no time.
const compactFrom = 10_000

// compact writes everything once more and cuts off what is before. It may end at any point: the last record of a key is the same.
func (c *Control) compact(ctx context.Context, records int) error {
	trimmer, ok := c.log.(Trimmer)
	s := c.current.Load()
	if live := 1 + len(s.apps) + len(s.anchors) + len(s.nodes) + len(s.resets); !ok || records < compactFrom || records < 4*live {
		return nil
	}
	b, err := s.batch()
	if err != nil {
		return err
	}
	at, err := c.log.Append(ctx, domain.Control, b)
	if err != nil {
		return fmt.Errorf("control: compact: %w", err)
	}
	if err := trimmer.Trim(ctx, domain.Control, at); err != nil {
		return fmt.Errorf("control: trim: %w", err)
	}
	return c.readTo(ctx, at+domain.Offset(len(b.Values)))
}

// batch is one record for each key.
func (s *snapshot) batch() (domain.Batch, error) {
	b := domain.Batch{Plain: true}
	put := func(key string, v any) error {
		value, err := encode(key, v)
		b.Keys, b.Values = append(b.Keys, []byte(key)), append(b.Values, value)
		return err
	}
	if s.slots != nil {
		if err := put(slotMapKey, s.slots); err != nil {
			return b, err
		}
	}
	for id, a := range s.apps {
		if err := put(appKey(id), a); err != nil {
			return b, err
		}
	}
	for p, a := range s.anchors {
		if err := put(anchorKey(p), a); err != nil {
			return b, err
		}
	}
	for name, number := range s.nodes {
		if err := put(nodeKey(name), Node{Format: format, Name: name, Number: number}); err != nil {
			return b, err
		}
	}
	for key, r := range s.resets {
		if err := put(key, r); err != nil {
			return b, err
		}
	}
	return b, nil
}
