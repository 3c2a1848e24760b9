package lease

import (
	"encoding/binary"
	"errors"
	"fmt"

	"parley/domain"
)

// factKind is the first byte of a fact. Kinds are never given another meaning; those that a node does not know it ignores, and what follows
// the fields that it knows, too: nodes of two versions work side by side.
type factKind byte

const (
	factLeases factKind = 1 // all that a node says of some leases of a user; what it does not say of them is not so
	factAsk    factKind = 2 // a user leaves a room: whoever has a word on it is to end it
	factAdded  factKind = 3 // a user was added to a room over REST: its sessions are to view it
	factEnded  factKind = 4 // a room has ended
	factTook   factKind = 5 // buckets of a dead node were taken over: nothing that it said of them is true any more
	factNode   factKind = 6 // the number of the node that tells
)

// Flags in facts.
const (
	toldListed = 1 << iota
	toldListLogged
	toldOwnerLogged
)

const (
	toldDead = 1 << iota
)

// toldUser is what a node says of leases of a user.
type toldUser struct {
	key         userKey
	incarnation domain.Incarnation
	leases      []toldLease
}

// toldLease is what a node says of a lease; without devices it says nothing of it.
type toldLease struct {
	room        Room
	owner       domain.UserID // of the room; "": not known
	ownerLogged bool          // a node has read so in the log
	ext         string
	listed      bool // on the room's allow list
	listLogged  bool
	joined      int64
	devices     []device
}

// ask asks for the end of what was before an instant.
type ask struct {
	key      userKey
	room     Room
	resource domain.Resource // "": all
	t        int64
	noted    int64 // here
}

// took says who has taken over what.
type took struct {
	node    domain.Node
	until   int64 // rows of that node that were written until then are void
	buckets bucketSet
}

// bucketSet is a set of buckets.
type bucketSet [Buckets / 8]byte

func (s *bucketSet) add(i int)      { s[i/8] |= 1 << (i % 8) }
func (s *bucketSet) has(i int) bool { return s[i/8]>>(i%8)&1 != 0 }

func appendUserFact(b []byte, u *user, leases int) []byte {
	b = append(b, byte(factLeases))
	b = appendKey(b, u.key)
	b = binary.AppendUvarint(b, uint64(u.incarnation))
	return binary.AppendUvarint(b, uint64(leases))
}

// appendToldLease appends what this node says of a lease. The room is not locked.
func appendToldLease(b []byte, le *lease) []byte {
	n := 0
	for i := range le.devices {
		if le.devices[i].by.mine() {
			n++
		}
	}
	var flags byte
	if le.listed {
		flags |= toldListed
	}
	le.room.mu.Lock()
	owner, named := le.room.owner, le.room.named
	le.room.mu.Unlock()
	if named >= byOthers {
		flags |= toldOwnerLogged
	}
	if le.named >= byOthers {
		flags |= toldListLogged
	}
	b = appendString(b, string(le.room.id))
	b = appendString(b, string(owner))
	b = appendString(b, le.ext)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(le.joined))
	b = binary.AppendUvarint(b, uint64(n))
	for i := range le.devices {
		if d := &le.devices[i]; d.by.mine() {
			b = appendToldDevice(b, d)
		}
	}
	return b
}

func appendToldDevice(b []byte, d *device) []byte {
	var flags byte
	if d.dead {
		flags |= toldDead
	}
	b = appendString(b, string(d.resource))
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(d.seen))
	b = binary.AppendUvarint(b, uint64(d.cut))
	return binary.AppendUvarint(b, uint64(d.since))
}

func appendKey(b []byte, k userKey) []byte {
	return appendString(appendString(b, string(k.app)), string(k.user))
}

func appendAsk(b []byte, a *ask) []byte {
	b = appendKey(append(b, byte(factAsk)), a.key)
	b = appendString(b, string(a.room))
	b = appendString(b, string(a.resource))
	return binary.AppendUvarint(b, uint64(a.t))
}

func appendAdded(b []byte, u *user, room Room) []byte {
	b = appendKey(append(b, byte(factAdded)), u.key)
	b = binary.AppendUvarint(b, uint64(u.incarnation))
	return appendString(b, string(room))
}

func appendTook(b []byte, t *took) []byte {
	b = appendString(append(b, byte(factTook)), string(t.node.Name))
	b = binary.AppendUvarint(b, t.node.Life)
	b = binary.AppendUvarint(b, uint64(t.until))
	return append(b, t.buckets[:]...)
}

func (r *reader) key() userKey {
	return userKey{app: domain.AppID(r.text()), user: domain.UserID(r.text())}
}

func (r *reader) toldUser() (u toldUser) {
	u.key, u.incarnation = r.key(), domain.Incarnation(r.number())
	for range r.length() {
		u.leases = append(u.leases, r.toldLease())
	}
	return u
}

func (r *reader) toldLease() (le toldLease) {
	le.room, le.owner, le.ext = Room(r.text()), domain.UserID(r.text()), r.text()
	flags := r.byte()
	le.listed, le.listLogged, le.ownerLogged = flags&toldListed != 0, flags&toldListLogged != 0, flags&toldOwnerLogged != 0
	le.joined = r.time()
	for range r.length() {
		d := device{resource: domain.Resource(r.text())}
		d.dead = r.byte()&toldDead != 0
		d.seen, d.cut, d.since = domain.Seq(r.number()), r.time(), r.time()
		if d.resource == "" {
			d.cut = max(d.cut, 1)
		}
		d.dead = d.dead && d.cut != 0
		le.devices = append(le.devices, d)
	}
	return le
}

func (r *reader) ask() ask {
	return ask{key: r.key(), room: Room(r.text()), resource: domain.Resource(r.text()), t: r.time()}
}

func (r *reader) took() (t took) {
	t.node = domain.Node{Name: domain.NodeName(r.text()), Life: r.number()}
	t.until = r.time()
	if len(r.rest) < len(t.buckets) {
		r.err = errShort
		return t
	}
	copy(t.buckets[:], r.rest)
	return t
}

var errFact = errors.New("the fact is malformed")

// done returns why a fact could not be read.
func (r *reader) done() error {
	if r.err != nil {
		return fmt.Errorf("read fact: %w: %w", errFact, r.err)
	}
	return nil
}
