package fence

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"parley/domain"
)

func drawTerm(t *rapid.T) domain.Term {
	return domain.Term(rapid.Uint64Range(0, 1<<40).Draw(t, "term"))
}

func drawIndex(t *rapid.T) domain.Index {
	return domain.Index(rapid.Uint64Range(0, 1<<40).Draw(t, "index"))
}

func readerAt(next domain.Offset, term, index, prev uint64) Reader {
	return Reader{Next: next, Term: domain.Term(term), Index: domain.Index(index), Prev: prev}
}

// drawnLog is a log that some owners wrote, with all that may lie between their commits.
type drawnLog struct {
	records  []domain.LogRecord
	want     []Verdict
	accepted []int // places in records
}

// drawLog lets rapid interleave claims, late claims, commits, commits of deposed owners, and repeats.
func drawLog(t *rapid.T) drawnLog {
	var l drawnLog
	var at Reader
	var next domain.Offset
	put := func(value []byte, want Verdict) {
		next += domain.Offset(rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "step")) // engines use some offsets themselves
		l.records = append(l.records, domain.LogRecord{Offset: next - 1, Value: value})
		l.want = append(l.want, want)
	}
	body := rapid.SliceOfN(rapid.Byte(), 0, 4)
	record := func(h Header) []byte { return append(AppendHeader(nil, h), body.Draw(t, "body")...) }
	claim := func() {
		at.Term += domain.Term(rapid.IntRange(1, 3).Draw(t, "above"))
		put(record(Header{Term: at.Term}), Claimed)
	}
	lower := func() domain.Term { return domain.Term(rapid.Uint64Range(1, uint64(at.Term)).Draw(t, "term")) }
	claim()
	for range rapid.IntRange(0, 40).Draw(t, "records") {
		switch rapid.SampledFrom([]string{"claim", "late claim", "commit", "commit", "commit", "deposed", "repeat"}).Draw(t, "kind") {
		case "claim":
			claim()
		case "late claim":
			put(record(Header{Term: lower()}), Void)
		case "commit":
			v := record(Header{Term: at.Term, Index: at.Index + 1, Prev: at.Prev})
			at.Index, at.Prev = at.Index+1, Checksum(at.Prev, v)
			l.accepted = append(l.accepted, len(l.records))
			put(v, Accepted)
		case "deposed":
			if term := lower(); term < at.Term {
				put(record(Header{Term: term, Index: 1 + drawIndex(t)}), Void)
			}
		case "repeat":
			if len(l.accepted) > 0 {
				v := l.records[rapid.SampledFrom(l.accepted).Draw(t, "of")].Value
				h, _ := ParseHeader(v)
				put(v, map[bool]Verdict{true: Repeat, false: Void}[h.Term == at.Term])
			}
		}
	}
	return l
}

// Every record gets the verdict it was made for, so the accepted sequence is the one that the owners wrote.
func TestReaderAcceptsOneSequence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLog(t)
		var r Reader
		for i, rec := range l.records {
			verdict, err := r.Read(rec.Offset, rec.Value)
			if err != nil || verdict != l.want[i] {
				t.Fatalf("record %d: %v, %v; want %v", i, verdict, err, l.want[i])
			}
			if r.Next != rec.Offset+1 {
				t.Fatalf("next is %d after offset %d", r.Next, rec.Offset)
			}
		}
		if int(r.Index) != len(l.accepted) {
			t.Fatalf("index is %d after %d commits", r.Index, len(l.accepted))
		}
	})
}

// A reader that goes on from a saved place, copied and put together again from its four fields, ends where the first one ends.
func TestReaderResumes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLog(t)
		save := rapid.IntRange(0, len(l.records)).Draw(t, "saved after")
		var r, saved Reader
		for i, rec := range l.records {
			if i == save {
				saved = Reader{Next: r.Next, Term: r.Term, Index: r.Index, Prev: r.Prev}
			}
			_, _ = r.Read(rec.Offset, rec.Value)
		}
		if save == len(l.records) {
			saved = r
		}
		for i := save; i < len(l.records); i++ {
			verdict, err := saved.Read(l.records[i].Offset, l.records[i].Value)
			if err != nil || verdict != l.want[i] {
				t.Fatalf("record %d after resuming: %v, %v; want %v", i, verdict, err, l.want[i])
			}
		}
		if saved != r {
			t.Fatalf("resumed reader ends at %+v, the other at %+v", saved, r)
		}
	})
}

// A log without one of its commits, or with one byte of a commit's content changed, halts every reader at the next commit.
func TestReaderHaltsOnDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLog(t)
		if len(l.accepted) < 2 {
			return
		}
		k := rapid.IntRange(0, len(l.accepted)-2).Draw(t, "commit")
		hole := rapid.Bool().Draw(t, "hole")
		var r Reader
		for i, rec := range l.records[:l.accepted[k+1]] {
			value := rec.Value
			if i == l.accepted[k] {
				if hole {
					continue
				}
				value = append(bytes.Clone(value), 'x')
			}
			if i > l.accepted[k] && l.want[i] == Repeat && bytes.Equal(rec.Value, l.records[l.accepted[k]].Value) {
				return // a repeat fills the hole: nothing is missing
			}
			if _, err := r.Read(rec.Offset, value); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
		}
		next := l.records[l.accepted[k+1]]
		before := r
		_, err := r.Read(next.Offset, next.Value)
		want := map[bool]Reason{true: Gap, false: Damaged}[hole]
		if haltReason(err) != want || r != before {
			t.Fatalf("reading on: %v, want %s", err, want)
		}
	})
}

// The order of the checks is part of the rule: each case here satisfies a later one too.
func TestReaderOrderOfChecks(t *testing.T) {
	for _, c := range []struct {
		name    string
		offset  domain.Offset
		record  Header
		verdict Verdict
		reason  Reason
	}{
		{"a higher claim", 5, Header{Term: 4}, Claimed, ""},
		{"a claim far above", 5, Header{Term: 40}, Claimed, ""},
		{"an equal claim", 5, Header{Term: 3}, Void, ""},
		{"a lower claim", 5, Header{Term: 1}, Void, ""},
		{"a deposed writer's next commit", 5, Header{Term: 2, Index: 8, Prev: 99}, Void, ""},
		{"a deposed writer's repeat", 5, Header{Term: 2, Index: 7}, Void, ""},
		{"a deposed writer's gap", 5, Header{Term: 2, Index: 90}, Void, ""},
		{"a future term's repeat", 5, Header{Term: 4, Index: 7}, 0, FutureTerm},
		{"a future term's next commit", 5, Header{Term: 4, Index: 8, Prev: 99}, 0, FutureTerm},
		{"a repeat with another prev", 5, Header{Term: 3, Index: 7, Prev: 1}, Repeat, ""},
		{"the next commit", 5, Header{Term: 3, Index: 8, Prev: 99}, Accepted, ""},
		{"the next commit, further on", 9, Header{Term: 3, Index: 8, Prev: 99}, Accepted, ""},
		{"the next commit with another prev", 5, Header{Term: 3, Index: 8, Prev: 98}, 0, Damaged},
		{"a gap", 5, Header{Term: 3, Index: 9, Prev: 99}, 0, Gap},
		{"an offset seen before", 4, Header{Term: 3, Index: 8, Prev: 99}, 0, Backwards},
		{"no term", 5, Header{Index: 8, Prev: 99}, 0, Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := readerAt(5, 3, 7, 99)
			verdict, err := r.Read(c.offset, AppendHeader(nil, c.record))
			if verdict != c.verdict || haltReason(err) != c.reason {
				t.Errorf("%v, %v; want %v %q", verdict, err, c.verdict, c.reason)
			}
			if halt := (*HaltError)(nil); errors.As(err, &halt) && halt.Offset != c.offset {
				t.Errorf("halted at %d, want %d", halt.Offset, c.offset)
			}
		})
	}
}

func TestVerdictNames(t *testing.T) {
	for v, want := range map[Verdict]string{Accepted: "accepted", Claimed: "claimed", Void: "void", Repeat: "repeat", 0: "none"} {
		if v.String() != want {
			t.Errorf("verdict %d is called %q, want %q", v, v, want)
		}
	}
}

func TestReaderAllocatesNothing(t *testing.T) {
	value := AppendHeader(nil, Header{Term: 1, Index: 1})
	var r Reader
	if n := testing.AllocsPerRun(100, func() {
		r = Reader{Term: 1}
		_, _ = r.Read(0, value)
	}); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

// BenchmarkReaderRead reads accepted commits of 250 bytes.
func BenchmarkReaderRead(b *testing.B) {
	const n = 1024
	values := make([][]byte, n)
	at := Reader{Term: 1}
	for i := range values {
		values[i] = append(AppendHeader(nil, Header{Term: 1, Index: at.Index + 1, Prev: at.Prev}), make([]byte, 250-HeaderSize)...)
		at.Index, at.Prev = at.Index+1, Checksum(at.Prev, values[i])
	}
	b.SetBytes(250)
	b.ReportAllocs()
	var r Reader
	i := 0
	for b.Loop() {
		if i%n == 0 {
			r = Reader{Term: 1}
		}
		if v, err := r.Read(domain.Offset(i%n), values[i%n]); v != Accepted || err != nil {
			b.Fatal(v, err)
		}
		i++
	}
}
