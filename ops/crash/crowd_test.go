package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/delivery/gateway/client"
	"parley/ops/bench"
	"parley/schemas/msync"
)

// Of leases in tests that ask who views rooms: short enough that some run out meanwhile.
const (
	leaseKept = 12 * time.Second
	leaseBeat = 2 * time.Second
	// leaseMargin is how long before and after its end a lease may count or not: who is cut is noticed a little later.
	leaseMargin = 2 * time.Second
	// leaseWritten is how long a join or leave may take until a kill does not undo it: leases are written behind.
	leaseWritten = time.Second
)

// crowd is a room and who views it.
type crowd struct {
	id     string
	stay   []string         // viewers of the load, to the end; the first is the owner
	guests map[string]*seat // who come and go
	made   int              // guests so far
}

// seat is a guest's place in a room, between two kills at rest.
type seat struct {
	session *client.Client
	cut     time.Time // when it went without a word; zero: views
}

// furnish makes the rooms and their viewers.
func (l *load) furnish(target *bench.Target, tag string, p *plan, seed uint64) error {
	names := make([]string, max(p.rooms*p.viewers/2, p.viewers))
	for i := range names {
		names[i] = fmt.Sprintf("%s-v%d", tag, i)
	}
	var err error
	if l.viewers, err = l.makeUsers(target, names, p, seed+1000); err != nil {
		return err
	}
	for i := range p.rooms {
		if err := l.open(i, p); err != nil {
			return fmt.Errorf("room %d: %w", i, err)
		}
	}
	l.often = each(len(names), p.roomRate*p.viewers/p.speakers)
	return nil
}

// open makes a room.
func (l *load) open(i int, p *plan) error {
	c := &crowd{guests: map[string]*seat{}}
	var in []*user
	for k := range p.viewers {
		u := l.viewers[(i*p.viewers/2+k)%len(l.viewers)]
		in, c.stay = append(in, u), append(c.stay, u.name)
	}
	var err error
	if c.id, err = l.accounts.NewRoom(l.t.Context(), fmt.Sprintf("crash %d", i), c.stay[0], 200); err != nil {
		return err
	}
	l.rooms = append(l.rooms, c)
	for k, u := range in {
		u.lines = append(u.lines, &line{to: c.id, domain: msync.GroupDomain, view: &view{silent: k >= p.speakers}})
	}
	return nil
}

// awaitViewers waits until everybody views its rooms, and a kill does not undo that.
func (l *load) awaitViewers() error {
	if len(l.viewers) == 0 {
		return nil
	}
	for until := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		all := true
		for _, u := range l.viewers {
			for _, line := range u.lines {
				all = all && u.joined(line)
			}
		}
		if all {
			time.Sleep(leaseWritten)
			return nil
		}
		if time.Now().After(until) {
			return errors.New("not everybody has joined its rooms")
		}
	}
}

// changeRooms lets guests come, leave, and be cut off, so that the next kill finds other rosters.
func (l *load) changeRooms(dice *rand.Rand) {
	for i, c := range l.rooms {
		for name, g := range c.guests {
			if g.session == nil {
				continue
			}
			if leaves := dice.IntN(2) == 0; leaves && l.leave(c, g) == nil {
				delete(c.guests, name)
			} else {
				g.cut = time.Now()
			}
			l.hangUp(g)
		}
		name := fmt.Sprintf("%s-g%d-%d", c.stay[0], i, c.made)
		c.made++
		session, err := l.guest(c, name)
		if err != nil {
			l.t.Errorf("guest %s: %v", name, err)
			continue
		}
		c.guests[name] = &seat{session: session}
	}
	time.Sleep(leaseWritten)
}

// guest connects a user of its own and joins.
func (l *load) guest(c *crowd, name string) (*client.Client, error) {
	tokens, err := l.accounts.Tokens(l.t.Context(), []string{name})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), 10*time.Second)
	defer cancel()
	session, err := client.Dial(ctx, l.wsOf(), client.Options{
		AppKey: l.viewers[0].app, User: name, Token: tokens[0], Resource: "guest", OnMeta: func(client.Delivery) {},
	})
	if err != nil {
		return nil, err
	}
	_, a, err := session.JoinRoom(ctx, c.id, "")
	if err == nil && a.Code != msync.Status_OK {
		err = fmt.Errorf("join: %v %s", a.Code, a.Reason)
	}
	if err != nil {
		_ = session.Cut()
		<-session.Done()
		return nil, err
	}
	return session, nil
}

func (l *load) leave(c *crowd, g *seat) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), 10*time.Second)
	defer cancel()
	a, err := g.session.LeaveRoom(ctx, c.id)
	if err == nil && a.Code != msync.Status_OK {
		err = fmt.Errorf("leave: %v %s", a.Code, a.Reason)
	}
	return err
}

func (l *load) hangUp(g *seat) {
	if g.session != nil {
		_ = g.session.Cut()
		<-g.session.Done()
		g.session = nil
	}
}

// checkRooms asks right after a restart who views what: all viewers of the load, whose leases go on whether they are back or not; guests who
// viewed at the kill or were cut off not longer ago than a lease lasts; nobody who left or whose lease ran out. affiliations_count, the list
// and the detail's own list say the same.
func (l *load) checkRooms() {
	for _, c := range l.rooms {
		for _, g := range c.guests { // the kill has cut them
			if g.session != nil {
				g.cut = time.Now()
				l.hangUp(g)
			}
		}
		asked := time.Now()
		count, roster, err := l.roster(c.id)
		if err != nil {
			l.t.Errorf("roster of %s: %v", c.id, err)
			continue
		}
		if count != len(roster) {
			l.t.Errorf("room %s counts %d and lists %d", c.id, count, len(roster))
		}
		for _, name := range c.stay {
			if !slices.Contains(roster, name) {
				l.t.Errorf("room %s does not list %s, who has always viewed it: %v", c.id, name, roster)
			}
		}
		for _, name := range roster {
			if g := c.guests[name]; g == nil && !slices.Contains(c.stay, name) {
				l.t.Errorf("room %s lists %s, who has left", c.id, name)
			}
		}
		for name, g := range c.guests {
			is, age := slices.Contains(roster, name), asked.Sub(g.cut)
			switch {
			case is && age > leaseKept+leaseBeat+leaseMargin:
				l.t.Errorf("room %s lists %s, who was cut off %s ago", c.id, name, age)
			case !is && age < leaseKept-leaseBeat-leaseMargin:
				l.t.Errorf("room %s does not list %s, who was cut off only %s ago", c.id, name, age)
			case !is:
				delete(c.guests, name)
			}
		}
	}
}

// roster asks how many a room counts and who they are.
func (l *load) roster(id string) (count int, names []string, err error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	var detail struct {
		Data []struct {
			Count int `json:"affiliations_count"`
		} `json:"data"`
	}
	token := l.viewers[0].token
	if err := l.accounts.Call(ctx, http.MethodGet, "/chatrooms/"+id, token, nil, &detail); err != nil {
		return 0, nil, err
	}
	var list struct {
		Data []map[string]json.RawMessage `json:"data"`
	}
	if err := l.accounts.Call(ctx, http.MethodGet, "/chatrooms/"+id+"/users?pagenum=1&pagesize=100", token, nil, &list); err != nil {
		return 0, nil, err
	}
	for _, m := range list.Data {
		for _, role := range []string{"owner", "member"} {
			if name := strings.Trim(string(m[role]), `"`); name != "" {
				names = append(names, name)
			}
		}
	}
	if len(detail.Data) != 1 {
		return 0, nil, fmt.Errorf("%d rooms", len(detail.Data))
	}
	return detail.Data[0].Count, names, nil
}

// String says what a load is.
func (p plan) String() string {
	s := fmt.Sprintf("%d msg/s over %d direct conversations and %d groups of %d", p.rate, p.pairs, p.groups, p.members)
	if p.rooms > 0 {
		s += fmt.Sprintf(", %d msg/s over %d rooms of %d viewers", p.roomRate, p.rooms, p.viewers)
	}
	return s
}
