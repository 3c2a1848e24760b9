package crash

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// side is what one user of a conversation wrote, got and finds in history.
type side struct {
	user    string
	fates   []fate      // of what this user wrote
	inbox   []arrival   // of what the others wrote, in order; of a room: when it was first shown
	history []arrival   // all, oldest first
	shown   [][]arrival // of a room: what each connection was shown, own messages included
}

// verdict is the test's table. Every count but the first five and the last three has to be zero.
type verdict struct {
	written, acknowledged, stored                     int
	whole                                             int // acknowledged messages that are stored and that all who have to get them got
	owed, received                                    int // acknowledged messages, over all who have to get them, and what they got
	lost, doubled, misordered, disagreed, resurrected int
	skipped                                           int // left out between two messages that a connection to a room was shown
	refused, abandoned, abandonedStored               int
	details                                           []string
}

// blamef counts something wrong and remembers the first few.
func (v *verdict) blamef(count *int, format string, args ...any) {
	*count++
	if len(v.details) < 20 {
		v.details = append(v.details, fmt.Sprintf(format, args...))
	}
}

// judge compares all sides of a conversation. As every inbox is held to the order of history, which is the same for all, all see one order.
func (v *verdict) judge(sides ...*side) {
	first := sides[0]
	for _, s := range sides[1:] {
		v.compare(first, s)
	}
	for _, author := range sides {
		stored, reached := v.positions(first.history, author.user), map[int]int{}
		for n := range author.fates {
			v.judgeStored(author, n, stored[n])
		}
		for _, reader := range sides {
			if reader == author {
				continue
			}
			got := v.positions(reader.inbox, author.user)
			for n := range author.fates {
				v.judgeReceived(author, reader, n, stored[n], got[n])
				reached[n] += min(len(got[n]), 1)
			}
		}
		v.countWhole(author, stored, reached, len(sides)-1)
		v.judgeOrder(author, first.history, "history of "+first.user)
	}
	v.judgeIDs(first)
	for _, s := range sides {
		v.judgeInbox(s, first.history)
	}
}

// countWhole counts the acknowledged messages of an author that have come to all there are.
func (v *verdict) countWhole(author *side, stored map[int][]uint64, reached map[int]int, readers int) {
	for n := range author.fates {
		if len(author.fates[n].ids) > 0 && len(stored[n]) > 0 && reached[n] == readers {
			v.whole++
		}
	}
}

// compare holds two histories to each other.
func (v *verdict) compare(a, b *side) {
	if slices.Equal(a.history, b.history) {
		return
	}
	v.blamef(&v.disagreed, "%s finds %d messages in history and %s %d, or in another order", a.user, len(a.history), b.user, len(b.history))
}

// positions returns, for each number of an author, the ids under which it is there.
func (v *verdict) positions(list []arrival, author string) map[int][]uint64 {
	out := map[int][]uint64{}
	for _, e := range list {
		if e.from.author == author {
			out[e.from.n] = append(out[e.from.n], e.id)
		}
	}
	return out
}

// judgeStored compares what an author knows of a message with history.
func (v *verdict) judgeStored(author *side, n int, stored []uint64) {
	f, who := &author.fates[n], name{author.user, n}
	v.written++
	v.stored += min(len(stored), 1)
	if len(stored) > 1 || len(f.ids) > 1 {
		v.blamef(&v.doubled, "%v: answered with %v, stored as %v, sent %d times", who, f.ids, stored, f.tries)
	}
	switch {
	case len(f.ids) > 0:
		v.acknowledged++
		if !slices.Contains(stored, f.ids[0]) {
			v.blamef(&v.lost, "%v: acknowledged as %d, in history as %v", who, f.ids[0], stored)
		}
	case f.refused != "":
		v.refused++
		if len(stored) > 0 {
			v.blamef(&v.resurrected, "%v: refused (%s), yet stored as %v, sent %d times", who, f.refused, stored, f.tries)
		}
	case f.abandoned:
		v.abandoned++
		v.abandonedStored += min(len(stored), 1)
	default:
		v.blamef(&v.lost, "%v: sent %d times to the end, never answered", who, f.tries)
	}
}

// judgeReceived compares what an author knows of a message, and history, with what a reader got.
func (v *verdict) judgeReceived(author, by *side, n int, stored, got []uint64) {
	f, who, reader := &author.fates[n], name{author.user, n}, by.user
	v.received += min(len(got), 1)
	if len(got) > 1 {
		v.blamef(&v.doubled, "%v: stored as %v, received by %s as %v, as the entries %v of all it was shown, sent %d times", who, stored, reader, got, by.places(who), f.tries)
	}
	switch {
	case len(f.ids) > 0:
		v.owed++
		if !slices.Contains(got, f.ids[0]) {
			v.blamef(&v.lost, "%v: acknowledged as %d, received by %s as %v", who, f.ids[0], reader, got)
		}
	case f.refused != "" && len(got) > 0:
		v.blamef(&v.resurrected, "%v: refused (%s), yet received by %s as %v, sent %d times", who, f.refused, reader, got, f.tries)
	case f.abandoned && !slices.Equal(stored, got):
		v.blamef(&v.lost, "%v: never answered, stored as %v, received by %s as %v", who, stored, reader, got)
	}
}

// places tells when a reader was shown a message, as a number among all it was shown: apps know again what is among the last 100.
func (s *side) places(of name) (nth []int) {
	for _, a := range s.inbox {
		if a.from == of {
			nth = append(nth, a.nth)
		}
	}
	return nth
}

// judgeOrder holds history to the order in which the author sent.
func (v *verdict) judgeOrder(author *side, history []arrival, where string) {
	last := -1
	for _, e := range history {
		if e.from.author != author.user || e.from.n >= len(author.fates) || author.fates[e.from.n].late {
			continue
		}
		if e.from.n < last {
			v.blamef(&v.misordered, "%v stands after %d in the %s", e.from, last, where)
		}
		last = max(last, e.from.n)
	}
}

// judgeIDs holds ids, which are times, to growing in history: whatever clocks said.
func (v *verdict) judgeIDs(s *side) {
	for i := 1; i < len(s.history); i++ {
		if was, is := s.history[i-1], s.history[i]; is.id <= was.id {
			v.blamef(&v.misordered, "%v as %d stands after %v as %d in the history of %s", is.from, is.id, was.from, was.id, s.user)
		}
	}
}

// judgeInbox holds what a user received to the order of history.
func (v *verdict) judgeInbox(reader *side, history []arrival) {
	place := map[uint64]int{}
	for i, e := range history {
		place[e.id] = i
	}
	last := -1
	for _, e := range reader.inbox {
		at, ok := place[e.id]
		switch {
		case !ok:
			v.blamef(&v.resurrected, "%s received %v as %d, which history does not have", reader.user, e.from, e.id)
		case at < last:
			v.blamef(&v.misordered, "%s received %v after what follows it in history", reader.user, e.from)
		}
		last = max(last, at)
	}
}

// faults is how many counts are not as they must be.
func (v *verdict) faults() int {
	return v.lost + v.doubled + v.misordered + v.disagreed + v.resurrected + v.skipped
}

// table lays out rows of a name and a value.
func table(rows [][2]string) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, r := range rows {
		_, _ = fmt.Fprintf(t, "  %s\t%s\n", r[0], r[1])
	}
	_ = t.Flush()
	return b.String()
}

func (v *verdict) rows() [][2]string {
	n := func(i int) string { return fmt.Sprint(i) }
	return [][2]string{
		{"written", n(v.written)},
		{"acknowledged", n(v.acknowledged)},
		{"stored", n(v.stored)},
		{"received", fmt.Sprintf("%d, of which acknowledged to the author %d", v.received, v.owed)},
		{"refused", n(v.refused)},
		{"given up without answer", fmt.Sprintf("%d, of which stored %d", v.abandoned, v.abandonedStored)},
		{"LOST", n(v.lost)},
		{"DOUBLED", n(v.doubled)},
		{"OUT OF ORDER", n(v.misordered)},
		{"LEFT OUT IN THE MIDDLE, OF ROOMS", n(v.skipped)},
		{"HISTORIES THAT DISAGREE", n(v.disagreed)},
		{"STORED OR RECEIVED AGAINST A REFUSAL", n(v.resurrected)},
	}
}
