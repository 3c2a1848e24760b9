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

// encodeUser returns the cell of a user's row: the format, app, user, incarnation, node, and the leases. Numbers are varints, strings have
// their length before them, times are µs since 1970.
func encodeUser(u *user, node string) []byte {
	b := []byte{rowFormat}
	b = appendString(b, string(u.key.app))
	b = appendString(b, string(u.key.user))
	b = binary.AppendUvarint(b, uint64(u.incarnation))
	b = appendString(b, node)
	b = binary.AppendUvarint(b, uint64(len(u.leases)))
	for _, le := range u.leases {
		le.room.mu.Lock()
		owner := le.room.owner
		le.room.mu.Unlock()
		b = appendLease(b, le, owner)
	}
	return b
}

func appendLease(b []byte, le *lease, owner domain.UserID) []byte {
	var flags byte
	if le.stays {
		flags |= flagStays
	}
	if le.anyone {
		flags |= flagAnyone
	}
	b = appendString(b, string(le.room.id))
	b = appendString(b, string(owner))
	b = appendString(b, le.ext)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(le.joined))
	b = binary.AppendUvarint(b, uint64(le.idle))
	b = binary.AppendUvarint(b, uint64(len(le.devices)))
	for _, d := range le.devices {
		b = appendString(b, string(d.resource))
		b = binary.AppendUvarint(b, uint64(d.seen))
		b = binary.AppendUvarint(b, uint64(d.cut))
	}
	return b
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
	le.stays, le.anyone = flags&flagStays != 0, flags&flagAnyone != 0
	le.joined, le.idle = r.time(), r.time()
	for range r.length() {
		le.devices = append(le.devices, device{resource: domain.Resource(r.text()), seen: domain.Seq(r.number()), cut: r.time()})
	}
	return le
}
