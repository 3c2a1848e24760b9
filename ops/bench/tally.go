package bench

import "math/bits"

// bitmap holds a bit for each message of a pair.
type bitmap []uint64

func newBitmap(n int) bitmap { return make(bitmap, (n+63)/64) }

func (b bitmap) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitmap) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitmap) count() (n int) {
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// add sets the bits of another.
func (b bitmap) add(o bitmap) {
	for i, w := range o {
		b[i] |= w
	}
}

// missing returns how many bits of want are not in b.
func (b bitmap) missing(want bitmap) (n int) {
	for i, w := range want {
		n += bits.OnesCount64(w &^ b[i])
	}
	return n
}

// tally judges what a receiver gets from its sender.
type tally struct {
	seen     bitmap
	last     int // the highest since the receiver connected, -1 before the first
	floor    int // the highest before that: what is not above it may come again
	again    int // that did
	repeats  int
	disorder int // arrived after a later one
	strange  int // not of this pair
}

func newTally(n int) tally { return tally{seen: newBitmap(n), last: -1, floor: -1} }

// resume is said before the receiver connects anew. What it had not acknowledged comes again then, in order.
func (t *tally) resume() { t.floor, t.last = max(t.floor, t.last), -1 }

// add returns false for what came before.
func (t *tally) add(seq int) (fresh bool) {
	fresh = !t.seen.has(seq)
	switch {
	case t.seen.has(seq) && seq > t.last && seq <= t.floor:
		t.again++
	case t.seen.has(seq):
		t.repeats++
	case seq < t.last:
		t.disorder++
	}
	t.seen.set(seq)
	t.last = max(t.last, seq)
	return fresh
}

const hexDigits = "0123456789abcdef"

// putHex writes v over all of b.
func putHex(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = hexDigits[v&15]
		v >>= 4
	}
}

// parseHex reads what putHex has written.
func parseHex(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
