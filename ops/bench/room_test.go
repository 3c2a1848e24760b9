package bench

import (
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/delivery/gateway/client"
	"parley/schemas/msync"
)

// roomOf makes a room of two senders without sessions, with two viewers who check and one who counts.
func roomOf(t *testing.T) *room {
	t.Helper()
	cfg := DefaultRoom()
	cfg.Senders, cfg.Viewers, cfg.Rate, cfg.Duration, cfg.Warmup = 2, 3, 100, time.Second, 0
	r := newRoom(cfg, io.Discard)
	r.id = "77"
	for i := range 2 {
		s := &speaker{r: r, index: i, name: string(rune('a' + i))}
		if err := s.prepare(); err != nil {
			t.Fatal(err)
		}
		r.senders = append(r.senders, s)
	}
	for i := range 3 {
		v := newViewer(r, string(rune('x'+i)), "")
		if i < 2 {
			v.check()
		}
		r.viewers = append(r.viewers, v)
	}
	return r
}

// show lets a viewer see messages in one frame.
func (r *room) show(t *testing.T, v *viewer, last bool, fates ...fate) {
	t.Helper()
	p := msync.Page{Queue: msync.Queue{AppKey: "a#b", Name: r.id, Domain: msync.GroupDomain}, IsLast: last}
	for _, f := range fates {
		s := r.senders[f.sender]
		s.fill(f.seq, 0)
		p.Metas = append(p.Metas, msync.AppendMeta(nil, &msync.MetaHeader{
			ID: f.id, AppKey: "a#b", From: s.name, To: r.id, Timestamp: 1, NS: msync.Meta_CHAT,
		}, s.out.Payload, nil, nil))
	}
	if err := v.onFrame(msync.AppendPage(nil, &p)); err != nil {
		t.Fatal(err)
	}
}

// verdict makes the report of what has been shown.
func (r *room) verdict() *RoomReport {
	rep := &RoomReport{Refused: map[string]int{}, Viewers: 3, Checkers: 2}
	acked := r.judge(rep)
	r.measured(rep)
	for _, v := range r.viewers {
		v.addTo(rep, &r.book, acked)
	}
	return rep
}

// TestRoomJudge holds the judge of rooms to finding each fault, at those who check and at those who count.
func TestRoomJudge(t *testing.T) {
	good := []fate{{0, 0, 10}, {1, 0, 11}, {0, 1, 12}}
	for _, tc := range []struct {
		name    string
		checked []fate // by one of those who check
		counted []fate
		want    string // what Err complains of
	}{
		{"all is well", good, good, ""},
		{"one is lost", good[:2], good, "1 acknowledged and lost"},
		{"one is lost where it is only counted", good, good[:2], "1 acknowledged and lost"},
		{"one came twice", append(good[:3:3], good[2]), good, "1 received twice"},
		{"one came twice where it is only counted", good, append(good[:3:3], good[2]), "1 received more than was acknowledged"},
		{"another order", []fate{good[1], good[0], good[2]}, good, "1 out of order"},
		{"a sender's own order", []fate{{0, 1, 12}, good[1], {0, 0, 13}}, good, "out of order"},
		{"another id", []fate{good[0], good[1], {0, 1, 14}}, good, "1 under two ids"},
		{"one that was refused", append(good[:3:3], fate{1, 1, 15}), good, "1 refused and received"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := roomOf(t)
			for _, f := range good {
				s := r.senders[f.sender]
				s.sent++
				s.onAnswer(f.seq, 0, &client.Ack{Code: msync.Status_OK, ServerID: f.id}, nil)
			}
			r.senders[1].sent++
			r.senders[1].onAnswer(1, 0, &client.Ack{Code: msync.Status_PERMISSION_DENIED, Reason: "traffic limit"}, nil)
			r.show(t, r.viewers[0], true, good...)
			r.show(t, r.viewers[1], true, tc.checked...)
			r.show(t, r.viewers[2], true, tc.counted...)
			rep := r.verdict()
			if rep.Acked != 3 || rep.Expected != 9 || total(rep.Refused) != 1 || rep.Unanswered != 0 {
				t.Errorf("%+v", rep)
			}
			if err := rep.Err(); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// TestRoomFrames holds it to noticing frames that are not a room's.
func TestRoomFrames(t *testing.T) {
	r := roomOf(t)
	v := r.viewers[0]
	r.show(t, v, false, fate{0, 0, 10}) // it would be acknowledged
	r.id = "78"
	r.show(t, v, true, fate{0, 1, 11})
	if v.checker.got.strange != 1 {
		t.Errorf("%d strangers", v.checker.got.strange)
	}
	other := msync.Page{Queue: msync.Queue{Name: "79"}, IsLast: true, Metas: [][]byte{
		msync.AppendMeta(nil, &msync.MetaHeader{ID: 1, AppKey: "a#b", From: "z", To: "79", NS: msync.Meta_CHAT}, []byte("something else"), nil, nil),
	}}
	if err := v.onFrame(msync.AppendPage(nil, &other)); err != nil || v.checker.got.strange != 3 { // both another room's and of nobody
		t.Errorf("%v, %d strangers", err, v.checker.got.strange)
	}
	if err := v.onFrame([]byte{0xff}); err == nil {
		t.Error("what is no frame passed")
	}
}

// TestResume holds readers who come back to telling what they may see again from what they may not.
func TestResume(t *testing.T) {
	b := newBook([]byte("pb"), 0, 2, 100)
	for _, tc := range []struct {
		name                     string
		before, after            []fate
		again, repeats, disorder int
	}{
		{"nothing again", []fate{{0, 0, 10}}, []fate{{0, 1, 11}}, 0, 0, 0},
		{"what was not acknowledged", []fate{{0, 0, 10}, {1, 0, 11}}, []fate{{0, 0, 10}, {1, 0, 11}, {0, 1, 12}}, 2, 0, 0},
		{"again in another order", []fate{{0, 0, 10}, {1, 0, 11}}, []fate{{1, 0, 11}, {0, 0, 10}}, 1, 1, 0},
		{"twice since then", []fate{{0, 0, 10}}, []fate{{0, 0, 10}, {0, 0, 10}}, 1, 1, 0},
		{"older after newer", []fate{{0, 1, 11}}, []fate{{0, 2, 12}, {0, 0, 10}}, 0, 0, 1},
		{"what was missed", []fate{{0, 0, 10}, {0, 2, 12}}, []fate{{0, 1, 11}, {0, 2, 12}}, 1, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fresh := newBook(b.tag, 0, 2, 100)
			tr := newTray(&fresh)
			for _, f := range tc.before {
				tr.add(&fresh, f.sender, f.seq, f.id)
			}
			tr.resume()
			for _, f := range tc.after {
				tr.add(&fresh, f.sender, f.seq, f.id)
			}
			if tr.again != tc.again || tr.repeats != tc.repeats || tr.disorder != tc.disorder || tr.differ != 0 {
				t.Errorf("%d again, %d repeats, %d out of order, %d differ", tr.again, tr.repeats, tr.disorder, tr.differ)
			}
		})
	}
	own := newTally(10)
	for _, seq := range []int{0, 1, 2} {
		own.add(seq)
	}
	own.resume()
	for _, seq := range []int{1, 2, 3, 3} {
		own.add(seq)
	}
	if own.again != 2 || own.repeats != 1 || own.disorder != 0 {
		t.Errorf("%+v", own)
	}
}

// TestRejoin holds a viewer who joins again to taking the newest, which follow the answer, for shown again and not for repeated.
func TestRejoin(t *testing.T) {
	r := roomOf(t)
	v := r.viewers[0]
	r.show(t, v, true, fate{0, 0, 10}, fate{1, 0, 11})
	v.joining.Store(7)
	r.show(t, v, true, fate{0, 1, 12}) // on its way when it asked
	if err := v.onFrame(msync.AppendAck(nil, &msync.Ack{MetaID: 7})); err != nil {
		t.Fatal(err)
	}
	r.show(t, v, true, fate{1, 0, 11}, fate{0, 1, 12}, fate{0, 2, 13})
	if got := &v.checker.got; got.again != 2 || got.repeats+got.disorder != 0 {
		t.Errorf("%d again, %d repeats, %d out of order", got.again, got.repeats, got.disorder)
	}
	r.show(t, v, true, fate{0, 2, 13})
	if v.checker.got.repeats != 1 {
		t.Error("a repeat passed")
	}
}

// TestAwaitMore holds it to waiting while something comes, and no longer.
func TestAwaitMore(t *testing.T) {
	for _, tc := range []struct {
		name string
		so   int64 // it is so when so many have come
		come int64 // so many come
		want int64
	}{{"all comes", 5, 9, 5}, {"some is lost", 5, 3, 3}, {"nothing comes", 5, 0, 0}, {"nothing is awaited", 0, 9, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				come := func() int64 { return min(int64(time.Since(begin)/(900*time.Millisecond)), tc.come) }
				awaitMore(t.Context(), time.Second, func() bool { return come() >= tc.so }, come)
				if got := come(); got != tc.want || time.Since(begin) > 6*time.Second {
					t.Errorf("%d had come after %s", got, time.Since(begin))
				}
			})
		})
	}
}

func TestValidateRoomAndSoak(t *testing.T) {
	c := DefaultRoom()
	c.Viewers, c.Senders, c.Rate, c.Priority, c.Churn, c.Settle = 0, 101, 0, "urgent", -1, -1
	s := DefaultSoak()
	s.Every, s.Tolerance, s.Group.Churn = 0, 0, 20
	for err, names := range map[error][]string{
		c.Validate(): {"viewers: ", "senders: ", "rate: ", "priority: ", "churn: ", "settle: ", "app, client_id"},
		func() error { s.Every = time.Hour; return s.Validate() }(): {"sample: ", "tolerance: ", "churn: ", "app, client_id"},
	} {
		for _, name := range names {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%q is not told: %v", name, err)
			}
		}
	}
	for _, s := range []SoakConfig{DefaultSoak(), ShortSoak()} {
		s.Target = Target{App: "a#b", ClientID: "i", ClientSecret: "s", REST: "http://127.0.0.1:1", WS: "ws://127.0.0.1:1/ws", Admin: "http://127.0.0.1:2"}
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// TestRoomReport holds a run to failing when anything is wrong, one fault at a time.
func TestRoomReport(t *testing.T) {
	if err := (&RoomReport{Sent: 5, Acked: 5, Refused: map[string]int{"traffic limit": 3}}).Err(); err != nil {
		t.Errorf("refusals are the server's right: %v", err)
	}
	for _, r := range []RoomReport{
		{Lost: 1},
		{Surplus: 1},
		{Refuted: 1},
		{Repeats: 1},
		{Disorder: 1},
		{Differ: 1},
		{Strange: 1},
		{Unanswered: 1},
		{Unsent: 1},
		{Broken: []string{"x"}},
		{Unrest: Unrest{Failed: []string{"x"}}},
	} {
		if r.Err() == nil {
			t.Errorf("%+v passed", r)
		}
	}
	var b strings.Builder
	if err := (&RoomReport{Acked: 2, Seen: 1, Shed: map[string]int64{`reason="rate"`: 4}}).Print(&b); err != nil ||
		!strings.Contains(b.String(), "NO: 2, 1") || !strings.Contains(b.String(), `4 x reason="rate"`) {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestLevels holds a soak to telling what grows from what goes up and down.
func TestLevels(t *testing.T) {
	up := func(n int, of func(i int) int64) (out []int64) {
		for i := range n {
			out = append(out, of(i))
		}
		return out
	}
	for _, tc := range []struct {
		name   string
		values []int64
		flat   bool
	}{
		{"still", up(30, func(int) int64 { return 100 }), true},
		{"a start and then still", up(30, func(i int) int64 { return min(int64(i)*100, 900) }), true},
		{"up and down", up(300, func(i int) int64 { return int64(i%20) * 50 }), true},
		{"one peak", up(30, func(i int) int64 { return map[bool]int64{true: 10_000, false: 100}[i == 29] }), true},
		{"growing", up(30, func(i int) int64 { return int64(i) * 100 }), false},
		{"a step", up(30, func(i int) int64 { return map[bool]int64{true: 1000, false: 100}[i >= 20] }), false},
	} {
		if l := levelOf(tc.name, tc.values, 10, 0.1); l.Flat != tc.flat {
			t.Errorf("%s: %+v", tc.name, l)
		}
	}
}

// TestSoakReport holds a soak to failing when a part of it does, and prints it.
func TestSoakReport(t *testing.T) {
	good := func() *SoakReport {
		r := &SoakReport{Duration: time.Minute, Tolerance: 0.1, Direct: &DirectReport{}, Group: &GroupReport{}, Room: &RoomReport{}}
		for i := range 30 {
			r.Samples = append(r.Samples, Sample{At: time.Duration(i), RSS: 100 << 20, InUse: 50 << 20, Goroutines: 100, Files: 50})
		}
		return r
	}
	r := good()
	r.judge(100)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	var b strings.Builder
	if err := r.Print(&b); err != nil || strings.Count(b.String(), "flat") != 9 {
		t.Errorf("%v: %s", err, b.String())
	}
	for name, spoil := range map[string]func(*SoakReport){
		"direct": func(r *SoakReport) { r.Direct.Lost = 1 }, "group": func(r *SoakReport) { r.Group.Repeats = 1 },
		"room":             func(r *SoakReport) { r.Room.Disorder = 1 },
		"group end to end": func(r *SoakReport) { r.Group.ArrivalByTime[3].P50 = 2 * time.Second },
		"goroutines": func(r *SoakReport) {
			for i := range r.Samples {
				r.Samples[i].Goroutines += int64(i * 10)
			}
		},
	} {
		r := good()
		spoil(r)
		r.judge(100)
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBudgets holds the table to telling what was missed, and what could not be run.
func TestBudgets(t *testing.T) {
	if f := within("x", time.Millisecond, time.Millisecond); !f.OK {
		t.Errorf("%+v", f)
	}
	if f := within("x", time.Millisecond+1, time.Millisecond); f.OK {
		t.Errorf("%+v", f)
	}
	if f := level([4]int64{10, 40, 20, 60}); !f.OK {
		t.Errorf("%+v", f)
	}
	if f := level([4]int64{10, 40, 20, 61}); f.OK {
		t.Errorf("%+v", f)
	}
	if f := reached(1000, 979); f.OK {
		t.Errorf("%+v", f)
	}
	r := &AllReport{Rows: []Outcome{{Name: "a", Work: "work a", Figures: []Figure{within("p99", 2*time.Millisecond, time.Millisecond), reached(10, 10)}}}}
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "a: p99: 2.00 ms, budget <= 1.00 ms") {
		t.Error(err)
	}
	var b strings.Builder
	if err := r.Print(&b); err != nil || strings.Count(b.String(), "MISSED") != 1 || strings.Count(b.String(), " ok") != 1 {
		t.Errorf("%v: %s", err, b.String())
	}
	if (&AllReport{Rows: []Outcome{{Failed: "no server"}}}).Err() == nil {
		t.Error("a row that was not run passed")
	}
	c := AllConfig{Only: []string{"room-40", "nothing"}}
	if _, err := c.rows(); err == nil || !strings.Contains(err.Error(), "login") {
		t.Error(err)
	}
	c.Only = c.Only[:1]
	if rows, err := c.rows(); err != nil || len(rows) != 1 {
		t.Errorf("%v %v", rows, err)
	}
}

// TestStartServer holds it to saying what a server that does not come up has said, and to leaving nothing behind.
func TestStartServer(t *testing.T) {
	dir := t.TempDir()
	_, err := StartServer(t.Context(), "/bin/false", dir)
	if err == nil || !strings.Contains(err.Error(), "it has ended") {
		t.Error(err)
	}
	if _, err := StartServer(t.Context(), dir+"/none", dir); err == nil {
		t.Error("nothing was started")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
}
