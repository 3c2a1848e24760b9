package lease

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"parley/schemas/table"
)

// void says that rows of a node that were written until an instant count no more: they were taken over.
type void struct {
	number, bucket int
	until          uint64
}

// voids are those that are not written.
type voids struct {
	mu   sync.Mutex
	some []void
}

func (v *voids) add(number int, t *took) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range Buckets {
		if t.buckets.has(i) {
			v.some = append(v.some, void{number, i, uint64(t.until)})
		}
	}
}

func (v *voids) take() (some []void) {
	v.mu.Lock()
	defer v.mu.Unlock()
	some, v.some = v.some, nil
	return some
}

func (v *voids) putBack(some []void) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.some = append(some, v.some...)
}

// voidMark begins the names of rows of Nodes that are no nodes: the number of a node and a bucket follow, and the cell is the instant until
// which its rows there are void.
const voidMark = "\x01"

func voidName(number, bucket int) string {
	return voidMark + strconv.Itoa(number) + "/" + strconv.Itoa(bucket)
}

// cutVoidName is the inverse of voidName.
func cutVoidName(name string) (number, bucket int, ok bool) {
	k, i, _ := strings.Cut(strings.TrimPrefix(name, voidMark), "/")
	number, err := strconv.Atoi(k)
	if err != nil || number < 0 || number > numbersMost {
		return 0, 0, false
	}
	bucket, err = strconv.Atoi(i)
	return number, bucket, err == nil && bucket >= 0 && bucket < Buckets
}

// writeAfter makes what is written from now on later than an instant.
func (l *Leases) writeAfter(t int64) {
	t = min(t, l.micro()+2*clocksDiffer.Microseconds())
	for {
		old := l.rowsFrom.Load()
		if old >= t || l.rowsFrom.CompareAndSwap(old, t) {
			return
		}
	}
}

// writeVoids says which rows of dead nodes count no more. What was taken over from them has been written.
func (l *Leases) writeVoids(ctx context.Context, voids []void) error {
	if len(voids) == 0 {
		return nil
	}
	writes := make([]table.Write, len(voids))
	for i, v := range voids {
		writes[i] = table.Write{
			Table: Nodes, Partition: nodesPartition(), Cluster: table.Key(nil).Text(voidName(v.number, v.bucket)), T: l.nextT(),
			Cells: []table.Cell{{Column: 0, Value: binary.BigEndian.AppendUint64(nil, v.until)}},
		}
	}
	if err := l.put(ctx, writes); err != nil {
		return fmt.Errorf("write what was taken over: %w", err)
	}
	return nil
}

// readVoids looks whether others have declared rows of this node void, which they do when they believe that it is dead. They tell so, too; but
// may be dead themselves before that is heard. What is void is written anew.
func (l *Leases) readVoids(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	mark := voidMark + strconv.Itoa(l.number) + "/"
	rows, err := l.store.Scan(ctx, table.Query{Table: Nodes, Partition: nodesPartition(), From: table.Key(mark), To: table.Key(mark).After(), Limit: Buckets})
	if err != nil {
		return err
	}
	for _, r := range rows {
		name, _, err := r.Cluster.CutString()
		if err != nil || !strings.HasPrefix(name, mark) || len(r.Cells[0].Value) != 8 {
			break
		}
		if _, bucket, ok := cutVoidName(name); ok {
			l.rewrite(bucket, int64(binary.BigEndian.Uint64(r.Cells[0].Value)&^(1<<63)))
		}
	}
	return nil
}

// rewrite has rows of a bucket written anew, later than an instant until which they are void.
func (l *Leases) rewrite(bucket int, until int64) {
	b := &l.buckets[bucket]
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.void >= until {
		return
	}
	b.void = until
	l.writeAfter(until)
	for _, u := range b.users {
		if u.row != 0 {
			l.soil(b, u)
		}
	}
}
