package lease

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/schemas/table"
)

// mark is where a lease stands in the model.
type mark struct {
	inc     domain.Incarnation
	joined  int64
	idle    int64
	stays   bool // listed, or the owner
	listed  bool
	anyone  bool
	devices map[domain.Resource]device
}

type pair struct {
	who  domain.UserID
	room Room
}

// state is all that the rows hold.
type state struct {
	leases map[pair]mark
	owners map[Room]domain.UserID
	alive  int64
}

func (s state) clone() state {
	out := state{leases: make(map[pair]mark), owners: maps.Clone(s.owners), alive: s.alive}
	for k, m := range s.leases {
		m.devices = maps.Clone(m.devices)
		out.leases[k] = m
	}
	return out
}

// machine runs Leases beside the model.
type machine struct {
	*rig
	rt     *rapid.T
	keep   int64
	state  state
	stored []state // after each batch that was written, the first is the last that was synced
	incs   map[domain.UserID]domain.Incarnation
	rooms  []Room // open
	ended  int
	news   map[Room][]string
	seq    domain.Seq
}

const modelMaxUsers, modelMaxJoined = 2, 2

var (
	modelUsers   = []domain.UserID{"alice", "bob", "carol", "dave"}
	modelDevices = []domain.Resource{"web", "pad"}
)

func newMachine(t *testing.T, rt *rapid.T) *machine {
	m := &machine{rig: &rig{t: t, clock: newClock(), store: &memory{}, set: DefaultSettings()}, rt: rt}
	m.set.MaxJoined = modelMaxJoined
	m.keep = m.set.Keep.Microseconds()
	m.incs, m.news = make(map[domain.UserID]domain.Incarnation), make(map[Room][]string)
	m.state = state{leases: make(map[pair]mark), owners: make(map[Room]domain.UserID)}
	m.stored = []state{m.state.clone()}
	for _, u := range modelUsers {
		m.incs[u] = 1
	}
	for range 3 {
		m.open()
	}
	m.store.wrote = m.wrote
	m.start()
	return m
}

func (m *machine) open() {
	m.ended++
	id := domain.RoomStream(app, fmt.Sprint(m.ended))
	m.rooms = append(m.rooms, id)
	m.state.owners[id] = "alice"
}

// wrote notes what the rows hold from now on. A batch has all rows that wait, or a heartbeat.
func (m *machine) wrote(writes []table.Write) {
	last := m.stored[len(m.stored)-1].clone()
	if writes[0].Table == Nodes {
		last.alive = m.micro()
	} else {
		alive := last.alive
		last = m.state.clone()
		last.alive = alive
	}
	m.stored = append(m.stored, last)
}

func (m *machine) user() domain.UserID { return rapid.SampledFrom(modelUsers).Draw(m.rt, "user") }
func (m *machine) device() domain.Resource {
	return rapid.SampledFrom(modelDevices).Draw(m.rt, "device")
}
func (m *machine) room() Room { return rapid.SampledFrom(m.rooms).Draw(m.rt, "room") }

func (m *machine) of(who domain.UserID) (out []pair) {
	for k := range m.state.leases {
		if k.who == who {
			out = append(out, k)
		}
	}
	return out
}

func (m *machine) viewers(room Room) (out []domain.UserID) {
	for k := range m.state.leases {
		if k.room == room {
			out = append(out, k.who)
		}
	}
	slices.Sort(out)
	return out
}

func (m *machine) count(room Room) int {
	v := m.viewers(room)
	if slices.Contains(v, m.state.owners[room]) {
		return len(v)
	}
	return len(v) + 1
}

func (m *machine) end(k pair) {
	delete(m.state.leases, k)
	m.news[k.room] = append(m.news[k.room], fmt.Sprintf("-%s %d", k.who, m.count(k.room)))
}

// anew ends what an earlier incarnation left.
func (m *machine) anew(who domain.UserID) {
	for _, k := range m.of(who) {
		if m.state.leases[k].inc < m.incs[who] {
			m.end(k)
		}
	}
}

func (k *mark) open() bool {
	for _, d := range k.devices {
		if d.cut == 0 {
			return true
		}
	}
	return false
}

func (m *machine) prune(k *mark) {
	maps.DeleteFunc(k.devices, func(_ domain.Resource, d device) bool { return !k.stays && d.cut != 0 && d.cut+m.keep <= m.micro() })
}

func (m *machine) join(*rapid.T) {
	who, room, dev := m.user(), m.room(), m.device()
	if rapid.IntRange(0, 3).Draw(m.rt, "rest") == 0 {
		dev = ""
	}
	j := Join{
		App: app, User: who, Incarnation: m.incs[who], Device: dev, Room: room, Owner: m.state.owners[room],
		MaxUsers: modelMaxUsers, Stays: rapid.IntRange(0, 4).Draw(m.rt, "stays") == 0,
	}
	m.anew(who)
	k := pair{who, room}
	le, had := m.state.leases[k]
	others := len(slices.DeleteFunc(m.viewers(room), func(u domain.UserID) bool { return u == j.Owner }))
	var want domain.Code
	switch {
	case had:
	case len(m.of(who)) == modelMaxJoined:
		want = domain.TooManyRooms
	case who != j.Owner && others >= modelMaxUsers:
		want = domain.RoomFull
	}
	count, first, err := m.Join(j)
	if domain.CodeOf(err) != want {
		m.rt.Fatalf("join of %s: %v, want %q", who, err, want)
	}
	if want != "" {
		return
	}
	if first == had {
		m.rt.Fatalf("join of %s: first is %v", who, first)
	}
	if !had {
		le = mark{inc: j.Incarnation, joined: m.micro(), idle: m.micro(), devices: map[domain.Resource]device{}}
	}
	le.listed, le.stays = j.Stays, j.Stays || who == j.Owner
	if dev != "" {
		m.prune(&le)
		le.devices[dev] = device{}
		le.idle, le.anyone = 0, false
	} else if !le.open() {
		le.idle, le.anyone = m.micro(), true
	}
	m.state.leases[k] = le
	if !had {
		m.news[room] = append(m.news[room], fmt.Sprintf("+%s %d", who, m.count(room)))
	}
	if count != m.count(room) {
		m.rt.Fatalf("join of %s: %d viewers, want %d", who, count, m.count(room))
	}
}

func (m *machine) leave(*rapid.T) {
	who, room := m.user(), m.room()
	dev := rapid.SampledFrom([]domain.Resource{"", "web", "pad"}).Draw(m.rt, "device")
	k := pair{who, room}
	le, want := m.state.leases[k]
	if want {
		_, in := le.devices[dev]
		want = dev == "" || le.anyone || in
	}
	if got := m.Leave(app, who, room, dev); got != want {
		m.rt.Fatalf("%s leaves with %q: %v, want %v", who, dev, got, want)
	}
	if !want {
		return
	}
	if !le.anyone && dev != "" {
		delete(le.devices, dev)
	}
	if dev == "" || le.anyone || len(le.devices) == 0 {
		m.end(k)
		return
	}
	if !le.open() {
		le.idle = 0
		for _, d := range le.devices {
			le.idle = max(le.idle, d.cut)
		}
	}
	m.state.leases[k] = le
}

func (m *machine) cut(*rapid.T) {
	who, dev := m.user(), m.device()
	seen := map[Room]domain.Seq{}
	for _, room := range m.rooms {
		if rapid.Bool().Draw(m.rt, "known") {
			m.seq++
			seen[room] = m.seq
		}
	}
	m.Detach(app, who, dev, seen)
	for _, k := range m.of(who) {
		le := m.state.leases[k]
		if d, in := le.devices[dev]; !in || d.cut != 0 {
			continue
		}
		le.devices[dev] = device{cut: m.micro(), seen: seen[k.room]}
		m.prune(&le)
		if !le.open() {
			le.idle = m.micro()
		}
		m.state.leases[k] = le
	}
}

func (m *machine) login(*rapid.T) {
	who, dev := m.user(), m.device()
	m.anew(who)
	want := map[Room]Resumed{}
	for _, k := range m.of(who) {
		le := m.state.leases[k]
		var last device
		for _, d := range le.devices {
			if d.cut > last.cut || d.cut == last.cut && d.seen > last.seen {
				last = d
			}
		}
		m.prune(&le)
		res := Resumed{Room: k.room, Open: true}
		d, in := le.devices[dev]
		switch {
		case in && d.cut == 0:
		case in:
			res = Resumed{Room: k.room, Seen: d.seen, After: at(d.cut)}
		case le.idle != 0 && le.anyone:
			res = Resumed{Room: k.room, After: at(le.idle)}
		case le.idle != 0 && le.stays:
			res = Resumed{Room: k.room, Seen: last.seen, After: at(le.idle)}
		default:
			continue
		}
		le.devices[dev], le.idle, le.anyone = device{}, 0, false
		m.state.leases[k] = le
		want[k.room] = res
	}
	got := map[Room]Resumed{}
	for _, r := range m.Attach(app, who, m.incs[who], dev) {
		got[r.Room] = r
	}
	if !maps.Equal(got, want) {
		m.rt.Fatalf("%s logs in with %s: %v, want %v", who, dev, got, want)
	}
}

func (m *machine) remove(*rapid.T) {
	room := m.room()
	users := rapid.SliceOfNDistinct(rapid.SampledFrom(modelUsers), 1, 3, rapid.ID).Draw(m.rt, "users")
	var want []domain.UserID
	for _, who := range users {
		if _, in := m.state.leases[pair{who, room}]; in {
			m.end(pair{who, room})
			want = append(want, who)
		}
	}
	if got := m.Remove(room, users); !slices.Equal(got, want) {
		m.rt.Fatalf("removed %v, want %v", got, want)
	}
}

func (m *machine) setStays(who domain.UserID, room Room, listed, owner bool) {
	le, in := m.state.leases[pair{who, room}]
	if !in {
		return
	}
	if le.stays && !listed && !owner && le.idle != 0 {
		le.idle, le.anyone = m.micro(), true
	}
	le.listed, le.stays = listed, listed || owner
	m.state.leases[pair{who, room}] = le
}

func (m *machine) allow(*rapid.T) {
	who, room, to := m.user(), m.room(), rapid.Bool().Draw(m.rt, "to")
	m.SetStays(room, who, to)
	m.setStays(who, room, to, who == m.state.owners[room])
}

func (m *machine) transfer(*rapid.T) { m.owned(m.room(), m.user()) }

func (m *machine) owned(room Room, to domain.UserID) {
	m.SetOwner(room, to)
	for _, who := range m.viewers(room) {
		m.setStays(who, room, m.state.leases[pair{who, room}].listed, who == to)
	}
	m.state.owners[room] = to
}

func (m *machine) destroy(*rapid.T) {
	room := m.room()
	m.rooms = slices.DeleteFunc(m.rooms, func(r Room) bool { return r == room })
	m.close(room)
	if _, _, err := m.Join(Join{App: app, User: "alice", Incarnation: m.incs["alice"], Device: "web", Room: room, Owner: "alice"}); domain.CodeOf(err) != domain.RoomNotFound {
		m.rt.Fatalf("join to a room that has ended: %v", err)
	}
	m.anew("alice")
	m.open()
}

func (m *machine) close(room Room) {
	m.EndRoom(room)
	for _, who := range m.viewers(room) {
		delete(m.state.leases, pair{who, room})
	}
	delete(m.state.owners, room)
}

func (m *machine) deleteUser(*rapid.T) {
	who := m.user()
	m.Forget(app, who, m.incs[who]-1) // of an earlier account: nothing happens
	m.Forget(app, who, m.incs[who])
	m.incs[who]++
	m.anew(who)
}

func (m *machine) time(*rapid.T) {
	d := rapid.SampledFrom([]time.Duration{time.Millisecond, 5 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute}).Draw(m.rt, "time")
	m.rig.pass(d)
	m.expire()
}

// expire ends what has run out, the longest idle first.
func (m *machine) expire() {
	var over []pair
	for k, le := range m.state.leases {
		if !le.stays && le.idle != 0 && le.idle+m.keep <= m.micro() {
			over = append(over, k)
		}
	}
	slices.SortFunc(over, func(a, b pair) int { return int(m.state.leases[a].idle - m.state.leases[b].idle) })
	for _, k := range over {
		m.end(k)
	}
}

func (m *machine) write(rt *rapid.T) {
	m.store.fault = fault(rapid.IntRange(0, int(faults)-1).Draw(rt, "fault"))
	m.save(m.t.Context(), false)
	if m.store.synced == len(m.store.batches) {
		m.stored = m.stored[len(m.stored)-1:]
	}
	m.store.fault = none
}

// stop ends in order and begins anew.
func (m *machine) stop(*rapid.T) {
	m.save(m.t.Context(), true)
	m.restart(0)
}

// crash ends without notice, and loses some of what was not synced.
func (m *machine) crash(rt *rapid.T) {
	m.restart(rapid.IntRange(0, len(m.store.batches)-m.store.synced).Draw(rt, "kept"))
}

func (m *machine) restart(kept int) {
	now := m.state
	if m.store.synced == len(m.store.batches) {
		m.stored = m.stored[len(m.stored)-1:]
	}
	m.store.kill(kept)
	m.store.synced = len(m.store.batches)
	m.state = m.stored[kept].clone()
	m.stored = []state{m.state.clone()}
	m.clock.pass(rapid.SampledFrom([]time.Duration{0, 10 * time.Second, 119 * time.Second}).Draw(m.rt, "down"))
	m.start()
	for k, le := range m.state.leases {
		end := max(m.state.alive, le.joined)
		for r, d := range le.devices {
			if d.cut == 0 {
				le.devices[r] = device{cut: end}
			}
		}
		if le.idle == 0 {
			le.idle = end
		}
		le.listed = le.stays && k.who != m.state.owners[k.room] // the row says no more
		if m.state.leases[k] = le; !le.stays && le.idle+m.keep <= m.micro() {
			delete(m.state.leases, k)
		}
	}
	m.compare(m.rt) // before anybody has told of owners
	m.catchUp(now)
}

// catchUp does what the caller of Load does: it compares rooms with their heads.
func (m *machine) catchUp(now state) {
	for _, room := range m.Leases.Rooms() {
		if !slices.Contains(m.rooms, room) {
			m.close(room)
		}
	}
	for _, room := range m.rooms {
		if len(m.viewers(room)) == 0 {
			m.state.owners[room] = now.owners[room]
		} else {
			m.owned(room, now.owners[room])
			m.allowed(room, now)
		}
	}
}

// allowed says who is on a room's allow list: who was right before the process ended.
func (m *machine) allowed(room Room, now state) {
	var on []domain.UserID
	for _, who := range m.viewers(room) {
		listed := now.leases[pair{who, room}].listed
		if listed {
			on = append(on, who)
		}
		if m.state.leases[pair{who, room}].listed != listed {
			m.setStays(who, room, listed, who == m.state.owners[room])
		}
	}
	m.SetAllowed(room, on)
}

// compare finds in Leases what the model has.
func (m *machine) compare(rt *rapid.T) {
	for _, room := range m.rooms {
		want := m.viewers(room)
		got := make([]domain.UserID, 0, len(want))
		for _, le := range m.Roster(room, "", 100) {
			got = append(got, le.User)
			m.compareLease(rt, le)
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("%s is viewed by %v, want %v", room, got, want)
		}
		if len(want) > 0 && m.Count(room) != m.count(room) {
			rt.Fatalf("%s has %d viewers, want %d", room, m.Count(room), m.count(room))
		}
		if told, want := m.heard.take(room), m.news[room]; !sameNews(told, want) {
			rt.Fatalf("%s: told %q, want %q", room, told, want)
		}
		delete(m.news, room)
	}
	for _, who := range modelUsers {
		if got := m.RoomsOf(app, who); len(got) != len(m.of(who)) {
			rt.Fatalf("%s views %v, want %v", who, got, m.of(who))
		}
	}
	m.compareInside(rt)
}

func (m *machine) compareLease(rt *rapid.T, le Lease) {
	want := m.state.leases[pair{le.User, le.Room}]
	var until time.Time
	if want.idle != 0 && !want.stays {
		until = time.UnixMicro(want.idle + m.keep)
	}
	var open []domain.Resource
	for r, d := range want.devices {
		if d.cut == 0 {
			open = append(open, r)
		}
	}
	slices.Sort(open)
	slices.Sort(le.Devices)
	if !le.Until.Equal(until) || !slices.Equal(le.Devices, open) || le.Incarnation != want.inc || !m.Viewing(le.Room, le.User) {
		rt.Fatalf("lease %+v, want %+v", le, want)
	}
}

// compareInside finds no more users, rooms and numbers of rows than there must be.
func (m *machine) compareInside(rt *rapid.T) {
	waiting, users := 0, 0
	for i := range m.buckets {
		b := &m.buckets[i]
		rows := map[uint32]bool{}
		for _, n := range b.free {
			rows[n+1] = true
		}
		for _, u := range b.users {
			if len(u.leases) == 0 && (u.row == 0 || u.waits == 0) {
				rt.Fatalf("user %v is kept for nothing", u.key)
			}
			if u.row != 0 && rows[u.row] || u.row > b.numbers {
				rt.Fatalf("user %v has row %d, which another has too, or which is free", u.key, u.row)
			}
			rows[u.row] = true
		}
		waiting += len(b.dirty)
		users += int(b.numbers)
	}
	if int64(waiting) != m.waiting.Load() || users > len(modelUsers) {
		rt.Fatalf("%d users wait, said are %d; %d rows", waiting, m.waiting.Load(), users)
	}
}

// sameNews compares news. Leases that run out at one instant end in any order.
func sameNews(told string, want []string) bool {
	var got []string
	if told != "" {
		got = strings.Split(told, ", ")
	}
	if len(got) != len(want) {
		return false
	}
	who, counts := func(s string) string { w, _, _ := strings.Cut(s, " "); return w }, func(s string) string { _, n, _ := strings.Cut(s, " "); return n }
	for i := range got {
		if counts(got[i]) != counts(want[i]) {
			return false
		}
	}
	names := func(in []string) (out []string) {
		for _, s := range in {
			out = append(out, who(s))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(names(got), names(want))
}

// TestModel runs joins, leaves, cuts, returns, time, transfers, and ends of all kinds beside a model, with a store that fails, says so
// wrongly, and loses what was not synced.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t, rt)
		rt.Repeat(map[string]func(*rapid.T){
			"": m.compare, "join": m.join, "join more": m.join, "leave": m.leave, "cut": m.cut, "log in": m.login, "remove": m.remove,
			"allow": m.allow, "transfer": m.transfer, "destroy": m.destroy, "delete user": m.deleteUser, "time": m.time, "write": m.write,
			"stop": m.stop, "crash": m.crash,
		})
	})
}
