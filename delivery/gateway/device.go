package gateway

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/domain"
	"parley/schemas/table"
)

// Store keeps delivery's own tables.
type Store interface {
	Write(ctx context.Context, writes []table.Write) error
	Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error)
	Scan(ctx context.Context, q table.Query) ([]table.Row, error)
	// Sync returns when all that was written before survives the process and the machine.
	Sync(ctx context.Context) error
}

// deviceKey names a device of one incarnation of a user.
type deviceKey struct {
	app         domain.AppID
	user        domain.UserID
	incarnation domain.Incarnation
	resource    domain.Resource
}

func userPartition(app domain.AppID, u domain.UserID, inc domain.Incarnation) table.Key {
	return table.Key(nil).Text(string(app)).Text(string(u)).Uint64(uint64(inc))
}

func (k deviceKey) partition() table.Key { return userPartition(k.app, k.user, k.incarnation) }
func (k deviceKey) cluster() table.Key   { return table.Key(nil).Text(string(k.resource)) }

// mark is where a device stands in a queue: what it has acknowledged and what it has been shown.
type mark struct{ acked, pushed domain.Seq }

// device is a device while it has sockets, and for a while after. Several sockets of one device (tabs share a resource) have marks of their
// own; the stored cursor is the highest of them.
type device struct {
	key  deviceKey
	keys atomic.Uint64 // the key counter: differs from frame to frame over all sockets of the device, and over restarts

	counts atomic.Bool // keys is above what was stored

	roomsLeft map[domain.StreamID]roomLeft // guarded by the lock of the user; of ended sockets, while there are others

	mu       sync.Mutex
	sockets  int
	attached time.Time // the last socket
	idle     time.Time // since there are no sockets
	dirty    map[domain.StreamID]mark
	flying   map[domain.StreamID]mark // being written; dirty is later
	changes  int                      // in dirty
	since    time.Time                // of the first change that is not written
	queued   bool                     // in devices.unsaved
	awaited  []chan struct{}          // closed when what is in dirty is written
	aboard   []chan struct{}          // closed when what is flying is
	leftover []leftover
}

// leftover is where a socket stood that died without log-out while its device had others.
type leftover struct {
	at    time.Time
	marks map[domain.StreamID]domain.Seq
}

// keysAhead is how far ahead of use the stored key counter is when it is written. It is a prime, so that no few starts bring the counter round
// to where it was.
const (
	keysAhead = 10007
	keysLeft  = keysAhead / 2 // with fewer the row is written again
)

// nextKey returns the key of a frame that ends at seq: seq << 16 | a counter, so that no two frames of a device have the same key. It is never
// 0, which would be no key.
func (d *device) nextKey(seq domain.Seq) uint64 {
	return uint64(seq)<<16 | (1 + d.keys.Add(1)%0xffff)
}

// keySeq returns the seq in a key.
func keySeq(key uint64) domain.Seq { return domain.Seq(key >> 16) }

func (m mark) max(o mark) mark {
	return mark{acked: max(m.acked, o.acked), pushed: max(m.pushed, o.pushed)}
}

// note remembers where a socket stands, to be written soon. first tells that the device is to be queued for that; changes how much waits.
func (d *device) note(stream domain.StreamID, m mark, now time.Time) (first bool, changes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dirty == nil {
		d.dirty = make(map[domain.StreamID]mark)
	}
	if d.changes == 0 {
		d.since = now
	}
	d.changes++
	d.dirty[stream] = d.dirty[stream].max(m)
	first, d.queued = !d.queued, true
	return first, d.changes
}

// due tells whether marks should be written now.
func (d *device) due(now time.Time, batch int, interval time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changes >= batch || d.changes > 0 && (d.sockets == 0 || len(d.awaited) > 0 || now.Sub(d.since) >= interval)
}

// take takes the unwritten marks as writes. They are flying until landed is called.
func (d *device) take(dst []table.Write) []table.Write {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flying, d.dirty, d.changes = d.dirty, nil, 0
	d.aboard, d.awaited = d.awaited, nil
	for stream, m := range d.flying {
		dst = cursorWrites(dst, d.key, stream, m)
	}
	return dst
}

// landed ends a write, if the device had a part in it: what was not written waits again. It returns true when nothing waits any more.
func (d *device) landed(written bool) (clean bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.flying == nil {
		return false
	}
	if !written {
		for stream, m := range d.dirty {
			d.flying[stream] = d.flying[stream].max(m)
		}
		d.dirty = d.flying
		d.changes = max(d.changes, len(d.dirty))
		d.awaited, d.aboard = append(d.aboard, d.awaited...), nil
	}
	for _, written := range d.aboard {
		close(written)
	}
	d.flying, d.aboard = nil, nil
	d.queued = d.changes > 0
	return !d.queued
}

// unwritten raises marks to those that are in memory only.
func (d *device) unwritten(marks map[domain.StreamID]mark) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, some := range []map[domain.StreamID]mark{d.flying, d.dirty} {
		for stream, m := range some {
			marks[stream] = marks[stream].max(m)
		}
	}
}

func cursorWrites(out []table.Write, k deviceKey, stream domain.StreamID, m mark) []table.Write {
	w := table.Write{Table: Cursors, Partition: k.partition(), Cluster: k.cluster().Text(string(stream))}
	for column, seq := range []domain.Seq{m.acked, m.pushed} {
		if seq == 0 {
			continue
		}
		w.T = uint64(seq)
		w.Cells = []table.Cell{{Column: uint8(column), Value: number(uint64(seq))}}
		out = append(out, w)
	}
	return out
}

func number(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

func cell(r table.Row, column int) uint64 {
	if !r.Found() || len(r.Cells[column].Value) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(r.Cells[column].Value)
}

// deviceState is what log-in reads of a device.
type deviceState struct {
	first      bool      // of the user's devices, ever
	firstLogin time.Time // of this device
	marks      map[domain.StreamID]mark
}

// devices are the devices that are or were lately connected here, and the writer of their cursors.
type devices struct {
	store    Store
	settings *Settings
	metrics  *metrics
	now      func() time.Time

	mu      sync.Mutex
	all     map[deviceKey]*device
	unsaved []*device // with marks that are not written: those whose field queued is set

	unsynced bool // written, but may not last; of the goroutine that saves

	hurry chan struct{} // a device has a batch of marks to write
}

func newDevices(store Store, s *Settings, m *metrics, now func() time.Time) *devices {
	return &devices{
		store: store, settings: s, metrics: m, now: now, all: make(map[deviceKey]*device), hurry: make(chan struct{}, 1),
	}
}

// attach counts a socket in.
func (ds *devices) attach(k deviceKey) *device {
	now := ds.now()
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d := ds.all[k]
	if d == nil {
		d = &device{key: k}
		d.keys.Store(uint64(now.UnixMilli())) // above what was stored, unless more than a frame a millisecond was sent
		ds.all[k] = d
	}
	d.mu.Lock()
	d.sockets++
	d.attached = now
	d.mu.Unlock()
	return d
}

// detach counts a socket out. marks are where it stood, nil after a log-out and for a client that is back already; heard is when its client was last heard of. If a socket of the
// device has come since then, it was most likely the same client's, back from a broken connection: marks of such would take the next log-in
// far back, past what clients remember. A living tab is heard of whenever something is shown to it.
func (ds *devices) detach(d *device, marks map[domain.StreamID]domain.Seq, heard time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sockets--
	d.idle = ds.now()
	if d.sockets == 0 || len(marks) == 0 || !heard.After(d.attached) {
		return
	}
	d.leftover = append(d.leftover, leftover{at: d.idle, marks: marks})
	if len(d.leftover) > 8 {
		d.leftover = d.leftover[1:]
	}
}

// note remembers where a socket of the device stands, to be written soon.
func (ds *devices) note(d *device, stream domain.StreamID, m mark) {
	first, changes := d.note(stream, m, ds.now())
	if first {
		ds.mu.Lock()
		ds.unsaved = append(ds.unsaved, d)
		ds.mu.Unlock()
	}
	if changes == ds.settings.CursorBatch {
		select {
		case ds.hurry <- struct{}{}:
		default:
		}
	}
}

// load reads where the device stands, and registers it on its first log-in.
func (ds *devices) load(ctx context.Context, d *device, info *deviceInfo) (deviceState, error) {
	memory := map[domain.StreamID]mark{}
	d.unwritten(memory) // before the rows are read: what is written meanwhile is in one of the two
	st, err := ds.loadDevice(ctx, d, info)
	if err != nil {
		return st, err
	}
	st.marks = memory
	return st, ds.eachCursor(ctx, table.Query{
		Table: Cursors, Partition: d.key.partition(), From: d.key.cluster(), To: d.key.cluster().After(),
	}, func(stream domain.StreamID, m mark) { st.marks[stream] = st.marks[stream].max(m) })
}

// cursorPage is how many cursors are read at once.
const cursorPage = 1000

// eachCursor calls f with every cursor that a query finds.
func (ds *devices) eachCursor(ctx context.Context, q table.Query, f func(domain.StreamID, mark)) error {
	q.Limit = cursorPage
	for {
		rows, err := ds.store.Scan(ctx, q)
		if err != nil {
			return fmt.Errorf("read cursors: %w", err)
		}
		for _, r := range rows {
			_, rest, err := r.Cluster.CutString()
			if err != nil {
				return fmt.Errorf("read cursors: %w", err)
			}
			stream, _, err := rest.CutString()
			if err != nil {
				return fmt.Errorf("read cursors: %w", err)
			}
			f(domain.StreamID(stream), mark{acked: domain.Seq(cell(r, cursorAcked)), pushed: domain.Seq(cell(r, cursorPushed))})
		}
		if len(rows) < q.Limit {
			return nil
		}
		q.From = append(rows[len(rows)-1].Cluster, 0)
	}
}

// takeLeftover lowers marks to where the sockets stood that died lately, once: it is for the next socket that starts.
func (d *device) takeLeftover(marks map[domain.StreamID]mark, since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.leftover {
		if l.at.Before(since) {
			continue
		}
		for stream, seq := range l.marks {
			if m, ok := marks[stream]; ok && seq < m.acked {
				marks[stream] = mark{acked: seq, pushed: m.pushed}
			}
		}
	}
	d.leftover = nil
}

// deviceInfo is what a device says of itself at log-in.
type deviceInfo struct{ platform, uuid, name string }

func (ds *devices) loadDevice(ctx context.Context, d *device, info *deviceInfo) (deviceState, error) {
	var st deviceState
	rows, err := ds.store.Scan(ctx, table.Query{Table: Devices, Partition: d.key.partition(), Limit: 256})
	if err != nil {
		return st, fmt.Errorf("read devices: %w", err)
	}
	st.first = true
	var own table.Row
	for _, r := range rows {
		if string(r.Cluster) == string(d.key.cluster()) {
			own = r
			continue
		}
		st.first = false
	}
	now := ds.now()
	st.firstLogin = now
	if us := cell(own, deviceFirstLogin); us > 0 {
		st.firstLogin = time.UnixMicro(int64(us))
	}
	for !d.counts.Load() { // from then on it only goes up, and needs no row
		keys, stored := d.keys.Load(), cell(own, deviceKeys)
		if keys >= stored || d.keys.CompareAndSwap(keys, stored) {
			d.counts.Store(true)
		}
	}
	if info.is(own) && cell(own, deviceKeys) >= d.keys.Load()+keysLeft {
		return st, nil
	}
	return st, ds.register(ctx, d, info, own.Found(), now)
}

// is tells whether the stored row says the same of the device.
func (i *deviceInfo) is(r table.Row) bool {
	return r.Found() && string(r.Cells[devicePlatform].Value) == i.platform &&
		string(r.Cells[deviceUUID].Value) == i.uuid && string(r.Cells[deviceName].Value) == i.name
}

// register writes the device's row: its first log-in once, its key counter ahead of use.
func (ds *devices) register(ctx context.Context, d *device, info *deviceInfo, known bool, now time.Time) error {
	w := table.Write{Table: Devices, Partition: d.key.partition(), Cluster: d.key.cluster(), T: uint64(now.UnixMicro()), Cells: []table.Cell{
		{Column: deviceKeys, Value: number(d.keys.Load() + keysAhead)},
		{Column: devicePlatform, Value: []byte(info.platform)},
		{Column: deviceUUID, Value: []byte(info.uuid)},
		{Column: deviceName, Value: []byte(info.name)},
	}}
	writes := []table.Write{w}
	if !known {
		w.T, w.Cells = 1, []table.Cell{{Column: deviceFirstLogin, Value: number(uint64(now.UnixMicro()))}}
		writes = append(writes, w)
	}
	if err := ds.store.Write(ctx, writes); err != nil {
		return fmt.Errorf("write device: %w", err)
	}
	return nil
}

// How often cursors are looked at, and the least time between two writes. A busy device does not wait for the next look: what it has
// acknowledged and is not written is shown again after a crash, and clients forget what they have seen after about 100 entries.
const (
	cursorTick  = 100 * time.Millisecond
	cursorPause = 10 * time.Millisecond
)

// run writes cursors as they come due, and forgets devices that are gone, until ctx ends; then it writes what is left.
func (ds *devices) run(ctx context.Context) {
	tick := time.NewTicker(cursorTick)
	defer tick.Stop()
	forget := time.NewTicker(ds.settings.MarksKept / 4)
	defer forget.Stop()
	for {
		select {
		case <-tick.C:
			ds.save(ctx, false)
		case <-ds.hurry:
			ds.save(ctx, false)
			time.Sleep(cursorPause)
		case <-forget.C:
			ds.forget()
		case <-ctx.Done():
			ds.save(context.WithoutCancel(ctx), true)
			return
		}
	}
}

const (
	saveDevices = 512 // written at once
	saveTimeout = 2 * time.Second
)

// save writes the marks that are due, and makes sure that they last: unlike what the log holds, nobody could make them again, and clients
// have forgotten what they would be shown anew. While the store does not answer they stay, and the next tick tries again.
func (ds *devices) save(ctx context.Context, all bool) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	for some := range slices.Chunk(ds.due(all), saveDevices) {
		if err := ds.write(ctx, some); err != nil {
			ds.metrics.cursorsFailed.Inc()
			return
		}
		ds.metrics.cursorsWritten.Inc()
		ds.unsynced = true
	}
	if !ds.unsynced {
		return
	}
	if err := ds.store.Sync(ctx); err != nil {
		ds.metrics.cursorsNotSynced.Inc()
		return
	}
	ds.unsynced = false
}

// write writes the marks of some devices.
func (ds *devices) write(ctx context.Context, some []*device) error {
	var writes []table.Write
	for _, d := range some {
		writes = d.take(writes)
	}
	err := ds.store.Write(ctx, writes)
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.unsaved = slices.DeleteFunc(ds.unsaved, func(d *device) bool { return d.landed(err == nil) })
	return err
}

// due returns the devices whose marks are to be written now.
func (ds *devices) due(all bool) []*device {
	now := ds.now()
	ds.mu.Lock()
	defer ds.mu.Unlock()
	var out []*device
	for _, d := range ds.unsaved {
		if all || d.due(now, ds.settings.CursorBatch, ds.settings.CursorInterval) {
			out = append(out, d)
		}
	}
	return out
}

// forget drops devices that have had no socket for long and nothing to write.
func (ds *devices) forget() {
	now := ds.now()
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for k, d := range ds.all {
		d.mu.Lock()
		if d.sockets == 0 && d.changes == 0 && now.Sub(d.idle) > ds.settings.MarksKept {
			delete(ds.all, k)
		}
		d.mu.Unlock()
	}
}
