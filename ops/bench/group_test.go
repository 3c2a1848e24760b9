package bench

import (
	"strings"
	"testing"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// crowdOf makes a group of members without sessions, of whom the first two write.
func crowdOf(t *testing.T, members int) *crowd {
	t.Helper()
	h := &hot{cfg: DefaultGroup(), run: "01234567", tag: []byte("pb01234567:")}
	h.cfg.Senders, h.cfg.Members, h.cfg.Rate, h.cfg.Duration, h.cfg.Warmup = 2, members, 100, time.Second, 0
	c := bareCrowd(h, 1)
	c.id = "77"
	for i := range members {
		m := newMember(c, i, string(rune('a'+i)))
		if err := m.prepare(); err != nil {
			t.Fatal(err)
		}
		c.members = append(c.members, m)
	}
	h.crowds = []*crowd{c}
	return c
}

// fate is a message of a test: who wrote it, its number there, and the id that it came under.
type fate struct {
	sender, seq int
	id          uint64
}

func (c *crowd) deliver(to int, f fate) {
	m := c.members[f.sender]
	m.fill(f.seq, 0)
	c.members[to].onMeta(client.Delivery{Meta: msync.MetaView{ID: f.id, Payload: m.out.Payload}})
}

// TestCrowd holds the judge of groups to finding each fault.
func TestCrowd(t *testing.T) {
	good := []fate{{0, 0, 10}, {1, 0, 11}, {0, 1, 12}}
	for _, tc := range []struct {
		name string
		got  []fate // of the member who does not write
		want string // what Err complains of
	}{
		{"all is well", good, ""},
		{"one is lost", good[:2], "1 acknowledged and lost"},
		{"one came twice", append(good[:3:3], good[1]), "1 received twice"},
		{"another order", []fate{good[1], good[0], good[2]}, "1 out of order"},
		{"a sender's own order", []fate{{0, 1, 12}, good[1], {0, 0, 13}}, "out of order"},
		{"another id", []fate{good[0], good[1], {0, 1, 14}}, "1 under two ids"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := crowdOf(t, 3)
			for _, f := range good {
				m := c.members[f.sender]
				m.sent++
				m.onAnswer(f.seq, 0, &client.Ack{Code: msync.Status_OK, ServerID: f.id}, nil)
				c.deliver(1-f.sender, f)
				c.stored.add(&c.book, f.sender, f.seq, f.id)
			}
			for _, f := range tc.got {
				c.deliver(2, f)
			}
			r := &GroupReport{Refused: map[string]int{}, Members: 3}
			for _, m := range c.members {
				m.addTo(r, c.acked())
			}
			c.h.judgeStored(r)
			if r.Acked != 3 || r.Stored != 3 || r.Expected != 6 {
				t.Errorf("%+v", r)
			}
			if err := r.Err(); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// TestCrowdStrangers holds it to noticing what belongs elsewhere, and what is in history only or not.
func TestCrowdStrangers(t *testing.T) {
	c := crowdOf(t, 3)
	c.deliver(0, fate{0, 0, 10})                                                                                                      // one's own
	c.members[2].onMeta(client.Delivery{Meta: msync.MetaView{ID: 11, Payload: []byte("pb01234567:0000:00000000:0000000000000000:")}}) // of group 0
	c.members[2].onMeta(client.Delivery{Meta: msync.MetaView{ID: 12, Payload: []byte("something else")}})
	c.members[2].onMeta(client.Delivery{Meta: msync.MetaView{ID: 13, NS: msync.Meta_MUC}})
	if a, b := c.members[0].got.strange, c.members[2].got.strange; a != 1 || b != 2 {
		t.Errorf("%d and %d strangers", a, b)
	}
	c.members[0].onAnswer(0, 0, &client.Ack{Code: msync.Status_OK, ServerID: 10}, nil)
	c.members[0].onAnswer(1, 0, &client.Ack{Code: msync.Status_FAIL, Reason: "busy"}, nil)
	c.members[0].sent = 2
	c.stored.add(&c.book, 0, 1, 20)
	r := &GroupReport{Refused: map[string]int{}}
	c.members[0].addTo(r, c.acked())
	c.h.judgeStored(r)
	if r.NotStored != 1 || r.Refuted != 1 || r.Unanswered != 0 || total(r.Refused) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestValidateGroupAndLogin(t *testing.T) {
	g := DefaultGroup()
	g.Groups, g.Members, g.Senders, g.Rate = 60, 20, 21, 0
	l := DefaultLogin()
	l.Groups, l.Times, l.News = 0, 0, 1
	for err, names := range map[error][]string{
		g.Validate(): {"groups and members: ", "senders: ", "rate: ", "app, client_id"},
		l.Validate(): {"groups: ", "times: ", "news: ", "app, client_id"},
	} {
		for _, name := range names {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%q is not told: %v", name, err)
			}
		}
	}
}

// TestGroupReport holds a run to failing when anything is wrong, one fault at a time.
func TestGroupReport(t *testing.T) {
	if err := (&GroupReport{Sent: 5, Acked: 5, Stored: 5, Refused: map[string]int{"busy": 3}}).Err(); err != nil {
		t.Errorf("refusals are the server's right: %v", err)
	}
	for _, r := range []GroupReport{
		{Lost: 1},
		{NotStored: 1},
		{Refuted: 1},
		{Repeats: 1},
		{Disorder: 1},
		{Differ: 1},
		{Strange: 1},
		{Unanswered: 1},
		{Unsent: 1},
		{Broken: []string{"x"}},
	} {
		if r.Err() == nil {
			t.Errorf("%+v passed", r)
		}
	}
	if (&LoginReport{Missing: 1}).Err() == nil {
		t.Error("a log-in without its messages passed")
	}
	var b strings.Builder
	if err := (&GroupReport{Acked: 2, Stored: 1}).Print(&b); err != nil || !strings.Contains(b.String(), "NO: 2, 1") {
		t.Errorf("%v: %s", err, b.String())
	}
	if err := (&LoginReport{Listed: []int{3, 1, 2}}).Print(&b); err != nil || !strings.Contains(b.String(), "1 to 3 queues") {
		t.Errorf("%v: %s", err, b.String())
	}
}
