package lease

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/domain"
)

// settle mends everything, and lets all be heard.
func (c *cluster) settle() {
	for _, room := range clusterRooms {
		c.readOwners(room)
	}
	for i := range c.nodes {
		if c.nodes[i] == nil {
			c.boot(i)
		}
	}
	for k := range c.wires {
		c.connect(k[0], k[1])
	}
	for range 6 {
		for _, m := range c.nodes {
			m.catchUp()
		}
		c.deliverAll()
		c.clock.pass(8 * time.Second)
		for _, m := range c.nodes {
			m.sweep()
		}
		c.deliverAll()
	}
}

// agree compares the replicas with one another, and with the sockets.
func (c *cluster) agree() {
	first := c.nodes[0]
	for _, room := range clusterRooms {
		for _, m := range c.nodes {
			if got, want := m.picture(room), first.picture(room); got != want {
				c.rt.Fatalf("%s: %s has %s\n%s has %s", room, m.node.Name, got, first.node.Name, want)
			}
		}
	}
	for _, m := range c.nodes {
		for k, s := range m.sockets {
			for _, room := range clusterRooms {
				if views := m.Views(room, k.who, k.dev); views != s.rooms[room] {
					c.rt.Fatalf("%s: socket of %v is shown %s: %v, the lease says %v", m.node.Name, k, room, s.rooms[room], views)
				}
			}
		}
		for _, room := range clusterRooms {
			m.alternates(room)
		}
	}
}

// picture says all of a room that replicas must agree on.
func (m *member) picture(room Room) string {
	var b strings.Builder
	fmt.Fprint(&b, m.Count(room))
	for _, le := range m.Roster(room, "", 100) {
		slices.Sort(le.Devices)
		fmt.Fprintf(&b, " %s/%d%v stays=%v", le.User, le.Incarnation, le.Devices, m.Stays(room, le.User))
	}
	return b.String()
}

// alternates finds that users come and go by turns, and that what was told last is so.
func (m *member) alternates(room Room) {
	here := map[string]bool{}
	for _, s := range m.heard.told[room] {
		who, _, _ := strings.Cut(s[1:], " ")
		if came := s[0] == '+'; came == here[who] {
			m.c.rt.Fatalf("%s: %s", m.node.Name, m.heard.told[room])
		}
		here[who] = s[0] == '+'
	}
	for _, who := range clusterUsers {
		if here[string(who)] != m.Viewing(room, who) {
			m.c.rt.Fatalf("%s: %s: told %v, viewing %v: %v", m.node.Name, who, here, m.Viewing(room, who), m.heard.told[room])
		}
	}
}

// stored compares the rows with what the nodes say.
func (c *cluster) stored() {
	for _, m := range c.nodes {
		m.write()
	}
	after := New(Config{Store: c.store, Settings: DefaultSettings(), Now: c.clock.now})
	if err := after.Load(c.rt.Context()); err != nil {
		c.rt.Fatal(err)
	}
	for _, room := range clusterRooms {
		var got []domain.UserID
		for _, le := range after.Roster(room, "", 100) {
			got = append(got, le.User)
		}
		if want := c.nodes[0].viewers(room); !slices.Equal(got, want) {
			c.rt.Fatalf("%s: rows say %v, want %v", room, got, want)
		}
	}
}

// lonely cuts all sockets: when their time has run out, only those are left who stay.
func (c *cluster) lonely() {
	for _, m := range c.nodes {
		for k := range m.sockets {
			m.close(k)
		}
	}
	c.deliverAll()
	c.clock.pass(DefaultSettings().Keep + 5*time.Second)
	for range 2 {
		for _, m := range c.nodes {
			m.sweep()
		}
		c.deliverAll()
	}
	c.agree()
	for _, room := range clusterRooms {
		for _, who := range c.nodes[0].viewers(room) {
			if !c.nodes[0].Stays(room, who) {
				c.rt.Fatalf("%s views %s without devices", who, room)
			}
		}
	}
}
