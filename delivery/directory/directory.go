// Package directory knows who is online: the sessions of each user on this node and on others, what follows from having several, and which
// sessions here are subscribed to which groups.
//
// It holds facts in memory only. What must hold: a session is found from the return of Attach to the return of Detach, so that what is
// routed after Attach reaches it, and so for Subscribe and Unsubscribe; no lock is held while a session is called, but to ask for its Info.
// Nodes that know the same sessions agree on which devices are too many.
package directory

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/domain"
)

// Key names a user.
type Key struct {
	App  domain.AppID
	User domain.UserID
}

// Delivery is an entry, or something volatile, on its way to sessions. It is shared by all of them and never changed.
type Delivery struct {
	Stream domain.StreamID
	Parsed domain.Stream
	Event  *domain.Event
	Metas  [][]byte // the wire form, the same for all whom the delivery is handed to: one Meta; none: it only moves the seq on
	Change Change
}

// Change is what an event does to the group membership of the users whom a delivery is handed to.
type Change uint8

// Changes of memberships.
const (
	Unchanged Change = iota
	Joins            // they are members from this entry on: their sessions subscribe
	Leaves           // this entry is their last
	Ends             // this entry is the last for all
	Shields          // they want the group's messages on no device, or want them again
)

// NewDelivery returns what is handed to sessions. meta is the wire form, nil when there is none.
func NewDelivery(id domain.StreamID, st domain.Stream, ev *domain.Event, meta []byte) *Delivery {
	d := &Delivery{Stream: id, Parsed: st, Event: ev}
	if meta != nil {
		d.Metas = [][]byte{meta}
	}
	return d
}

// KickReason says why sessions are ended from outside.
type KickReason string

// Reasons of kicks.
const (
	KickRemoved         KickReason = "user_removed"
	KickAnotherDevice   KickReason = "another_device"
	KickPasswordChanged KickReason = "password_changed"
)

// Info describes a session.
type Info struct {
	Resource    domain.Resource
	DeviceUUID  string
	DeviceName  string
	Platform    string // devices are limited per platform
	Incarnation domain.Incarnation
	AuthEpoch   uint32
	Since       time.Time
}

// Session is a logged-in socket. Its methods never block.
type Session interface {
	Info() Info
	// Deliver hands over an entry of one of the user's streams, in the order of the stream; an aside when it changes the membership.
	Deliver(*Delivery)
	// DeliverVolatile hands over what is not an entry: shown now or never, if the session is to see it.
	DeliverVolatile(*Delivery)
	// Kick tells the device why and closes. note is shown to the app where the wire has room for it.
	Kick(reason KickReason, note string)
}

const shards = 64

// Directory finds sessions by user, and by the groups that they are subscribed to. Those of other nodes count where a user's devices are
// counted or listed.
type Directory struct {
	tell    func(fact []byte) // nil: the node is alone
	seed    maphash.Seed
	last    atomic.Uint64 // id of a session here
	shards  [shards]shard
	streams [shards]subscriptions
	nodes   nodes
}

type shard struct {
	mu     sync.RWMutex
	users  map[Key]seats
	remote map[uint64]*remote // by the hash of the key; those of one hash are linked
	left   []departure        // of other nodes, lately; the oldest first
}

// seats are the sessions of a user, and what is known of each besides. Neither slice is changed in place.
type seats struct {
	sessions []Session
	seats    []seat
}

// seat is what the directory knows of a session here.
type seat struct {
	id    uint64 // for other nodes
	since int64  // µs; when its device logged in, above all that were known then
	limit int
	note  string
}

// Option makes a directory other than one of a node that is alone.
type Option func(*Directory)

// Telling has a directory tell other nodes of its sessions. tell never blocks; facts are told in the order of what they say of a user.
func Telling(tell func(fact []byte)) Option { return func(d *Directory) { d.tell = tell } }

// New makes an empty directory.
func New(options ...Option) *Directory {
	d := &Directory{seed: maphash.MakeSeed()}
	for i := range d.shards {
		d.shards[i].users = make(map[Key]seats)
		d.shards[i].remote = make(map[uint64]*remote)
		d.streams[i].streams = make(map[domain.StreamID]*subscribers)
	}
	for _, o := range options {
		o(d)
	}
	return d
}

// shard returns where a user is, and the hash.
func (d *Directory) shard(k Key) (sh *shard, hash uint64) {
	hash = maphash.Comparable(d.seed, k)
	return &d.shards[hash%shards], hash
}

// maxSockets is the most sockets that one device may have here: tabs, and connections whose end nobody has noticed yet.
const maxSockets = 8

// Attach adds a session. When the user then has more than limit devices on its platform, here and elsewhere, the devices that logged in first
// are displaced: their sessions here are removed and returned, and the caller kicks them; other nodes do the same to theirs, with the note.
// Sockets of one resource are one device; of more than maxSockets here the first is displaced.
func (d *Directory) Attach(k Key, s Session, limit int, note string) (displaced []Session) {
	sh, hash := d.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	info := s.Info()
	devices := sh.devices(k, hash, info.Platform)
	here := seat{id: d.last.Add(1), since: devices.loggedIn(info.Resource, info.Since.UnixMicro()), limit: limit, note: note}
	all := sh.users[k].with(s, here)
	d.told(k, info, &here)
	delete(devices, info.Resource)
	over := devices.over(limit - 1)
	all, displaced = d.split(k, all, func(i Info, _ seat) bool { return i.Platform == info.Platform && slices.Contains(over, i.Resource) })
	if extra := all.extraSocket(info.Resource); extra != 0 {
		var first []Session
		all, first = d.split(k, all, func(_ Info, o seat) bool { return o.id == extra })
		displaced = append(displaced, first...)
	}
	sh.set(k, all)
	return displaced
}

// with returns the seats with one more.
func (s seats) with(o Session, at seat) seats {
	return seats{append(slices.Clone(s.sessions), o), append(slices.Clone(s.seats), at)}
}

// split takes out the sessions of a user for which out answers true, and tells that they are no more.
func (d *Directory) split(k Key, all seats, out func(Info, seat) bool) (rest seats, gone []Session) {
	for i, s := range all.sessions {
		if !out(s.Info(), all.seats[i]) {
			rest.sessions, rest.seats = append(rest.sessions, s), append(rest.seats, all.seats[i])
			continue
		}
		gone = append(gone, s)
		d.ended(k, all.seats[i].id)
	}
	return rest, gone
}

// set replaces the seats of a user.
func (sh *shard) set(k Key, all seats) {
	if len(all.sessions) == 0 {
		delete(sh.users, k)
		return
	}
	sh.users[k] = all
}

// extraSocket returns the first socket of a device that has more than maxSockets, 0 otherwise.
func (s seats) extraSocket(r domain.Resource) (first uint64) {
	sockets := 0
	for i, o := range s.sessions {
		if o.Info().Resource != r {
			continue
		}
		if sockets++; first == 0 {
			first = s.seats[i].id
		}
	}
	if sockets <= maxSockets {
		return 0
	}
	return first
}

// Detach removes a session; it may be gone already.
func (d *Directory) Detach(k Key, s Session) {
	sh, _ := d.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	all := sh.users[k]
	i := slices.Index(all.sessions, s)
	if i < 0 {
		return
	}
	d.ended(k, all.seats[i].id)
	sh.set(k, seats{slices.Delete(slices.Clone(all.sessions), i, i+1), slices.Delete(slices.Clone(all.seats), i, i+1)})
}

// Sessions returns the user's sessions here. The slice is shared: it must not be changed.
func (d *Directory) Sessions(k Key) []Session {
	sh, _ := d.shard(k)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.users[k].sessions
}

// Online tells whether the user has a session, here or elsewhere.
func (d *Directory) Online(k Key) bool { return len(d.Sessions(k)) > 0 || d.Elsewhere(k) }

// Devices returns the user's devices, in the order of their log-ins, sockets of one resource once.
func (d *Directory) Devices(k Key) []Info {
	var out []Info
	for _, i := range d.infos(k) {
		if !slices.ContainsFunc(out, func(o Info) bool { return o.Resource == i.Resource }) {
			out = append(out, i)
		}
	}
	return out
}

// infos describes the user's sessions, here and elsewhere, in the order of their log-ins.
func (d *Directory) infos(k Key) (out []Info) {
	sh, hash := d.shard(k)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	all := sh.users[k]
	for i, s := range all.sessions {
		info := s.Info()
		info.Since = time.UnixMicro(all.seats[i].since) // as others know it
		out = append(out, info)
	}
	for r := range sh.elsewhere(k, hash) {
		out = append(out, r.info())
	}
	slices.SortStableFunc(out, func(a, b Info) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Resource, b.Resource)) })
	return out
}

// Kick ends those sessions of a user here for which ended answers true.
func (d *Directory) Kick(k Key, ended func(Info) bool, reason KickReason, note string) {
	for _, s := range d.Sessions(k) {
		if ended(s.Info()) {
			s.Kick(reason, note)
		}
	}
}
