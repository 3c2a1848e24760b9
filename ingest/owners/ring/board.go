package ring

import (
	"slices"
	"strings"
	"time"

	"parley/domain"
	"parley/domain/fence"
)

// board is what one node makes of the members it sees: who owns what, and how it stands itself. It is pure: the caller has the clock, and calls one at a time.
type board struct {
	self   domain.NodeName
	joins  bool          // there are addresses to join: others may be there though none is seen
	yields time.Duration // the longest stand back

	members map[domain.NodeName]Member // that live, self among them
	serving []candidate                // by name
	owner   []int16                    // of each partition: an index of serving, -1: nobody
	parts   []part
}

// part is what the board remembers of one partition.
type part struct {
	last   domain.Node // the last that was named, under any members
	before domain.Node // who was named before it. Zero: nobody is known
	handed bool        // before has handed over
	claim  bool        // somebody whom the ring did not name took it from this node: before is a guess, and nobody known does not mean nobody

	standBack time.Time     // not zero: until then this node, though named, claims nothing
	stood     time.Time     // until when it did, or would have done, the last time
	stoodFor  time.Duration // how long
}

func newBoard(self Member, joins bool, yields time.Duration) *board {
	b := &board{
		self: self.Name, joins: joins, yields: yields,
		members: map[domain.NodeName]Member{self.Name: self},
		owner:   make([]int16, partitions), parts: make([]part, partitions),
	}
	b.refresh()
	return b
}

// set sees a member: a new one, or one that tells something new. It tells whether anything is new.
func (b *board) set(m Member) bool {
	if b.members[m.Name] == m {
		return false
	}
	b.members[m.Name] = m
	b.refresh()
	return true
}

// remove sees a member die or leave.
func (b *board) remove(name domain.NodeName) bool {
	if _, ok := b.members[name]; !ok || name == b.self {
		return false
	}
	delete(b.members, name)
	b.refresh()
	return true
}

// refresh names owners anew if other nodes serve than before.
func (b *board) refresh() {
	var serving []candidate
	for _, m := range b.members {
		if m.State == Serving {
			serving = append(serving, newCandidate(m.Node))
		}
	}
	slices.SortFunc(serving, func(x, y candidate) int { return strings.Compare(string(x.node.Name), string(y.node.Name)) })
	if b.serving != nil && slices.Equal(serving, b.serving) {
		return
	}
	var comers []candidate // who serve now and did not, others than this node
	for _, c := range serving {
		if c.node.Name != b.self && !slices.Contains(b.serving, c) {
			comers = append(comers, c)
		}
	}
	b.serving = serving
	for p := range b.parts {
		b.name(p, comers)
	}
}

// name gives one partition its owner under the members of now.
func (b *board) name(p int, comers []candidate) {
	best := choose(b.serving, p)
	b.owner[p] = int16(best)
	if best < 0 {
		return
	}
	part := &b.parts[p]
	if n := b.serving[best].node; n != part.last {
		part.before, part.last = part.last, n
		part.handed, part.claim, part.standBack = false, false, time.Time{}
		return
	}
	if part.claim || !part.standBack.IsZero() {
		b.suspect(p, comers)
	}
}

// suspect guesses who took a partition from this node, among those who have just come: what the other side of a split named among its own. They come
// one after the other.
func (b *board) suspect(p int, comers []candidate) {
	part := &b.parts[p]
	if !part.standBack.IsZero() {
		part.standBack = time.Time{}
		part.before, part.handed, part.claim = domain.Node{}, false, true
	}
	if b.lives(part.before) {
		comers = append(slices.Clone(comers), newCandidate(part.before))
	}
	if i := choose(comers, p); i >= 0 && comers[i].node != part.before {
		part.before, part.handed = comers[i].node, false
	}
}

func (b *board) lives(n domain.Node) bool {
	m, ok := b.members[n.Name]
	return ok && m.Node == n
}

func (b *board) named(p int) bool {
	i := b.owner[p]
	return i >= 0 && b.serving[i].node.Name == b.self
}

// standing says what this node is to do about a partition.
func (b *board) standing(p int) fence.Ring {
	part := &b.parts[p]
	switch {
	case !b.named(p), !part.standBack.IsZero():
		return fence.NotNamed
	case part.handed:
		return fence.NamedAtOnce
	case part.before == domain.Node{}:
		if b.joins || part.claim {
			return fence.Named
		}
		return fence.NamedAtOnce
	case b.lives(part.before):
		return fence.Named
	default:
		return fence.NamedAtOnce
	}
}

// from returns whom to ask to hand the partition over.
func (b *board) from(p int) (Member, bool) {
	part := &b.parts[p]
	if b.standing(p) != fence.Named || !b.lives(part.before) {
		return Member{}, false
	}
	return b.members[part.before.Name], true
}

// handedOver sees that whom from named holds the partition no more.
func (b *board) handedOver(p int) bool {
	if _, ok := b.from(p); !ok {
		return false
	}
	b.parts[p].handed = true
	return true
}

// yield stands back from a partition until other nodes serve, or for a while: a tenth of the longest, and twice as long each time that it is
// needed again before as much time has passed without. Two sides that both reach the log do not take a partition from each other for ever,
// and one late claim of a node that is not named costs seconds.
func (b *board) yield(p int, now time.Time) bool {
	part := &b.parts[p]
	if !b.named(p) || !part.standBack.IsZero() {
		return false
	}
	if now.After(part.stood.Add(part.stoodFor)) {
		part.stoodFor = b.yields / 20
	}
	part.stoodFor = min(b.yields, 2*part.stoodFor)
	part.stood = now.Add(part.stoodFor)
	part.standBack = part.stood
	return true
}

// pass ends what is over, and says when something will be: next is zero when nothing will.
func (b *board) pass(now time.Time) (changed bool, next time.Time) {
	for p := range b.parts {
		part := &b.parts[p]
		switch at := part.standBack; {
		case at.IsZero():
		case at.After(now):
			if next.IsZero() || at.Before(next) {
				next = at
			}
		default:
			part.standBack = time.Time{}
			part.before, part.handed, part.claim = domain.Node{}, false, true
			changed = true
		}
	}
	return changed, next
}
