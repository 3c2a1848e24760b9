package ruletest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/domain"
)

// Vocabulary is how scenarios of some rules are written.
type Vocabulary struct {
	Rules  domain.Rules
	Stream domain.StreamID // where scenarios happen that name no stream
	// Command makes the command that a line names.
	Command func(Line) (domain.Command, error)
	// Event writes an event's body.
	Event func(*Line, domain.Body)
	// Row writes a row, for `row` lines; nil rows are not passed.
	Row func(*Line, domain.Row)
}

// RunScenarios runs the scenarios of a text, which reads like this:
//
//	scenario the first message
//	given <command>          has happened, and was accepted
//	at 61s                   the time since the start, from here on; it grows by a millisecond per command
//	when <command>           what the lines below follow from
//	then <event>             one line per event, in order, or: refused <code>, repeat #3 seq=2, nothing
//	row m/ann <fields>       what a row holds then
//
// A command or event is a word and fields "key=value"; a field without a value is true. #3 is the id of the stream's third event.
func RunScenarios(t *testing.T, text string, v Vocabulary) {
	t.Helper()
	scenarios := strings.Split("\n"+text, "\nscenario ")[1:]
	if len(scenarios) == 0 {
		t.Fatal("no scenarios")
	}
	for _, part := range scenarios {
		name, body, _ := strings.Cut(part, "\n")
		t.Run(name, func(t *testing.T) { v.run(t, strings.Split(body, "\n")) })
	}
}

type run struct {
	Vocabulary
	s    *Stream
	now  time.Time
	got  []string // what followed from the last `when`
	want []string
}

func (v Vocabulary) run(t *testing.T, lines []string) {
	r := &run{Vocabulary: v, s: NewStream(v.Rules, v.Stream), now: domain.T(0).Time()}
	for _, text := range lines {
		text, _, _ = strings.Cut(text, "//")
		word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		rest = strings.Join(strings.Fields(rest), " ")
		if word != "then" && word != "row" && word != "" {
			r.settle(t)
		}
		switch word {
		case "":
		case "stream":
			r.s = NewStream(v.Rules, domain.StreamID(rest))
		case "at":
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			r.now = domain.T(0).Time().Add(d)
		case "given":
			if out := r.do(t, rest); len(out) == 1 && !strings.HasPrefix(out[0], "#") {
				t.Fatalf("given %s: %s", rest, out[0])
			}
		case "when":
			r.got = r.do(t, rest)
		case "then":
			r.want = append(r.want, rest)
		case "row":
			r.row(t, rest)
		default:
			t.Fatalf("what is %q?", text)
		}
	}
	r.settle(t)
}

func (r *run) settle(t *testing.T) {
	t.Helper()
	if !slices.Equal(r.got, r.want) {
		t.Errorf("got\n  then %s\nwant\n  then %s", strings.Join(r.got, "\n  then "), strings.Join(r.want, "\n  then "))
	}
	r.got, r.want = nil, nil
}

func (r *run) do(t *testing.T, text string) []string {
	t.Helper()
	line := parse(text)
	line.s = r.s
	cmd, err := r.Command(line)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if left := line.unread(); len(left) > 0 {
		t.Fatalf("%s: what are %q?", text, left)
	}
	r.now = r.now.Add(time.Millisecond)
	d, events, err := r.s.Do(cmd, r.now)
	switch {
	case err != nil:
		return []string{"refused " + string(domain.CodeOf(err))}
	case d.Repeat:
		return []string{fmt.Sprintf("repeat %s seq=%d", r.s.Name(d.T), d.Seq)}
	case len(events) == 0:
		return []string{"nothing"}
	}
	var out []string
	for _, ev := range events {
		l := Line{Word: r.s.Name(ev.T), s: r.s}
		if ev.Seq != 0 {
			l.Add("seq", uint64(ev.Seq))
		}
		l.Flag(ev.Body.EventName(), true)
		r.Event(&l, ev.Body)
		out = append(out, l.String())
	}
	return out
}

func (r *run) row(t *testing.T, text string) {
	t.Helper()
	id, want, _ := strings.Cut(text, " ")
	part := domain.PartID(id)
	if id == "head" {
		part = domain.PartHead
	}
	got := Line{Word: "none"}
	if row := r.s.Rows[part]; row != nil {
		got = Line{Word: row.RowName(), s: r.s}
		r.Row(&got, row)
	}
	if got.String() != want {
		t.Errorf("row %s\n got %s\nwant %s", id, got.String(), want)
	}
}

// Name returns "#n" for the id of the stream's nth event, and none for 0.
func (s *Stream) Name(t domain.T) string {
	if t == 0 {
		return "none"
	}
	i := slices.IndexFunc(s.Events, func(ev domain.Event) bool { return ev.T == t })
	return "#" + strconv.Itoa(i+1)
}
