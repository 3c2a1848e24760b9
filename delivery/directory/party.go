package directory

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/domain"
	"parley/schemas/cluster/clusterpb"
)

// A Directory is a party of the links between nodes: it tells its sessions, and is told those of other nodes.

// told tells that a session is here. The user's lock is held, so that others hear of a user in order.
func (d *Directory) told(k Key, info Info, at *seat) {
	if d.tell != nil {
		d.tell(sessionFact(k, info, at))
	}
}

// ended tells that a session is here no more. The user's lock is held.
func (d *Directory) ended(k Key, id uint64) {
	if d.tell != nil {
		d.tell(encode(&clusterpb.SessionFact{App: []byte(k.App), User: []byte(k.User), Session: id, Ended: true}))
	}
}

// maxText is the most bytes that others are told of a text that a client chooses.
const maxText = 1024

func text(s string) []byte { return []byte(s[:min(len(s), maxText)]) }

func sessionFact(k Key, info Info, at *seat) []byte {
	return encode(&clusterpb.SessionFact{
		App: []byte(k.App), User: []byte(k.User), Session: at.id, Resource: []byte(info.Resource), DeviceUuid: text(info.DeviceUUID),
		DeviceName: text(info.DeviceName), Platform: []byte(info.Platform), Incarnation: uint32(info.Incarnation), AuthEpoch: info.AuthEpoch,
		Since: at.since, Limit: uint32(max(at.limit, 0)), Note: text(at.note),
	})
}

// encode encodes a fact, which has no texts that could be malformed.
func encode(f *clusterpb.SessionFact) []byte {
	b, err := proto.Marshal(f)
	if err != nil {
		panic(fmt.Sprintf("directory: encode a fact: %v", err))
	}
	return b
}

// Snapshot tells all sessions here.
func (d *Directory) Snapshot(send func(fact []byte)) {
	for i := range d.shards {
		for _, fact := range d.shards[i].facts() {
			send(fact)
		}
	}
}

// facts are the sessions of a shard.
func (sh *shard) facts() (out [][]byte) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for k, all := range sh.users {
		for i, s := range all.sessions {
			out = append(out, sessionFact(k, s.Info(), &all.seats[i]))
		}
	}
	return out
}

// Begin says that all sessions of a node follow.
func (d *Directory) Begin(n domain.Node) { d.nodes.begin(n).round++ }

var errFact = errors.New("not a session")

// Apply takes what a node tells of a session. Devices here that are too many with it are kicked.
func (d *Directory) Apply(n domain.Node, fact []byte) error {
	var f clusterpb.SessionFact
	if err := proto.Unmarshal(fact, &f); err != nil {
		return fmt.Errorf("decode a session: %w", err)
	}
	from := d.nodes.find(n)
	if from == nil || len(f.GetApp()) == 0 || len(f.GetUser()) == 0 || f.GetSession() == 0 {
		return errFact
	}
	k := Key{App: domain.AppID(f.GetApp()), User: domain.UserID(f.GetUser())}
	if f.GetEnded() {
		kick(d.dismiss(k, from, f.GetSession()), "")
		return nil
	}
	r, err := d.remoteOf(from, &f)
	if err != nil {
		return err
	}
	kick(d.admit(k, r, int(f.GetLimit())), string(f.GetNote()))
	return nil
}

func kick(displaced []Session, note string) {
	for _, s := range displaced {
		s.Kick(KickAnotherDevice, note)
	}
}

func (d *Directory) remoteOf(from *node, f *clusterpb.SessionFact) (*remote, error) {
	user, resource, uuid := len(f.GetUser()), len(f.GetResource()), len(f.GetDeviceUuid())
	if user+resource+uuid > math.MaxUint16 {
		return nil, errFact
	}
	all := make([]byte, 0, user+resource+uuid+len(f.GetDeviceName()))
	all = append(append(append(append(all, f.GetUser()...), f.GetResource()...), f.GetDeviceUuid()...), f.GetDeviceName()...)
	return &remote{
		node: from, kind: d.nodes.kind(f.GetApp(), f.GetPlatform()), text: string(all), round: from.round, id: f.GetSession(), since: f.GetSince(),
		ends: [3]uint16{uint16(user), uint16(user + resource), uint16(user + resource + uuid)},
		inc:  domain.Incarnation(f.GetIncarnation()), epoch: f.GetAuthEpoch(),
	}, nil
}

// admit adds a session of another node, and removes and returns those here whose devices are then too many.
func (d *Directory) admit(k Key, r *remote, limit int) (displaced []Session) {
	sh, hash := d.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.put(hash, r)
	return d.settle(sh, k, hash, r.kind.platform, limit)
}

// dismiss removes a session of another node. Its device may have been counted by it where it was too many: then others are now.
func (d *Directory) dismiss(k Key, from *node, id uint64) (displaced []Session) {
	sh, hash := d.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	was := sh.cut(hash, from, id)
	if was == nil {
		return nil
	}
	sh.depart(was, time.Now())
	all := sh.users[k]
	if len(all.seats) == 0 {
		return nil
	}
	return d.settle(sh, k, hash, was.kind.platform, all.seats[0].limit)
}

// settle removes and returns the sessions here whose devices are too many. Unlike in Attach the newcomer may be among the devices that go: two
// that log in at once on two nodes are in the same order on both. The lock is held.
func (d *Directory) settle(sh *shard, k Key, hash uint64, platform string, limit int) (displaced []Session) {
	for limit > 0 && len(sh.users[k].sessions) > 0 {
		over := sh.devices(k, hash, platform).over(limit)
		if len(over) == 0 {
			break
		}
		all, gone := d.split(k, sh.users[k], func(i Info, _ seat) bool { return i.Platform == platform && slices.Contains(over, i.Resource) })
		if len(gone) == 0 {
			break
		}
		sh.set(k, all)
		displaced = append(displaced, gone...)
	}
	return displaced
}

// End forgets the sessions of a node that its last snapshot does not have.
func (d *Directory) End(n domain.Node) {
	if from := d.nodes.find(n); from != nil {
		d.sweep(func(r *remote) bool { return r.node == from && r.round != from.round })
	}
}

// Gone forgets all sessions of a node.
func (d *Directory) Gone(n domain.Node) {
	if from := d.nodes.forget(n); from != nil {
		d.sweep(func(r *remote) bool { return r.node == from })
		d.forgetDepartures(from)
	}
}
