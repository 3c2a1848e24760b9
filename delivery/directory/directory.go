// Package directory knows who is online: the sessions of each user on this node, what follows from having several, and which sessions are
// subscribed to which groups.
//
// It holds facts in memory only. What must hold: a session is found from the return of Attach to the return of Detach, so that what is
// routed after Attach reaches it, and so for Subscribe and Unsubscribe; no lock is held while a session is called.
package directory

import (
	"hash/maphash"
	"slices"
	"sync"
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

// Directory finds sessions by user, and by the groups that they are subscribed to.
type Directory struct {
	seed    maphash.Seed
	shards  [shards]shard
	streams [shards]subscriptions
}

type shard struct {
	mu       sync.RWMutex
	sessions map[Key][]Session
}

// New makes an empty directory.
func New() *Directory {
	d := &Directory{seed: maphash.MakeSeed()}
	for i := range d.shards {
		d.shards[i].sessions = make(map[Key][]Session)
		d.streams[i].streams = make(map[domain.StreamID]*subscribers)
	}
	return d
}

func (d *Directory) shard(k Key) *shard {
	return &d.shards[maphash.Comparable(d.seed, k)%shards]
}

// maxSockets is the most sockets that one device may have: tabs, and connections whose end nobody has noticed yet.
const maxSockets = 8

// Attach adds a session. When the user then has more than limit devices on its platform, the devices that logged in first are
// displaced: their sessions are removed and returned, and the caller kicks them. Sockets of one resource are one device; of more than
// maxSockets the first is displaced.
func (d *Directory) Attach(k Key, s Session, limit int) (displaced []Session) {
	sh := d.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	all := append(slices.Clone(sh.sessions[k]), s)
	for _, res := range over(all, s.Info(), limit) {
		all = slices.DeleteFunc(all, func(o Session) bool {
			gone := o.Info().Resource == res
			if gone {
				displaced = append(displaced, o)
			}
			return gone
		})
	}
	if extra := extraSocket(all, s.Info().Resource); extra != nil {
		all = slices.DeleteFunc(all, func(o Session) bool { return o == extra })
		displaced = append(displaced, extra)
	}
	sh.sessions[k] = all
	return displaced
}

// extraSocket returns the first socket of a device that has more than maxSockets, nil otherwise.
func extraSocket(all []Session, r domain.Resource) (first Session) {
	sockets := 0
	for _, s := range all {
		if s.Info().Resource != r {
			continue
		}
		if sockets++; first == nil {
			first = s
		}
	}
	if sockets <= maxSockets {
		return nil
	}
	return first
}

// over returns the devices of the newcomer's platform beyond the limit, oldest log-in first, never the newcomer's own.
func over(all []Session, newcomer Info, limit int) []domain.Resource {
	since := map[domain.Resource]time.Time{}
	for _, s := range all {
		i := s.Info()
		if i.Platform != newcomer.Platform || i.Resource == newcomer.Resource {
			continue
		}
		if t, ok := since[i.Resource]; !ok || i.Since.Before(t) {
			since[i.Resource] = i.Since
		}
	}
	excess := len(since) + 1 - limit
	if excess <= 0 {
		return nil
	}
	devices := make([]domain.Resource, 0, len(since))
	for r := range since {
		devices = append(devices, r)
	}
	slices.SortFunc(devices, func(a, b domain.Resource) int { return since[a].Compare(since[b]) })
	return devices[:min(excess, len(devices))]
}

// Detach removes a session; it may be gone already.
func (d *Directory) Detach(k Key, s Session) {
	sh := d.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	rest := slices.Clone(sh.sessions[k])
	rest = slices.DeleteFunc(rest, func(o Session) bool { return o == s })
	if len(rest) == 0 {
		delete(sh.sessions, k)
		return
	}
	sh.sessions[k] = rest
}

// Sessions returns the user's sessions. The slice is shared: it must not be changed.
func (d *Directory) Sessions(k Key) []Session {
	sh := d.shard(k)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.sessions[k]
}

// Online tells whether the user has a session.
func (d *Directory) Online(k Key) bool { return len(d.Sessions(k)) > 0 }

// Devices returns the user's devices, in the order of their log-ins, sockets of one resource once.
func (d *Directory) Devices(k Key) []Info {
	var out []Info
	for _, s := range d.Sessions(k) {
		i := s.Info()
		if !slices.ContainsFunc(out, func(o Info) bool { return o.Resource == i.Resource }) {
			out = append(out, i)
		}
	}
	return out
}

// Kick ends those sessions of a user for which ended answers true.
func (d *Directory) Kick(k Key, ended func(Info) bool, reason KickReason, note string) {
	for _, s := range d.Sessions(k) {
		if ended(s.Info()) {
			s.Kick(reason, note)
		}
	}
}
