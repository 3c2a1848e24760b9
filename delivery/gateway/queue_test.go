package gateway

import (
	"testing"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
)

// A queue under any mix of pushes, skips, keys (late ones and those of other connections included) keeps its marks in order, and what it
// counts as unacknowledged is what was shown above the acknowledged seq.
func TestQueueLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := domain.Seq(rapid.IntRange(0, 50).Draw(t, "start"))
		q := &queue{acked: start, pushed: start, target: start, hold: start + domain.Seq(rapid.IntRange(0, 10).Draw(t, "hold"))}
		shownAt := map[domain.Seq]int{} // by the frame's end
		acknowledged := 0
		total := 0
		steps := rapid.IntRange(1, 200).Draw(t, "steps")
		for range steps {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0: // the stream grows
				q.target += domain.Seq(rapid.IntRange(0, 5).Draw(t, "grow"))
			case 1: // a page
				if q.pushed >= q.target {
					continue
				}
				end := q.pushed + domain.Seq(rapid.IntRange(1, int(q.target-q.pushed)).Draw(t, "page"))
				shown := rapid.IntRange(0, int(end-q.pushed)).Draw(t, "shown")
				q.passed(end, shown)
				if shown > 0 {
					shownAt[end] = shown
					total += shown
				}
			case 2: // a key of this connection
				acknowledged += q.ack(domain.Seq(rapid.Uint64Range(0, uint64(q.pushed)).Draw(t, "key")))
			case 3: // a key of another connection, or nonsense
				acknowledged += q.ack(domain.Seq(rapid.Uint64().Draw(t, "stray")))
			}
			check(t, q, start)
		}
		if got := q.outstanding() + acknowledged; got != total {
			t.Fatalf("%d shown, but %d acknowledged and %d outstanding", total, acknowledged, q.outstanding())
		}
		acknowledged += q.ack(q.target)
		if q.outstanding() != 0 || acknowledged != total || q.acked != q.target {
			t.Fatalf("after the last key: %d outstanding, %d of %d acknowledged, acked %d of %d", q.outstanding(), acknowledged, total, q.acked, q.target)
		}
	})
}

func check(t *rapid.T, q *queue, start domain.Seq) {
	t.Helper()
	if q.acked < start || q.acked > q.pushed || q.pushed > q.target {
		t.Fatalf("acked %d, pushed %d, target %d", q.acked, q.pushed, q.target)
	}
	last := q.acked
	for _, f := range q.frames {
		if f.end <= last || f.end > q.pushed || f.shown <= 0 {
			t.Fatalf("frame to %d (%d shown) after %d, pushed %d", f.end, f.shown, last, q.pushed)
		}
		last = f.end
	}
	if len(q.frames) == 0 && q.acked != q.pushed {
		t.Fatalf("nothing outstanding, but acked %d and pushed %d", q.acked, q.pushed)
	}
	if end := q.pageEnd(); end > q.target || q.holding() && end > q.hold {
		t.Fatalf("page to %d: target %d, hold %d", end, q.target, q.hold)
	}
	if q.live() && q.behind() {
		t.Fatal("live and behind at once")
	}
}

func TestQueueStates(t *testing.T) {
	for _, c := range []struct {
		name         string
		q            queue
		live, behind bool
	}{
		{"caught up", queue{acked: 3, pushed: 3, target: 3}, true, false},
		{"more to come", queue{acked: 3, pushed: 3, target: 4}, false, true},
		{"listed: the client pulls", queue{pushed: 3, target: 4, listed: true}, false, false},
		{"listed and pulled", queue{pushed: 3, target: 4, listed: true, pulling: true}, false, true},
		{"listed, nothing to come", queue{pushed: 4, target: 4, listed: true}, false, false},
		{"not placed yet", queue{target: 4, loading: true}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.q.live() != c.live || c.q.behind() != c.behind {
				t.Fatalf("live %v, behind %v", c.q.live(), c.q.behind())
			}
		})
	}
}

func TestCapCountsMessages(t *testing.T) {
	for _, c := range []struct {
		name string
		seq  domain.Seq
		n    uint64
		want domain.Seq
	}{
		{"nothing yet", 0, 0, 10},
		{"messages alone", 100, 100, 10},
		{"delivery and read receipts", 300, 100, 30},
		{"a few receipts", 101, 100, 20},
		{"mostly commands", 10_000, 1, 40},
		{"only commands", 100, 0, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := withReceipts(10, &conversation.Head{Seq: c.seq, N: c.n}); got != c.want {
				t.Fatalf("%d entries, want %d", got, c.want)
			}
		})
	}
}
