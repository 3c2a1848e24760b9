package lease

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"parley/schemas/table"
)

// loadPage is how many rows are read at once.
const loadPage = 1000

// loader is what Load knows while it reads.
type loader struct {
	*Leases
	now    int64
	alive  map[string]int64 // by node: its last heartbeat
	owners map[*room]uint64 // the write timestamp of the row that named the room's owner
	rows   map[*user]uint64 // that of the row that a user came from, for the bucket being read
}

// Load reads the leases of before: those that were viewed when the process ended without notice go on as if they had been cut at the node's
// last heartbeat, the others from when they were. Nothing else is called before it has returned. The Sink is told nothing. A row that
// cannot be read is an error.
func (l *Leases) Load(ctx context.Context) error {
	ld := &loader{Leases: l, now: l.micro(), alive: make(map[string]int64), owners: make(map[*room]uint64)}
	if err := ld.scan(ctx, Nodes, nodesPartition(), ld.node); err != nil {
		return fmt.Errorf("load nodes: %w", err)
	}
	for i := range l.buckets {
		b := &l.buckets[i]
		ld.rows = make(map[*user]uint64)
		err := ld.scan(ctx, Rows, bucketPartition(i), func(r table.Row) error { return ld.row(b, i, r) })
		if err != nil {
			return fmt.Errorf("load leases of bucket %d: %w", i, err)
		}
	}
	return nil
}

// scan calls f with every row of a partition.
func (ld *loader) scan(ctx context.Context, t *table.Table, partition table.Key, f func(table.Row) error) error {
	q := table.Query{Table: t, Partition: partition, Limit: loadPage}
	for {
		rows, err := ld.store.Scan(ctx, q)
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		for _, r := range rows {
			ld.writer.t = max(ld.writer.t, r.Cells[0].T)
			if err := f(r); err != nil {
				return err
			}
		}
		if len(rows) < q.Limit {
			return nil
		}
		q.From = append(rows[len(rows)-1].Cluster, 0)
	}
}

func (ld *loader) node(r table.Row) error {
	name, _, err := r.Cluster.CutString()
	if err != nil || len(r.Cells[0].Value) != 8 {
		return fmt.Errorf("row of node %q is malformed: %w", name, errShort)
	}
	ld.alive[name] = int64(binary.BigEndian.Uint64(r.Cells[0].Value) &^ (1 << 63))
	return nil
}

// row takes a row of leases, or notes that it is free.
func (ld *loader) row(b *bucket, in int, r table.Row) error {
	n, _, err := r.Cluster.CutUint64()
	if err != nil {
		return fmt.Errorf("read row: %w", err)
	}
	if n >= math.MaxUint32 {
		return fmt.Errorf("row %d: %w", n, errFormat)
	}
	number := uint32(n)
	for ; b.numbers < number; b.numbers++ { // rows that were never written
		b.free = append(b.free, b.numbers)
	}
	b.numbers = number + 1
	if len(r.Cells[0].Value) == 0 {
		b.free = append(b.free, number)
		return nil
	}
	st, err := decodeUser(r.Cells[0].Value)
	if err != nil {
		return fmt.Errorf("row %d: %w", n, err)
	}
	if Bucket(st.key.app, st.key.user) != in {
		return fmt.Errorf("row %d: %w", n, errBucket)
	}
	ld.user(b, &st, number+1, r.Cells[0].T)
	return nil
}

// user takes a user's leases. No user has two rows; should one have, the later counts, and the other is emptied.
func (ld *loader) user(b *bucket, st *storedUser, row uint32, t uint64) {
	u := &user{key: st.key, incarnation: st.incarnation, row: row}
	if old := b.users[u.key]; old != nil {
		if ld.rows[old] > t {
			ld.soil(b, u)
			return
		}
		ld.tellAll(ld.endAll(b, old, ended))
	}
	b.users[u.key], ld.rows[u] = u, t
	for i := range st.leases {
		le := &st.leases[i]
		if open := le.cutAt(ld.alive[st.node], ld.now); open {
			ld.soil(b, u)
		}
		if !le.stays && ld.over(&le.lease, ld.now) {
			ld.metrics.loadedAndClosed.Inc()
			ld.soil(b, u)
			continue
		}
		ld.add(b, u, le, t)
	}
}

// cutAt cuts what was viewed when the process ended. open tells whether there was such. What lies ahead of the clock is now.
func (le *storedLease) cutAt(alive, now int64) (open bool) {
	end := min(max(alive, le.joined), now)
	for i := range le.devices {
		d := &le.devices[i]
		if d.cut == 0 {
			d.cut, open = max(end, 1), true
		}
		d.cut = min(d.cut, now)
	}
	if le.idle == 0 {
		le.idle, open = max(end, 1), true
	}
	le.idle = min(le.idle, now)
	return open
}

// add adds a lease that goes on.
func (ld *loader) add(b *bucket, u *user, st *storedLease, t uint64) {
	le := st.lease
	r := ld.lockRoom(st.id)
	defer r.mu.Unlock()
	le.user, le.room = u, r
	le.listed = le.stays && u.key.user != st.owner // an owner may be, too: SetAllowed says so
	u.leases = append(u.leases, &le)
	r.viewers[u.key.user] = &le
	if t > ld.owners[r] {
		ld.owners[r], r.owner = t, st.owner
	}
	soiled := u.waits != 0
	ld.changed(b, &le)
	if !soiled {
		ld.clean(b, u) // the row says the same already
	}
	ld.metrics.viewers.Inc()
	ld.metrics.loaded.Inc()
}
