package crash

import (
	"context"
	"fmt"
	"slices"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// view is a user's place in a room. Rooms are not acknowledged: what a connection is shown is all there is, so each is judged by itself.
type view struct {
	silent bool // views and writes not
	// Guarded by the user's lock.
	joined bool // asked once, at first: who comes back goes on viewing without
	shown  [][]arrival
}

// all returns what all connections were shown, repeats among them included.
func (v *view) all() []arrival { return slices.Concat(v.shown...) }

// first returns what the others wrote, in the order in which it was first shown.
func (v *view) first(me string) (out []arrival) {
	seen := map[uint64]bool{}
	for _, a := range v.all() {
		if !seen[a.id] && a.from.author != me {
			out = append(out, a)
		}
		seen[a.id] = true
	}
	return out
}

// beginConnection notes that what is shown from now on is shown on another connection.
func (u *user) beginConnection() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, l := range u.lines {
		if l.view != nil {
			l.view.shown = append(l.view.shown, nil)
		}
	}
}

// endConnection notes what the client left out as repeated: a connection to a room is shown nothing twice.
func (u *user) endConnection(c *client.Client) {
	for _, l := range u.lines {
		if l.view == nil {
			return
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hidden += int(c.Counters().Repeats)
}

// joinRooms joins the rooms that the user has not joined in its life.
func (u *user) joinRooms(ctx context.Context, c *client.Client) error {
	for _, l := range u.lines {
		if l.view == nil || u.joined(l) {
			continue
		}
		_, a, err := c.JoinRoom(ctx, l.to, "")
		if err != nil {
			return err
		}
		u.mu.Lock()
		if l.view.joined = a.Code == msync.Status_OK; !l.view.joined {
			u.problems = append(u.problems, fmt.Sprintf("%s may not join: %v %s", u.name, a.Code, a.Reason))
		}
		u.mu.Unlock()
	}
	return nil
}

func (u *user) joined(l *line) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return l.view == nil || l.view.joined
}

// roomOf returns the room of an entry, nil when it is none of the user's.
func (u *user) roomOf(d *client.Delivery) *line {
	for _, l := range u.lines {
		if l.view != nil && string(d.Queue.Name) == l.to && string(d.Queue.Domain) == l.domain {
			return l
		}
	}
	return nil
}

// onShown takes what a room shows. The user is locked.
func (u *user) onShown(l *line, d *client.Delivery) {
	from, to, ok := parseText(d.Meta.Payload)
	if !ok || to != l.to || string(d.Meta.From.Name) != from.author || !d.Volatile {
		u.problems = append(u.problems, fmt.Sprintf("%s: entry %d of %q in the room %s is none of this test", u.name, d.Meta.ID, d.Meta.From.Name, l.to))
		return
	}
	last := len(l.view.shown) - 1
	l.view.shown[last] = append(l.view.shown[last], arrival{id: d.Meta.ID, from: from})
}

// judgeRoom compares all sides of a room. Beyond what holds for every conversation, each connection of each viewer was shown a piece of
// history without holes, in order, nothing twice. That all its connections together were shown all of it is promised while a viewer misses no
// more at once than a room keeps for who comes back, which the load sees to.
func (v *verdict) judgeRoom(sides ...*side) {
	v.judge(sides...)
	for _, s := range sides {
		place := map[uint64]int{}
		for i, e := range s.history {
			place[e.id] = i
		}
		for n, shown := range s.shown {
			v.judgeShown(s.user, n, shown, place)
		}
	}
}

// judgeShown judges what one connection was shown.
func (v *verdict) judgeShown(who string, n int, shown []arrival, place map[uint64]int) {
	last, seen := -1, map[uint64]bool{}
	for _, e := range shown {
		at, ok := place[e.id]
		switch {
		case !ok && e.from.author == who: // of the others' it is judged with all that the viewer received
			v.blamef(&v.resurrected, "%s was shown its own %v as %d, which history does not have", who, e.from, e.id)
			continue
		case !ok:
			continue
		case seen[e.id]:
			v.blamef(&v.doubled, "%s was shown %v twice on connection %d", who, e.from, n)
		case at < last:
			v.blamef(&v.misordered, "%s was shown %v after what follows it in history, on connection %d", who, e.from, n)
		case last >= 0 && at > last+1:
			v.blamef(&v.skipped, "%s was shown %v on connection %d without the %d messages before", who, e.from, n, at-last-1)
		}
		seen[e.id], last = true, max(last, at)
	}
}
