package gateway

import (
	"parley/domain"
	"parley/schemas/msync"
)

// queue is one conversation as one socket has it: what was pushed on it and what its client has acknowledged. Pure: no I/O, no clock.
//
//	acked <= pushed <= target
//
// Live is pushed == target: the next entry may be pushed as it comes. Otherwise the queue is behind: entries that come only raise the
// target, and pages from the read model bring it forward. Entries that the device may not see move pushed past them, and acked too when
// nothing before them is unacknowledged.
type queue struct {
	stream domain.StreamID
	parsed domain.Stream
	name   msync.Queue

	acked  domain.Seq
	pushed domain.Seq
	target domain.Seq
	hold   domain.Seq // up to here an earlier connection has pushed: until all queues are past theirs, nothing newer goes out

	listed  bool // named in the answer to UNREAD: the client will pull it, do not push before
	pulling bool // the client waits for an answer
	loading bool // where the client stands is not known yet
	tries   int  // reads that did not find it

	frames []sentFrame // pushed and not acknowledged, in order

	group *membership // of a group's queue only
}

// sentFrame is a pushed frame: the seq at its end and how many entries it showed.
type sentFrame struct {
	end   domain.Seq
	shown int
}

func (q *queue) live() bool    { return q.pushed >= q.target && !q.listed && !q.loading }
func (q *queue) holding() bool { return q.pushed < q.hold }

// behind tells whether a page could bring the queue forward now.
func (q *queue) behind() bool {
	return q.pushed < q.target && !q.loading && (!q.listed || q.pulling)
}

// passed notes that entries up to end were pushed, or skipped when shown is 0.
func (q *queue) passed(end domain.Seq, shown int) {
	q.pushed = end
	q.target = max(q.target, end)
	if shown > 0 {
		q.frames = append(q.frames, sentFrame{end: end, shown: shown})
		return
	}
	if len(q.frames) == 0 {
		q.acked = max(q.acked, end)
	}
}

// ack takes a client's key and returns how many shown entries it acknowledges. A key may be of an earlier connection, and of one whose
// pushes this connection knows nothing of: it never goes beyond the target.
func (q *queue) ack(seq domain.Seq) (shown int) {
	seq = min(seq, q.target)
	if seq <= q.acked {
		return 0
	}
	q.acked = seq
	n := 0
	for n < len(q.frames) && q.frames[n].end <= seq {
		shown += q.frames[n].shown
		n++
	}
	q.frames = q.frames[:copy(q.frames, q.frames[n:])]
	q.pushed = max(q.pushed, q.acked)
	if len(q.frames) == 0 {
		if cap(q.frames) > keepFrames {
			q.frames = nil
		}
		q.acked = q.pushed
	}
	return shown
}

// keepFrames is the room for frames that an idle queue keeps: what is pushed and acknowledged one at a time allocates nothing.
const keepFrames = 2

// outstanding returns how many shown entries are unacknowledged.
func (q *queue) outstanding() int {
	n := 0
	for _, f := range q.frames {
		n += f.shown
	}
	return n
}

// pageEnd returns the last seq that the next page may hold.
func (q *queue) pageEnd() domain.Seq {
	if q.holding() {
		return min(q.hold, q.target)
	}
	return q.target
}

// start puts the queue where its device stands, between start and end: at what was acknowledged. What was pushed and not acknowledged is
// held before anything newer.
func (q *queue) start(start, end domain.Seq, at mark) {
	q.loading = false
	q.acked = max(q.acked, min(max(at.acked, start), end))
	q.pushed = q.acked
	q.target = max(q.target, end, q.acked)
	if at.pushed > q.acked {
		q.hold = min(at.pushed, q.target)
	}
}
