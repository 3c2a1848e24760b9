package lease

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"parley/domain"
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
	rows   map[*user]uint64 // that of the row of this node that a user came from, for the bucket being read
	voids  map[void]uint64  // by node and bucket: rows that were written until then are void
	voided map[void]bool    // by node and bucket: rows that this node has taken over
	peers  map[string]source
}

// Load reads the leases of before: those that were viewed when the process ended without notice go on as if they had been cut at the node's
// last heartbeat, the others from when they were. Nothing else is called before it has returned. The Sink is told nothing. A row that
// cannot be read is an error.
func (l *Leases) Load(ctx context.Context) error {
	ld := &loader{Leases: l, now: l.micro(), alive: make(map[string]int64), owners: make(map[*room]uint64)}
	ld.voids, ld.voided, ld.peers = make(map[void]uint64), make(map[void]bool), make(map[string]source)
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
	l.peers.alive = ld.alive[l.node]
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
	v := binary.BigEndian.Uint64(r.Cells[0].Value)
	if !strings.HasPrefix(name, voidMark) {
		ld.alive[name] = int64(v &^ (1 << 63))
		return nil
	}
	if number, bucket, ok := cutVoidName(name); ok {
		ld.voids[void{number: number, bucket: bucket}] = v
		if number == ld.number {
			ld.buckets[bucket].void = int64(v &^ (1 << 63))
			ld.writer.t = max(ld.writer.t, v)
		}
	}
	return nil
}

// row takes a row of leases, or notes that it is free.
func (ld *loader) row(b *bucket, in int, r table.Row) error {
	n, _, err := r.Cluster.CutUint64()
	if err != nil {
		return fmt.Errorf("read row: %w", err)
	}
	number, node := uint32(n), n>>32
	if number == math.MaxUint32 || node > uint64(numbersMost) {
		return fmt.Errorf("row %d: %w", n, errFormat)
	}
	own := int(node) == ld.number
	for ; own && b.numbers < number; b.numbers++ { // rows that were never written
		b.free = append(b.free, b.numbers)
	}
	if own {
		b.numbers = number + 1
	}
	void := r.Cells[0].T <= ld.voids[void{number: int(node), bucket: in}]
	if len(r.Cells[0].Value) == 0 || void && !own {
		if own {
			b.free = append(b.free, number)
		}
		return nil
	}
	st, err := decodeUser(r.Cells[0].Value)
	if err != nil {
		return fmt.Errorf("row %d: %w", n, err)
	}
	if Bucket(st.key.app, st.key.user) != in {
		return fmt.Errorf("row %d: %w", n, errBucket)
	}
	if void {
		st.leases = nil // the row is yet to be emptied
	}
	if !own {
		number = math.MaxUint32 // no row of this node's
	}
	ld.user(b, in, &st, int(node), number+1, r.Cells[0].T)
	return nil
}

// user takes a user's leases from a row: of this node, or (row 0) of another. Of this node's rows no user has two; should one have, the later
// counts, and the other is emptied.
func (ld *loader) user(b *bucket, in int, st *storedUser, node int, row uint32, t uint64) {
	u := b.users[st.key]
	if u != nil && row != 0 && u.row != 0 {
		if ld.rows[u] > t {
			ld.soil(b, &user{key: st.key, row: row})
			return
		}
		ld.tellAll(ld.endAll(b, u, ended))
		u = nil
	}
	if u == nil {
		u = &user{key: st.key, incarnation: st.incarnation}
		b.users[st.key] = u
	}
	if row != 0 {
		u.row, ld.rows[u] = row, t
	}
	switch {
	case st.incarnation > u.incarnation:
		ld.tellAll(ld.endAll(b, u, ended))
		u.incarnation = st.incarnation
	case st.incarnation < u.incarnation:
		st.leases = nil
	}
	by := ld.source(in, st.node, node, row != 0)
	if ld.leases(b, u, st, by, t) != len(st.leases) && row != 0 || len(st.leases) == 0 || by.mine() && row == 0 {
		ld.soil(b, u)
	}
	ld.leaveEmpty(b, u)
}

// source returns who has the word on what a row says. Alone this node takes over what it finds. In a cluster it goes on with what its own rows
// say; what others' rows say waits for their node to say itself what is so, or for whoever takes it over.
func (ld *loader) source(bucket int, name string, number int, own bool) source {
	mine := own || ld.tellFact == nil || name == ld.Leases.node // this node may have had another number
	if v := (void{number: number, bucket: bucket}); mine && !own && !ld.voided[v] {
		ld.voided[v] = true
		v.until = uint64(ld.now + clocksDiffer.Microseconds())
		ld.Leases.voids.putBack([]void{v})
	}
	if ld.tellFact == nil {
		return 0
	}
	s, ok := ld.peers[name]
	if !ok {
		node := domain.Node{Name: domain.NodeName(name)}
		s = ld.addPeer(&peer{node: node, number: number, dead: ld.now, loaded: true})
		ld.peers[name] = s
	}
	if mine {
		s |= adopted
	}
	return s
}

// leases takes the leases of a row, and returns of how many it says what is so.
func (ld *loader) leases(b *bucket, u *user, st *storedUser, by source, t uint64) (same int) {
	for i := range st.leases {
		le := &st.leases[i]
		open := le.cutAt(ld.alive[st.node], ld.now)
		if !le.stays && ld.over(&le.lease, ld.now) {
			ld.metrics.loadedAndClosed.Inc()
			continue
		}
		if !open {
			same++
		}
		for i := range le.devices {
			le.devices[i].by = by
		}
		ld.add(b, u, le, t)
	}
	return same
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
	le.reckon()
	return open
}

// add adds a lease that goes on, or what another row says of it.
func (ld *loader) add(b *bucket, u *user, st *storedLease, t uint64) {
	r := ld.lockRoom(st.id)
	defer r.mu.Unlock()
	le := r.viewers[u.key.user]
	if le == nil {
		le = &lease{user: u, room: r, ext: st.ext, joined: st.joined, stays: st.stays}
		le.listed = st.stays && u.key.user != st.owner // an owner may be, too: SetAllowed says so
		u.leases = append(u.leases, le)
		r.viewers[u.key.user] = le
		ld.metrics.viewers.Inc()
		ld.metrics.loaded.Inc()
	}
	le.joined = min(le.joined, st.joined)
	le.stays = le.stays || st.stays
	le.devices = onceMine(append(le.devices, st.devices...))
	le.reckon()
	if t > ld.owners[r] {
		ld.owners[r], r.owner = t, st.owner
	}
	ld.moved(b, le)
}
