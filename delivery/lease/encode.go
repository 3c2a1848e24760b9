package lease

import (
	"encoding/binary"
	"errors"
	"fmt"

	"parley/domain"
)

// rowFormat is the first byte of a row's cell. What it stands for never changes (testdata).
const rowFormat = 1

// Flags of a stored lease.
const (
	flagStays = 1 << iota
	flagAnyone
)

// storedUser is a row as read.
type storedUser struct {
	key         userKey
	incarnation domain.Incarnation
	node        string // where the devices are that view now
	leases      []storedLease
}

type storedLease struct {
	lease
	id    Room
	owner domain.UserID // of the room, as known when the row was written
}

// encodeUser returns the cell of a user's row: the format, app, user, incarnation, node, and what this node says of the leases. Numbers are
// varints, strings have their length before them, times are µs since 1970.
func encodeUser(u *user, node string) []byte {
	b := []byte{rowFormat}
	b = appendString(b, string(u.key.app))
	b = appendString(b, string(u.key.user))
	b = binary.AppendUvarint(b, uint64(u.incarnation))
	b = appendString(b, node)
	held := 0
	for _, le := range u.leases {
		if le.held() {
			held++
		}
	}
	b = binary.AppendUvarint(b, uint64(held))
	for _, le := range u.leases {
		if le.held() {
			b = appendLease(b, le, le.ownerOfRoom())
		}
	}
	return b
}

func (le *lease) ownerOfRoom() domain.UserID {
	le.room.mu.Lock()
	defer le.room.mu.Unlock()
	return le.room.owner
}

func appendLease(b []byte, le *lease, owner domain.UserID) []byte {
	flags, idle, devices := le.stored()
	b = appendString(b, string(le.room.id))
	b = appendString(b, string(owner))
	b = appendString(b, le.ext)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(le.joined))
	b = binary.AppendUvarint(b, uint64(idle))
	b = binary.AppendUvarint(b, uint64(devices))
	for i := range le.devices {
		d := &le.devices[i]
		if d.resource == "" || !d.by.mine() {
			continue
		}
		b = appendString(b, string(d.resource))
		b = binary.AppendUvarint(b, uint64(d.seen))
		b = binary.AppendUvarint(b, uint64(d.heard(le.joined)))
	}
	return b
}

// stored returns what a row says of a lease as a whole: since when none of this node's devices views, and how many it names.
func (le *lease) stored() (flags byte, idle int64, devices int) {
	if le.stays {
		flags |= flagStays
	}
	live := false
	for i := range le.devices {
		d := &le.devices[i]
		switch {
		case !d.by.mine():
			continue
		case d.resource == "":
			flags |= flagAnyone
		default:
			devices++
		}
		live = live || d.cut == 0
		idle = max(idle, d.heard(le.joined))
	}
	if live {
		idle = 0
	}
	return flags, idle, devices
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var (
	errShort  = errors.New("the row ends too early")
	errFormat = errors.New("the row has an unknown format")
	errBucket = errors.New("the row's user belongs to another bucket")
	errLong   = errors.New("bytes follow the row's end")
)

// reader takes values off a row. After an error all are zero.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.err, r.rest = errShort, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) time() int64 { return int64(r.number() &^ (1 << 63)) }

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.err = errShort
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
}

func (r *reader) text() string {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.err, r.rest = errShort, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// length returns how many things follow that have at least one byte each.
func (r *reader) length() int {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.err, r.rest = errShort, nil
		return 0
	}
	return int(n)
}

// decodeUser is the inverse of encodeUser.
func decodeUser(cell []byte) (u storedUser, err error) {
	r := &reader{rest: cell}
	if r.byte() != rowFormat {
		return u, fmt.Errorf("decode leases: %w", errFormat)
	}
	u.key = userKey{app: domain.AppID(r.text()), user: domain.UserID(r.text())}
	u.incarnation = domain.Incarnation(r.number())
	u.node = r.text()
	for range r.length() {
		u.leases = append(u.leases, r.lease())
	}
	switch {
	case r.err != nil:
		return storedUser{}, fmt.Errorf("decode leases: %w", r.err)
	case len(r.rest) > 0:
		return storedUser{}, fmt.Errorf("decode leases: %w", errLong)
	}
	return u, nil
}

func (r *reader) lease() (le storedLease) {
	le.id, le.owner, le.ext = Room(r.text()), domain.UserID(r.text()), r.text()
	flags := r.byte()
	le.stays = flags&flagStays != 0
	le.joined, le.idle = r.time(), r.time()
	for range r.length() {
		d := device{resource: domain.Resource(r.text()), seen: domain.Seq(r.number()), cut: r.time(), since: le.joined}
		if d.resource != "" {
			le.devices = append(le.devices, d)
		}
	}
	idle := le.idle
	le.reckon()
	if !le.live() && (flags&flagAnyone != 0 || len(le.devices) == 0) {
		le.wait(max(le.idle, idle, 1), le.joined)
	}
	return le
}
