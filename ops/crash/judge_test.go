package crash

import (
	"slices"
	"testing"
)

// TestJudgeOfGroups holds it to judging every member of a group.
func TestJudgeOfGroups(t *testing.T) {
	entry := func(id uint64, author string, n int) arrival { return arrival{id: id, from: name{author, n}} }
	history := []arrival{entry(10, "a", 0), entry(11, "b", 0), entry(12, "c", 0), entry(13, "a", 1)}
	for _, tc := range []struct {
		name string
		harm func(c *side)
		want func(v *verdict) int // the count that must not be zero; nil: no fault at all
	}{
		{"all is well", func(*side) {}, nil},
		{"one member did not get it", func(c *side) { c.inbox = c.inbox[1:] }, func(v *verdict) int { return v.lost }},
		{"one member got it twice", func(c *side) { c.inbox = append(c.inbox, c.inbox[2]) }, func(v *verdict) int { return v.doubled }},
		{"one member saw another order", func(c *side) { c.inbox[0], c.inbox[1] = c.inbox[1], c.inbox[0] }, func(v *verdict) int { return v.misordered }},
		{"one member finds another history", func(c *side) { c.history = c.history[1:] }, func(v *verdict) int { return v.disagreed }},
		{"one member got what is not stored", func(c *side) { c.inbox = append(c.inbox, entry(14, "a", 2)) }, func(v *verdict) int { return v.resurrected }},
		{"one member's message is not stored", func(c *side) { c.fates[0].ids[0] = 99 }, func(v *verdict) int { return v.lost }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := &side{user: "a", fates: []fate{{ids: []uint64{10}}, {ids: []uint64{13}}}, inbox: []arrival{history[1], history[2]}, history: history}
			b := &side{user: "b", fates: []fate{{ids: []uint64{11}}}, inbox: []arrival{history[0], history[2], history[3]}, history: history}
			c := &side{user: "c", fates: []fate{{ids: []uint64{12}}}, inbox: []arrival{history[0], history[1], history[3]}, history: slices.Clone(history)}
			tc.harm(c)
			var v verdict
			v.judge(a, b, c)
			if tc.want == nil && (v.faults() != 0 || v.owed != 8 || v.received != 8) || tc.want != nil && tc.want(&v) == 0 {
				t.Errorf("%+v", v)
			}
		})
	}
}

// TestJudge holds the judge itself to finding each fault: without it, a test that finds nothing shows nothing.
func TestJudge(t *testing.T) {
	entry := func(id uint64, author string, n int) arrival { return arrival{id: id, from: name{author, n}} }
	history := []arrival{entry(10, "a", 0), entry(11, "b", 0), entry(12, "a", 1), entry(13, "a", 3)}
	for _, tc := range []struct {
		name string
		harm func(a, b *side)
		want func(v *verdict) int // the count that must not be zero; nil: no fault at all
	}{
		{"all is well", func(_, _ *side) {}, nil},
		{"an abandoned one may be missing", func(a, _ *side) { a.fates[2].abandoned = true }, nil},
		{"not in history", func(a, b *side) { a.history = a.history[:3]; b.history = b.history[:3] }, func(v *verdict) int { return v.lost }},
		{"in one history only", func(_, b *side) { b.history = b.history[:3] }, func(v *verdict) int { return v.disagreed }},
		{"not received", func(_, b *side) { b.inbox = b.inbox[1:] }, func(v *verdict) int { return v.lost }},
		{"received twice", func(_, b *side) { b.inbox = append(b.inbox, b.inbox[0]) }, func(v *verdict) int { return v.doubled }},
		{"stored twice", func(a, b *side) {
			a.history = append(slices.Clone(a.history), entry(14, "a", 1))
			b.history = a.history
		}, func(v *verdict) int { return v.doubled }},
		{"answered with two ids", func(a, _ *side) { a.fates[0].ids = []uint64{10, 99} }, func(v *verdict) int { return v.doubled }},
		{"abandoned and stored twice", func(a, b *side) {
			a.fates[0] = fate{abandoned: true}
			a.history = append(slices.Clone(a.history), entry(14, "a", 0))
			b.history, b.inbox = a.history, append(b.inbox, entry(14, "a", 0))
		}, func(v *verdict) int { return v.doubled }},
		{"abandoned, stored and not received", func(a, b *side) {
			a.fates[0], b.inbox = fate{abandoned: true}, b.inbox[1:]
		}, func(v *verdict) int { return v.lost }},
		{"refused and stored", func(a, _ *side) { a.fates[1] = fate{refused: "busy"} }, func(v *verdict) int { return v.resurrected }},
		{"never answered", func(a, _ *side) { a.fates[2] = fate{} }, func(v *verdict) int { return v.lost }},
		{"received in another order", func(_, b *side) { slices.Reverse(b.inbox) }, func(v *verdict) int { return v.misordered }},
		{"stored in another order than sent", func(a, b *side) {
			a.history = []arrival{history[2], history[1], history[0], history[3]}
			b.history, b.inbox = a.history, []arrival{history[2], history[0], history[3]}
		}, func(v *verdict) int { return v.misordered }},
		{"a time before the one before", func(a, b *side) {
			a.history[2].id, a.fates[1].ids, a.history = 9, []uint64{9}, a.history[:3]
			a.fates[3].abandoned, a.fates[3].ids = true, nil
			b.history, b.inbox = a.history, []arrival{a.history[0], a.history[2]}
		}, func(v *verdict) int { return v.misordered }},
		{"received and not in history", func(a, _ *side) { a.inbox = append(a.inbox, entry(77, "b", 9)) }, func(v *verdict) int { return v.resurrected }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := &side{user: "a", fates: []fate{{ids: []uint64{10}}, {ids: []uint64{12}}, {refused: "busy"}, {ids: []uint64{13}}}}
			b := &side{user: "b", fates: []fate{{ids: []uint64{11}}}}
			a.inbox, b.inbox = []arrival{history[1]}, []arrival{history[0], history[2], history[3]}
			a.history, b.history = slices.Clone(history), slices.Clone(history)
			tc.harm(a, b)
			var v verdict
			v.judge(a, b)
			if tc.want == nil && v.faults() != 0 || tc.want != nil && tc.want(&v) == 0 {
				t.Errorf("%+v", v)
			}
		})
	}
}

// TestJudgeOfRooms holds it to judging every connection of every viewer.
func TestJudgeOfRooms(t *testing.T) {
	entry := func(id uint64, author string, n int) arrival { return arrival{id: id, from: name{author, n}} }
	history := []arrival{entry(10, "a", 0), entry(11, "b", 0), entry(12, "a", 1), entry(13, "b", 1)}
	for _, tc := range []struct {
		name string
		harm func(c *view)
		want func(v *verdict) int // the count that must not be zero; nil: no fault at all
	}{
		{"all is well", func(*view) {}, nil},
		{"the next connection begins with what the last one ended with", func(c *view) { c.shown[1] = history[1:] }, nil},
		{"never shown", func(c *view) { c.shown[1] = history[3:] }, func(v *verdict) int { return v.lost }},
		{"twice on one connection", func(c *view) { c.shown[0] = append(slices.Clone(c.shown[0]), history[0]) }, func(v *verdict) int { return v.doubled }},
		{"out of order on one connection", func(c *view) { c.shown[0] = []arrival{history[1], history[0]} }, func(v *verdict) int { return v.misordered }},
		{"a hole in one connection", func(c *view) { c.shown[1] = []arrival{history[1], history[3]} }, func(v *verdict) int { return v.skipped }},
		{"shown and not in history", func(c *view) { c.shown[0] = []arrival{entry(9, "a", 5), history[0], history[1]} }, func(v *verdict) int { return v.resurrected }},
		{"its own, and not in history", func(c *view) { c.shown[0] = []arrival{entry(9, "c", 5), history[0], history[1]} }, func(v *verdict) int { return v.resurrected }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &view{shown: [][]arrival{history[:2], history[2:]}}
			tc.harm(c)
			whole := [][]arrival{history}
			var v verdict
			v.judgeRoom(
				&side{user: "a", fates: []fate{{ids: []uint64{10}}, {ids: []uint64{12}}}, inbox: []arrival{history[1], history[3]}, shown: whole, history: history},
				&side{user: "b", fates: []fate{{ids: []uint64{11}}, {ids: []uint64{13}}}, inbox: []arrival{history[0], history[2]}, shown: whole, history: history},
				&side{user: "c", inbox: c.first("c"), shown: c.shown, history: history})
			if tc.want == nil && v.faults() != 0 || tc.want != nil && tc.want(&v) == 0 {
				t.Errorf("%+v", v)
			}
		})
	}
}
