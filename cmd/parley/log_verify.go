package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"text/tabwriter"
	"time"

	"parley/domain"
	"parley/domain/fence"
)

// verified is what a walk over a partition has found.
type verified struct {
	Partition domain.Partition `json:"partition"`
	From      domain.Offset    `json:"from"` // 0, or the anchor at which the log is known to go on
	End       domain.Offset    `json:"end"`
	Records   uint64           `json:"records"`
	Claims    uint64           `json:"claims"` // that were in force
	Commits   uint64           `json:"commits"`
	Events    uint64           `json:"events"`
	Entries   uint64           `json:"entries"` // events with a seq
	Streams   int              `json:"streams"`
	Voids     uint64           `json:"voids"`
	Repeats   uint64           `json:"repeats"`
	Term      domain.Term      `json:"term"`
	Index     domain.Index     `json:"index"`
	Checksum  string           `json:"checksum"`
	First     time.Time        `json:"first,omitzero"`
	Last      time.Time        `json:"last,omitzero"`
	Findings  []finding        `json:"findings,omitempty"` // the first void and repeated records
	Broken    string           `json:"broken,omitempty"`   // why readers halt here, or what is wrong

	seqs  map[uint64]domain.Seq // of streams, by hash
	moved bool                  // streams may begin in the middle: their slots came from another partition
	t     domain.T
}

// finding is a record without effect. It is no fault: a deposed writer leaves such, and an append that is sent again.
type finding struct {
	Offset  domain.Offset `json:"offset"`
	Verdict string        `json:"verdict"` // void or repeat
	Why     string        `json:"why"`
}

// errBroken is the end of a verification that has found the log broken.
var errBroken = errors.New("the log is broken")

// logVerify walks partitions from their start by the reader rule and reports what is there.
func logVerify(ctx context.Context, v *logView, ask logAsk, out sink) error {
	partitions, err := v.only(ask.partition)
	if err != nil {
		return err
	}
	var all []*verified
	var broken []domain.Partition
	for _, p := range partitions {
		r, err := v.verify(ctx, p, ask.list)
		if err != nil {
			return err
		}
		all = append(all, r)
		if r.Broken != "" {
			broken = append(broken, p)
		}
		if !ask.json && (r.Broken != "" || len(r.Findings) > 0) {
			if err := r.details(out); err != nil {
				return err
			}
		}
	}
	if ask.json {
		err = writeIndented(out, all)
	} else {
		err = summary(all, out)
	}
	if err == nil && len(broken) > 0 {
		err = fmt.Errorf("%w in partition %s", errBroken, joinNumbers(broken))
	}
	return err
}

func (r *verified) details(out sink) error {
	if r.Broken != "" {
		fmt.Fprintf(out, "partition %d: BROKEN: %s\n", r.Partition, r.Broken)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(out, "partition %d, offset %d: %s: %s\n", r.Partition, f.Offset, f.Verdict, f.Why)
	}
	if more := r.Voids + r.Repeats - uint64(len(r.Findings)); more > 0 {
		fmt.Fprintf(out, "partition %d: and %d more without effect\n", r.Partition, more)
	}
	return out.Flush()
}

func summary(all []*verified, out sink) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "partition\tfrom\tend\tclaims\tcommits\tevents\tstreams\tvoid\trepeat\tterm\tchecksum\t\t")
	for _, r := range all {
		state := "ok"
		if r.Broken != "" {
			state = "BROKEN"
		}
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", r.Partition, r.From, r.End, r.Claims, r.Commits, r.Events,
			r.Streams, r.Voids, r.Repeats, r.Term, r.Checksum, state)
	}
	return errors.Join(t.Flush(), out.Flush())
}

// seqSeed hashes streams for one process's verifications.
var seqSeed = maphash.MakeSeed()

// verify walks a partition up to the end that it has now. The error is the log's that does not answer; what is wrong with its content is in
// Broken. Besides the anchor, other places may be given that somebody has reached: the log must have been there.
func (v *logView) verify(ctx context.Context, p domain.Partition, list int, places ...saved) (*verified, error) {
	start, end, err := v.log.Bounds(ctx, p)
	if err != nil {
		return nil, err
	}
	r := &verified{Partition: p, End: end, seqs: map[uint64]domain.Seq{}}
	anchor, anchored := v.anchor(p)
	if anchored {
		places = append(places, saved{"an anchor", fence.Reader{Next: anchor.Offset, Term: anchor.Term, Index: anchor.Index, Prev: anchor.Prev}})
	}
	at := fence.Reader{}
	if start > 0 && anchored && anchor.Offset >= start {
		at = fence.Reader{Next: anchor.Offset, Term: anchor.Term, Index: anchor.Index, Prev: anchor.Prev}
	}
	r.From, r.Index, r.Term = at.Next, at.Index, at.Term
	for _, s := range places {
		if s.at.Next > end {
			r.Broken = fmt.Sprintf("truncated: the log ends at offset %d, %s stands at %d", end, s.of, s.at.Next)
			return r, nil
		}
	}
	sum := at.Prev
	err = v.walk(ctx, p, at, end, 0, func(j *judged) error {
		sum = j.after.Prev
		for _, s := range places {
			if j.record.Offset+1 == s.at.Next && (j.after.Index != s.at.Index || j.after.Prev != s.at.Prev) {
				return &fence.HaltError{Offset: j.record.Offset, Reason: fence.Damaged, Err: fmt.Errorf("it is not what it was when %s stood behind it", s.of)}
			}
		}
		return r.count(j, list)
	}, nil)
	r.Checksum, r.Streams = fmt.Sprintf("%016x", sum), len(r.seqs)
	if r.t != 0 {
		r.Last = r.t.Time().UTC()
	}
	if err != nil && !breaks(err) {
		return nil, err
	}
	if err != nil {
		r.Broken = err.Error()
	}
	return r, nil
}

// breaks tells an error of the log's content from one of a log that does not answer.
func breaks(err error) bool {
	var halt *fence.HaltError
	var seq *seqError
	return errors.As(err, &halt) || errors.As(err, &seq) || errors.Is(err, domain.ErrTruncated) || isUndecodable(err)
}

// seqError says that what is in the log is no sequence.
type seqError struct{ text string }

// Error implements error.
func (e *seqError) Error() string { return e.text }

func (r *verified) count(j *judged, list int) error {
	r.Records++
	r.Term, r.Index = j.after.Term, j.after.Index
	switch j.verdict {
	case fence.Claimed:
		r.Claims++
	case fence.Void, fence.Repeat:
		if j.verdict == fence.Void {
			r.Voids++
		} else {
			r.Repeats++
		}
		if len(r.Findings) < list {
			r.Findings = append(r.Findings, finding{j.record.Offset, j.verdict.String(), j.why()})
		}
	case fence.Accepted:
		r.Commits++
		return r.events(j)
	}
	return nil
}

// events checks that time grows in the partition and that each stream's entries are numbered without a hole, none twice.
func (r *verified) events(j *judged) error {
	if j.content.Commit == nil {
		r.moved = r.moved || j.content.SlotOpened != nil
		return nil
	}
	key := maphash.String(seqSeed, string(j.content.Commit.Stream))
	last, known := r.seqs[key]
	for i := range j.content.Commit.Events {
		ev := &j.content.Commit.Events[i]
		r.Events++
		if ev.T <= r.t {
			return &seqError{fmt.Sprintf("partition %d, offset %d: t %d does not grow, the last was %d", r.Partition, j.record.Offset, ev.T, r.t)}
		}
		if r.t == 0 {
			r.First = ev.T.Time().UTC()
		}
		r.t = ev.T
		if ev.Seq == 0 {
			continue
		}
		r.Entries++
		if ev.Seq != last+1 && (known || r.From == 0 && !r.moved) {
			return &seqError{fmt.Sprintf("partition %d, offset %d: entry %d of %s follows %d", r.Partition, j.record.Offset, ev.Seq,
				j.content.Commit.Stream, last)}
		}
		last, known = ev.Seq, true
	}
	r.seqs[key] = last
	return nil
}
