package bench

import (
	"sync/atomic"
	"time"
)

// book names the messages of one conversation: by their sender and its number there. The place tells where one stands in bitmaps.
type book struct {
	tag     []byte // what all texts of the run begin with
	first   int    // the author whose texts are those of sender 0
	senders int
	each    int             // messages of each sender
	ids     []atomic.Uint64 // by place: the id under which the message was seen first
}

func newBook(tag []byte, first, senders, each int) book {
	return book{tag: tag, first: first, senders: senders, each: each, ids: make([]atomic.Uint64, senders*each)}
}

// read finds a message of this conversation in a body.
func (b *book) read(body []byte) (sender, seq int, due time.Duration, ok bool) {
	author, seq, due, ok := readText(b.tag, body)
	sender = author - b.first
	return sender, seq, due, ok && sender >= 0 && sender < b.senders && seq < b.each
}

func (b *book) place(sender, seq int) int { return sender*b.each + seq }

// agree tells whether all who have seen a message have seen it under one id.
func (b *book) agree(place int, id uint64) bool {
	return b.ids[place].CompareAndSwap(0, id) || b.ids[place].Load() == id
}

// tray judges a conversation's messages as one reader sees them. That all readers see one order follows from two things that each is held
// to: ids only grow, and a message has the same id for all.
type tray struct {
	seen     bitmap // by place
	last     []int  // by sender, the highest number so far
	lastID   uint64
	floor    uint64 // the highest id before the reader connected anew; what is not above it may come again
	again    int    // that did
	repeats  int
	disorder int // after a later id, or after a later one of the same sender
	differ   int // under another id than somebody else has seen
	strange  int // of no sender of this conversation
}

func newTray(b *book) tray {
	t := tray{seen: newBitmap(b.senders * b.each), last: make([]int, b.senders)}
	t.rewind()
	return t
}

func (t *tray) rewind() {
	for i := range t.last {
		t.last[i] = -1
	}
}

// resume is said before the reader connects anew. What it had not acknowledged comes again then, in order.
func (t *tray) resume() {
	t.floor, t.lastID = max(t.floor, t.lastID), 0
	t.rewind()
}

// add returns false for what came before.
func (t *tray) add(b *book, sender, seq int, id uint64) (fresh bool) {
	place := b.place(sender, seq)
	fresh = !t.seen.has(place)
	ordered := id > t.lastID && seq > t.last[sender]
	switch {
	case t.seen.has(place) && ordered && id <= t.floor:
		t.again++
	case t.seen.has(place):
		t.repeats++
	case !ordered:
		t.disorder++
	}
	if !b.agree(place, id) {
		t.differ++
	}
	t.seen.set(place)
	t.lastID, t.last[sender] = max(t.lastID, id), max(t.last[sender], seq)
	return fresh
}

// missing counts what was acknowledged to others than the sender except and is not here.
func (t *tray) missing(b *book, acked []bitmap, except int) (n int) {
	for i, a := range acked {
		for seq := 0; i != except && seq < b.each; seq++ {
			if a.has(seq) && !t.seen.has(b.place(i, seq)) {
				n++
			}
		}
	}
	return n
}
