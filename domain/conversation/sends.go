package conversation

import (
	"iter"
	"slices"
	"time"

	"parley/domain"
)

// Bounds of a Sends row.
const (
	keepFor   = 60 * time.Second
	keepLeast = 32
	keepMost  = 512
	blockLen  = 16
)

// Sends is the part "s/<user>/<resource>": what the device sent lately, oldest first, so that a repeat gets its first answer.
// It keeps the sends of the last 60 s, at least 32 and at most 512; the oldest go in blocks of 16.
//
// It is immutable, and a version shares all its full blocks with the one before: adding a send copies at most 16.
type Sends struct {
	full []*block // each older than the next
	last []Send   // fewer than blockLen
}

// block is some sends that no longer change, and the highest of their client ids: clients count upwards, so that a new send is seldom looked
// for in them.
type block struct {
	highest uint64
	sends   [blockLen]Send
}

func newBlock(sends []Send) *block {
	b := &block{sends: [blockLen]Send(sends)}
	for i := range b.sends {
		b.highest = max(b.highest, b.sends[i].ClientID)
	}
	return b
}

// Send is one remembered send.
type Send struct {
	ClientID uint64
	Hash     uint64
	Seq      domain.Seq
	T        domain.T
}

// NewSends returns a row of these sends, oldest first, as read from a store.
func NewSends(sends []Send) *Sends {
	s := new(Sends)
	for len(sends) >= blockLen {
		s.full = append(s.full, newBlock(sends[:blockLen]))
		sends = sends[blockLen:]
	}
	s.last = append(s.last, sends...)
	return s
}

// RowName implements domain.Row.
func (*Sends) RowName() string { return "Sends" }

// Len returns how many sends are kept.
func (s *Sends) Len() int { return len(s.full)*blockLen + len(s.last) }

// All yields the sends, oldest first.
func (s *Sends) All() iter.Seq[Send] {
	return func(yield func(Send) bool) {
		for _, b := range s.full {
			for _, send := range b.sends {
				if !yield(send) {
					return
				}
			}
		}
		for _, send := range s.last {
			if !yield(send) {
				return
			}
		}
	}
}

// Find returns the send with this client id and payload hash. s may be nil.
func (s *Sends) Find(clientID, hash uint64) (Send, bool) {
	if s == nil || clientID == 0 {
		return Send{}, false
	}
	if send, ok := find(s.last, clientID, hash); ok {
		return send, true
	}
	for _, b := range slices.Backward(s.full) {
		if clientID > b.highest {
			continue
		}
		if send, ok := find(b.sends[:], clientID, hash); ok {
			return send, true
		}
	}
	return Send{}, false
}

func find(sends []Send, clientID, hash uint64) (Send, bool) {
	for _, send := range slices.Backward(sends) {
		if send.ClientID == clientID && send.Hash == hash {
			return send, true
		}
	}
	return Send{}, false
}

// add returns the row with send, or s itself when send is not newer than all that s keeps. s may be nil.
func (s *Sends) add(send Send) *Sends {
	if s == nil {
		s = new(Sends)
	}
	if send.T <= s.newest() {
		return s
	}
	next := &Sends{full: s.full, last: make([]Send, len(s.last)+1)}
	copy(next.last, s.last)
	next.last[len(s.last)] = send
	if len(next.last) == blockLen {
		next.full = append(slices.Clip(next.full), newBlock(next.last))
		next.last = nil
	}
	next.trim(send.T.Time().Add(-keepFor))
	return next
}

// trim drops blocks that are too old or too many. It only narrows the slice of blocks, which versions share.
func (s *Sends) trim(old time.Time) {
	for len(s.full) > 0 {
		rest := s.Len() - blockLen
		expired := rest >= keepLeast && s.full[0].sends[blockLen-1].T.Time().Before(old)
		if !expired && s.Len() <= keepMost {
			return
		}
		s.full = s.full[1:]
	}
}

func (s *Sends) newest() domain.T {
	if n := len(s.last); n > 0 {
		return s.last[n-1].T
	}
	if n := len(s.full); n > 0 {
		return s.full[n-1].sends[blockLen-1].T
	}
	return 0
}

// SendsPart names a device's Sends row.
func SendsPart(u domain.UserID, r domain.Resource) domain.PartID {
	return domain.PartID("s/" + string(u) + "/" + string(r))
}

// isSends tells whether id is SendsPart(u, r).
func isSends(id domain.PartID, u domain.UserID, r domain.Resource) bool {
	user := len("s/") + len(u)
	return len(id) == user+len("/")+len(r) && id[:2] == "s/" && string(id[2:user]) == string(u) && id[user] == '/' &&
		string(id[user+1:]) == string(r)
}
