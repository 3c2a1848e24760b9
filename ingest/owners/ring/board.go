package ring

import (
	"slices"
	"strings"

	"parley/domain"
	"parley/domain/fence"
)

// board is what one node makes of the members it sees: who owns what, and how it stands itself. It is pure: the caller has the clock, and calls one at a time.
type board struct {
	self  domain.NodeName
	joins bool // there are addresses to join: others may be there though none is seen

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
}

func newBoard(self Member, joins bool) *board {
	b := &board{
		self: self.Name, joins: joins,
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
	b.serving = serving
	for p := range b.parts {
		b.name(p)
	}
}

// name gives one partition its owner under the members of now.
func (b *board) name(p int) {
	best := choose(b.serving, p)
	b.owner[p] = int16(best)
	if best < 0 {
		return
	}
	part := &b.parts[p]
	if n := b.serving[best].node; n != part.last {
		part.before, part.last, part.handed = part.last, n, false
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
	case !b.named(p):
		return fence.NotNamed
	case part.handed:
		return fence.NamedAtOnce
	case part.before == domain.Node{}:
		if b.joins {
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
