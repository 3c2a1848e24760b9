package runner

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"parley/domain"
	"parley/schemas/table"
)

// Status is how far one version of a read model has come in a partition that runs here.
type Status struct {
	Name        string
	Version     int
	Active      bool // the version that is read; the other one is being built
	Partition   domain.Partition
	Next        domain.Offset // the next to read
	Index       domain.Index  // of the last commit applied
	Head        domain.Index  // of the partition's last commit, as far as it was seen here
	T           domain.T      // of the last commit applied
	Quarantined int           // streams
}

// Behind is how many commits are not applied yet.
func (s *Status) Behind() uint64 { return uint64(max(s.Head, s.Index) - s.Index) }

// Statuses returns every version of every read model in every partition that runs here, by name, version and partition.
func (r *Runner) Statuses() []Status {
	var out []Status
	for _, p := range r.allParts() {
		head, members := p.head(), p.all()
		for _, m := range members {
			s := m.status()
			s.Active, s.Head = s.Version == r.Active(s.Name), head
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}

func (m *member) status() Status {
	s := Status{Name: m.projection.Name(), Version: m.projection.Version(), Partition: m.partition, Quarantined: int(m.holds.Load())}
	if at := m.shown.Load(); at != nil {
		s.Next, s.Index, s.T = at.Next, at.Index, at.T
	}
	return s
}

// all returns the members, those that are being built too.
func (p *part) all() []*member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.members)
}

// head is the index of the partition's last commit, as far as anybody here has seen it.
func (p *part) head() domain.Index {
	head := p.feed.HeadIndex()
	for _, m := range p.all() {
		head = max(head, domain.Index(m.applied.Load()))
	}
	return head
}

// Quarantined is a stream that a read model could not apply.
type Quarantined struct {
	Name      string
	Version   int
	Partition domain.Partition
	Stream    domain.StreamID
	First     domain.Index // of the commit that could not be applied
	Offset    domain.Offset
	Reason    string
	Waiting   int // commits that wait, up to MaxWaiting
}

// MaxWaiting is how far the commits of a stream in quarantine are counted.
const MaxWaiting = 1000

// Quarantine returns every stream in quarantine in the partitions that run here.
func (r *Runner) Quarantine(ctx context.Context) ([]Quarantined, error) {
	var out []Quarantined
	for _, p := range r.allParts() {
		for _, m := range p.all() {
			for _, stream := range m.heldStreams() {
				q, err := m.describe(ctx, r.store, stream)
				if err != nil {
					return nil, err
				}
				out = append(out, q)
			}
		}
	}
	slices.SortFunc(out, func(a, b Quarantined) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.First, b.First))
	})
	return out, nil
}

func (m *member) heldStreams() []domain.StreamID {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]domain.StreamID, 0, len(m.held))
	for stream := range m.held {
		out = append(out, stream)
	}
	return out
}

// describe reads what is known of a stream in quarantine.
func (m *member) describe(ctx context.Context, st Store, stream domain.StreamID) (Quarantined, error) {
	q := Quarantined{Name: m.projection.Name(), Version: m.projection.Version(), Partition: m.partition, Stream: stream}
	var err error
	if q.First, q.Reason, err = m.cause(ctx, st, stream); err != nil {
		return q, err
	}
	for after := q.First - min(q.First, 1); q.Waiting < MaxWaiting; {
		positions, err := m.positions(ctx, st, stream, after)
		if err != nil {
			return q, err
		}
		if len(positions) == 0 {
			break
		}
		if q.Waiting == 0 {
			q.Offset = positions[0].Offset
		}
		q.Waiting += len(positions)
		after = positions[len(positions)-1].Index
	}
	return q, nil
}

// cause reads which commit of a stream in quarantine could not be applied, and why.
func (m *member) cause(ctx context.Context, st Store, stream domain.StreamID) (first domain.Index, reason string, err error) {
	key := table.RowKey{Partition: m.quarantinePartition(), Cluster: table.Key(nil).Text(string(stream))}
	rows, err := st.Get(ctx, quarantine, []table.RowKey{key})
	if err != nil {
		return 0, "", fmt.Errorf("read quarantine: %w", err)
	}
	if !rows[0].Found() {
		return 0, "", nil // its row is not in the store yet
	}
	return domain.Index(number(rows[0].Cells[1].Value)), string(rows[0].Cells[2].Value), nil
}

// number reads a cell of 8 bytes; a cell without a value is 0.
func number(cell []byte) uint64 {
	if len(cell) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(cell)
}

// allParts returns the partitions that run here.
func (r *Runner) allParts() []*part {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*part, 0, len(r.parts))
	for _, p := range r.parts {
		out = append(out, p)
	}
	return out
}
