package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/delivery/gateway/client"
	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/queries"
	"parley/schemas/msync"
)

// circle is a group with people who come and go, and their devices.
type circle struct {
	rig    *rig
	id     string
	stream domain.StreamID
	users  []string
	phones []*phone
	hold   map[*phone]bool
	joined map[string]int // how often; the spans of four are kept
	sends  sync.WaitGroup
	mu     sync.Mutex
	said   []uint64 // accepted
	next   int
}

// Whatever the mix of messages, recalls, additions, removals, cuts, log-outs and acknowledgements held back: every device is shown every entry
// of the group that its user may see, in order, once, and none of a time when the user was no member. What was recalled may be missing.
func TestMembersSeeTheirTimeInAGroup(t *testing.T) {
	r := newRig(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		c := &circle{
			rig: r, id: fmt.Sprint(run), stream: domain.GroupStream(r.app, fmt.Sprint(run)), hold: map[*phone]bool{}, joined: map[string]int{},
			users: []string{fmt.Sprintf("a%d", run), fmt.Sprintf("b%d", run), fmt.Sprintf("c%d", run)},
		}
		r.register(c.users...)
		defer func() {
			for _, p := range c.phones {
				_ = p.conn.Cut()
			}
		}()
		for _, u := range c.users {
			for i := range rapid.IntRange(1, 2).Draw(t, "devices") {
				p := &phone{user: u, resource: fmt.Sprint("r", i), shown: map[string][]string{}, keys: map[string]uint64{}}
				if err := p.connect(r, false); err != nil {
					t.Fatal(err)
				}
				c.phones = append(c.phones, p)
			}
		}
		r.group(c.id, c.users[0])
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			c.step(t)
		}
		c.settle(t)
	})
}

func (c *circle) step(t *rapid.T) {
	p := rapid.SampledFrom(c.phones).Draw(t, "who")
	switch rapid.IntRange(0, 9).Draw(t, "step") {
	case 0, 1, 2:
		c.send(t, p, rapid.IntRange(1, 12).Draw(t, "n"))
	case 3:
		c.recall(t, p)
	case 4:
		if c.hold[p] {
			p.acknowledge()
		}
	case 5:
		_ = p.conn.Cut()
		c.reconnect(t, p)
	case 6:
		_ = p.logout()
		c.reconnect(t, p)
	case 7, 8:
		u := rapid.SampledFrom(c.users[1:]).Draw(t, "added")
		if c.joined[u] < 4 && c.tell(conversation.AddMembers{By: byApp, Users: c.rig.persons(u)}) == nil {
			c.joined[u]++
		}
	case 9:
		u := rapid.SampledFrom(c.users[1:]).Draw(t, "removed")
		_ = c.tell(conversation.RemoveMembers{By: byApp, Users: c.rig.persons(u)}) // may be no member
	}
}

// tell has a command about the group decided.
func (c *circle) tell(cmd domain.Command) error {
	done := make(chan domain.Result, 1)
	shared.owners.Submit(domain.Request{Stream: c.stream, Command: cmd, Done: func(res domain.Result) { done <- res }})
	return (<-done).Err
}

func (c *circle) reconnect(t *rapid.T, p *phone) {
	time.Sleep(time.Duration(rapid.IntRange(0, 3).Draw(t, "away")) * time.Millisecond)
	c.hold[p] = rapid.Bool().Draw(t, "hold")
	if err := p.connect(c.rig, c.hold[p]); err != nil {
		t.Fatal(err)
	}
}

// send sends messages without waiting for the answers, some for one member only. They are refused when the user is no member.
func (c *circle) send(t *rapid.T, p *phone, n int) {
	for range n {
		c.next++
		o := msync.Outgoing{
			To: c.id, ToDomain: msync.GroupDomain, NS: msync.Meta_CHAT,
			Payload: must(client.GroupTextBody(p.user, c.id, fmt.Sprintf("%s/%s %d", p.user, p.resource, c.next))),
		}
		if rapid.IntRange(0, 9).Draw(t, "directed") == 0 {
			o.RouteType, o.Directed = msync.Meta_ROUTE_DIRECT, []string{rapid.SampledFrom(c.users).Draw(t, "to")}
		}
		c.sends.Add(1)
		_, err := p.conn.SendAsync(context.Background(), o, func(a client.Ack, err error) {
			defer c.sends.Done()
			if err == nil && a.Code == msync.Status_OK {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.said = append(c.said, a.ServerID)
			}
		})
		if err != nil {
			c.sends.Done()
		}
	}
}

// recall takes some message back; who may not is refused.
func (c *circle) recall(t *rapid.T, p *phone) {
	c.sends.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.said) == 0 {
		return
	}
	id := c.said[rapid.IntRange(0, len(c.said)-1).Draw(t, "message")]
	c.sends.Add(1)
	_, err := p.conn.SendAsync(context.Background(), msync.Outgoing{
		To: c.id, ToDomain: msync.GroupDomain, NS: msync.Meta_CHAT, Payload: must(client.ReceiptBody(msync.MessageBody_RECALL, p.user, c.id, id)),
	}, func(client.Ack, error) { c.sends.Done() })
	if err != nil {
		c.sends.Done()
	}
}

// settle lets everything arrive and checks it.
func (c *circle) settle(t *rapid.T) {
	c.sends.Wait()
	for _, p := range c.phones {
		_ = p.conn.Cut()
		if err := p.connect(c.rig, false); err != nil {
			t.Fatal(err)
		}
	}
	c.rig.settled()
	entries := c.entries(t)
	for _, p := range c.phones {
		c.check(t, p, entries)
		if p.over > 60 {
			t.Fatalf("%s/%s: %d entries unacknowledged", p.user, p.resource, p.over)
		}
	}
	for _, u := range c.users {
		c.checkHistory(t, u, entries)
	}
}

func (c *circle) entries(t *rapid.T) (out []domain.Event) {
	for from := domain.Seq(1); ; from = out[len(out)-1].Seq + 1 {
		events, err := shared.queries.Entries(context.Background(), c.stream, from, ^domain.Seq(0), 500, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if out = append(out, events...); len(events) == 0 {
			return out
		}
	}
}

// shown is an entry that a device is to be shown; one that was recalled it may have missed.
type shown struct {
	id       uint64
	optional bool
}

// model says what a device is to be shown of the group, by the rules alone.
func (c *circle) model(p *phone, entries []domain.Event) (out []shown) {
	var m conversation.Membership
	st, _ := c.stream.Parse()
	for i := range entries {
		ev := &entries[i]
		m, _ = conversation.ApplyMembership(m, domain.UserID(p.user), ev)
		if m.From == 0 || ev.Seq < m.From || m.Until != 0 && ev.Seq > m.Until {
			continue
		}
		if ev.Body == nil || conversation.Sees(st, ev, domain.UserID(p.user), domain.Resource(p.resource)) {
			out = append(out, shown{uint64(ev.T), ev.Body == nil})
		}
	}
	return out
}

// check compares what a device was shown with the model.
func (c *circle) check(t *rapid.T, p *phone, entries []domain.Event) {
	want := c.model(p, entries)
	got := func() []uint64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.Clone(p.ids[c.id])
	}
	for deadline := time.Now().Add(5 * time.Second); !agree(got(), want); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s/%s was shown\n%s\nand not\n%s", p.user, p.resource, c.story(got(), entries), c.story(ids(want), entries))
		}
	}
}

// agree tells whether got is want, but for optional ones.
func agree(got []uint64, want []shown) bool {
	for _, w := range want {
		switch {
		case len(got) > 0 && got[0] == w.id:
			got = got[1:]
		case !w.optional:
			return false
		}
	}
	return len(got) == 0
}

func ids(all []shown) (out []uint64) {
	for _, s := range all {
		out = append(out, s.id)
	}
	return out
}

// story names entries, for a failure.
func (c *circle) story(shown []uint64, entries []domain.Event) (out []string) {
	for _, id := range shown {
		i := slices.IndexFunc(entries, func(ev domain.Event) bool { return uint64(ev.T) == id })
		switch {
		case i < 0:
			out = append(out, fmt.Sprint(id))
		case entries[i].Body == nil:
			out = append(out, fmt.Sprint(entries[i].Seq, " recalled"))
		default:
			out = append(out, fmt.Sprint(entries[i].Seq, " ", entries[i].Body.EventName()))
		}
	}
	return out
}

// checkHistory compares a user's history since the last joining with the model.
func (c *circle) checkHistory(t *rapid.T, u string, entries []domain.Event) {
	var m conversation.Membership
	for i := range entries {
		m, _ = conversation.ApplyMembership(m, domain.UserID(u), &entries[i])
	}
	if m.From == 0 {
		return
	}
	until := m.Until
	if until == 0 {
		until = entries[len(entries)-1].Seq
	}
	var want, got []domain.T
	for i := range entries {
		if ev := &entries[i]; ev.Seq >= m.From && ev.Seq <= until && conversation.ShownTo(ev, domain.UserID(u)) {
			want = append(want, ev.T)
		}
	}
	for start := domain.MessageID(0); ; {
		page, err := shared.queries.History(context.Background(), queries.HistoryQuery{
			Stream: c.stream, User: domain.UserID(u), From: m.From, Until: until, Start: start, Limit: 50,
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			got = append(got, page.Events[i].T)
		}
		if page.Last {
			break
		}
		start = page.Next
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s: history has %d messages, not %d", u, len(got), len(want))
	}
}
