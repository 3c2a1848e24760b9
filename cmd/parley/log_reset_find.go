package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"parley/domain"
	"parley/domain/fence"
	"parley/ingest/control"
	"parley/ingest/shard"
	"parley/projections"
	"parley/projections/reactor"
	"parley/projections/runner"
	"parley/schemas/table"
)

// cut is a partition whose log has less than the store has seen.
type cut struct {
	partition domain.Partition
	end       domain.Offset // of the log
	at        fence.Reader  // at its end
	logT      domain.T      // of its last commit
	places    []saved       // that the log has not, or not any more
	beyond    domain.Offset // behind all that is known to have been
	index     domain.Index  // the highest that is known to have been
	term      domain.Term   // the same
	t         domain.T      // the same
	streams   int           // whose heads are ahead of the log
	reactors  bool          // their checkpoint is among the places
}

// cuts looks at every partition.
func (n *node) cuts(ctx context.Context, v *logView, c *control.Control) ([]cut, error) {
	r, err := runner.New(ctx, n.store, projections.Kinds(), runner.DefaultSettings(), runner.NewMetrics(prometheus.NewRegistry()), n.log)
	if err != nil {
		return nil, err
	}
	var cuts []cut
	for _, p := range v.partitions {
		found, err := n.cutOf(ctx, v, c, r, p)
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", p, err)
		}
		if len(found.places) > 0 {
			if found.streams, err = n.streamsAhead(ctx, c.SlotMap(), found); err != nil {
				return nil, err
			}
			cuts = append(cuts, *found)
		}
	}
	return cuts, nil
}

// cutOf reads a partition whole and finds the places that it has not.
func (n *node) cutOf(ctx context.Context, v *logView, c *control.Control, r *runner.Runner, p domain.Partition) (*cut, error) {
	places, err := savedPlaces(ctx, n.store, r, p)
	if err != nil {
		return nil, err
	}
	reacted, err := reactor.SavedPlace(ctx, n.store, p)
	if err != nil {
		return nil, err
	}
	const reactors = "the checkpoint of the reactors"
	places = append(places, saved{reactors, reacted})
	slices.SortFunc(places, func(a, b saved) int { return strings.Compare(a.of, b.of) })
	found := &cut{partition: p}
	if a, ok := c.Anchor(p); ok {
		places = append(places, saved{"an anchor", fence.Reader{Next: a.Offset, Term: a.Term, Index: a.Index, Prev: a.Prev}})
		found.t = a.T
	}
	if err := n.seenT(ctx, r, found); err != nil {
		return nil, err
	}
	start, end, err := n.logs.Bounds(ctx, p)
	if err != nil {
		return nil, err
	}
	met := make(map[domain.Offset]fence.Reader, len(places))
	for _, s := range places {
		met[s.at.Next] = fence.Reader{}
	}
	found.end = end
	if start == 0 {
		err = v.walk(ctx, p, fence.Reader{}, end, 0, func(j *judged) error {
			found.at = j.after
			if _, wanted := met[j.after.Next]; wanted {
				met[j.after.Next] = j.after
			}
			if j.content.Commit != nil && j.verdict == fence.Accepted {
				found.logT = j.content.Commit.LastT()
			}
			return nil
		}, nil)
		if err != nil {
			return nil, fmt.Errorf("the log is broken in itself, which no reset mends: %w", err)
		}
	}
	found.beyond, found.term, found.t = end, found.at.Term, max(found.t, found.logT)
	for _, s := range places {
		if s.at.Next >= start && start > 0 && s.at.Next <= end {
			continue // it cannot be told without the log's start
		}
		if m := met[s.at.Next]; m.Index == s.at.Index && m.Prev == s.at.Prev && m.Term == s.at.Term {
			continue
		}
		found.add(s, s.of == reactors)
	}
	if len(found.places) > 0 && start > 0 {
		return nil, fmt.Errorf("the log begins at offset %d: what is derived from it cannot be made anew", start)
	}
	return found, nil
}

// add takes in a place that the log has not.
func (c *cut) add(s saved, reactors bool) {
	c.places = append(c.places, s)
	c.beyond, c.index, c.term = max(c.beyond, s.at.Next), max(c.index, s.at.Index), max(c.term, s.at.Term)
	c.reactors = c.reactors || reactors
}

// seenT finds the highest t that checkpoints have seen.
func (n *node) seenT(ctx context.Context, r *runner.Runner, found *cut) error {
	t, err := shard.SavedT(ctx, n.store, found.partition)
	if err != nil {
		return err
	}
	models, err := r.SavedPlaces(ctx, found.partition)
	found.t = max(found.t, t)
	for _, at := range models {
		found.t = max(found.t, at.T)
	}
	return err
}

// streamsAhead counts the heads that commits have changed which the log has not. It notes their t, too.
func (n *node) streamsAhead(ctx context.Context, slots *control.SlotMap, c *cut) (ahead int, err error) {
	held := &slots.Chats
	if c.partition.IsRooms() {
		held = &slots.Rooms
	}
	for slot, p := range held {
		if p != c.partition {
			continue
		}
		err := n.heads(ctx, slot, func(stream domain.StreamID, asOf domain.T) {
			if at, ok := slots.Partition(stream); ok && at == c.partition && asOf > c.logT {
				ahead++
				c.t = max(c.t, asOf)
			}
		})
		if err != nil {
			return 0, err
		}
	}
	return ahead, nil
}

// heads shows every head of a slot.
func (n *node) heads(ctx context.Context, slot int, show func(domain.StreamID, domain.T)) error {
	const page = 1000
	q := table.Query{Table: shard.Heads, Partition: table.Key(nil).Uint64(uint64(slot)), Limit: page}
	for {
		rows, err := n.store.Scan(ctx, q)
		if err != nil {
			return err
		}
		for _, row := range rows {
			stream, _, err := row.Cluster.CutString()
			if err != nil {
				return err
			}
			show(domain.StreamID(stream), shard.AsOf(row))
		}
		if len(rows) < page {
			return nil
		}
		q.From = rows[len(rows)-1].Cluster.After()
	}
}

// describe says what is lost.
func (c *cut) describe(out io.Writer) {
	fmt.Fprintf(out, "partition %d: the log ends at offset %d, with commit %d of term %d%s\n", c.partition, c.end, c.at.Index, c.at.Term, since(c.logT))
	for _, s := range c.places {
		fmt.Fprintf(out, "  %s stands at offset %d, behind commit %d of term %d\n", s.of, s.at.Next, s.at.Index, s.at.Term)
	}
	fmt.Fprintf(out, "  at least %d commits are lost; %d streams are ahead of the log\n", c.lost(), c.streams)
}

func since(t domain.T) string {
	if t == 0 {
		return ""
	}
	return ", of " + t.Time().UTC().Format("2006-01-02 15:04:05 UTC")
}

// lost is how many commits are known to be lost. It is 0 when as many others stand in their place.
func (c *cut) lost() uint64 { return uint64(max(c.index, c.at.Index) - c.at.Index) }
