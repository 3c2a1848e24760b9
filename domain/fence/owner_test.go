package fence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/domain"
)

// TestOwnerScenarios plays the stories in testdata/owner. A line that is not indented is what the shell does; the indented lines below it are
// what the Owner answers. PARLEY_UPDATE=1 writes the answers anew, to be read before they are committed.
//
//	ring no|named|at-once       what the ring says
//	time 50ms                   time passes
//	next                        ask for the next action
//	read END RECORD...          answer the read: the log's end and records from the wanted offset on
//	read-fails [truncated]      answer the read with an error
//	landed BASE, unknown, refused [ACTION]   answer the append, or an earlier one by its number
//	propose BODY...             propose a batch of these bodies
//	checkpoint NEXT TERM INDEX  start from there (first line only)
//
// A RECORD is mine (the claim last sent), claim:TERM, own:N (the batch's n-th record), or TERM.INDEX (a commit of another).
func TestOwnerScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/owner/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newStory().play(t, string(text))
			if os.Getenv("PARLEY_UPDATE") != "" {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(text) {
				t.Errorf("it goes otherwise:\n%s", got)
			}
		})
	}
}

type story struct {
	o      *Owner
	now    time.Duration
	nonces int
	read   Action
	append Action
	mine   []byte
	batch  [][]byte
}

func newStory() *story {
	s := &story{}
	s.start(Reader{})
	return s
}

func (s *story) start(from Reader) {
	s.o = NewOwner(from, Config{Claim: func() []byte { s.nonces++; return fmt.Appendf(nil, "nonce %d", s.nonces) }})
}

func (s *story) play(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || line[0] == '#' {
			continue
		}
		for _, answer := range s.do(t, strings.Fields(line)) {
			fmt.Fprintf(&out, "  %s\n", answer)
		}
	}
	return out.String()
}

func (s *story) do(t *testing.T, words []string) []string {
	t.Helper()
	switch words[0] {
	case "checkpoint":
		var next, term, index uint64
		scan(t, words[1:], &next, &term, &index)
		s.start(readerAt(domain.Offset(next), term, index, 0))
	case "ring":
		s.o.OnRing(s.now, map[string]Ring{"no": NotNamed, "named": Named, "at-once": NamedAtOnce}[words[1]])
	case "time":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		s.now += d
	case "next":
		return []string{s.next()}
	case "read":
		return s.effects(s.o.OnRead(s.now, s.read.ID, s.records(t, words[2:]), domain.Offset(number(t, words[1]))))
	case "read-fails":
		err := errors.New("no answer")
		if len(words) > 1 {
			err = fmt.Errorf("read: %w", &domain.TruncatedError{Wanted: s.read.From, Start: s.read.From + 1})
		}
		return s.effects(s.o.OnReadFailed(s.now, s.read.ID, err))
	case "landed":
		return s.effects(s.o.OnAppend(s.now, s.attempt(t, words[2:]), Landed, domain.Offset(number(t, words[1]))))
	case "unknown":
		return s.effects(s.o.OnAppend(s.now, s.attempt(t, words[1:]), Unknown, 0))
	case "refused":
		return s.effects(s.o.OnAppend(s.now, s.attempt(t, words[1:]), Refused, 0))
	case "propose":
		return s.propose(words[1:])
	default:
		t.Fatalf("what is %q?", words[0])
	}
	return nil
}

func scan(t *testing.T, words []string, to ...*uint64) {
	t.Helper()
	for i, p := range to {
		*p = number(t, words[i])
	}
}

func number(t *testing.T, word string) (n uint64) {
	t.Helper()
	if _, err := fmt.Sscan(word, &n); err != nil {
		t.Fatalf("%q: %v", word, err)
	}
	return n
}

func (s *story) attempt(t *testing.T, words []string) ActionID {
	t.Helper()
	if len(words) == 0 {
		return s.append.ID
	}
	return ActionID(number(t, words[0]))
}

func (s *story) propose(bodies []string) []string {
	var values [][]byte
	for _, b := range bodies {
		values = append(values, append(make([]byte, HeaderSize), b...))
	}
	id, err := s.o.Propose(make([][]byte, len(values)), values)
	if err != nil {
		return []string{err.Error()}
	}
	s.batch = values
	return []string{fmt.Sprintf("batch %d", id)}
}

// records makes what the read returns; commits of others continue the running checksum as their writer would.
func (s *story) records(t *testing.T, words []string) []domain.LogRecord {
	t.Helper()
	at := s.o.Position()
	var records []domain.LogRecord
	for i, w := range words {
		rec := domain.LogRecord{Offset: s.read.From + domain.Offset(i), Value: s.record(t, w, at)}
		_, _ = at.Read(rec.Offset, rec.Value)
		records = append(records, rec)
	}
	return records
}

func (s *story) record(t *testing.T, word string, at Reader) []byte {
	t.Helper()
	kind, arg, _ := strings.Cut(word, ":")
	switch kind {
	case "mine":
		return s.mine
	case "claim":
		return append(AppendHeader(nil, Header{Term: domain.Term(number(t, arg))}), "other's nonce"...)
	case "own":
		return s.batch[number(t, arg)]
	default:
		term, index, _ := strings.Cut(word, ".")
		return AppendHeader(nil, Header{Term: domain.Term(number(t, term)), Index: domain.Index(number(t, index)), Prev: at.Prev})
	}
}

func (s *story) next() string {
	a := s.o.Next(s.now)
	switch a.Do {
	case DoRead:
		s.read = a
		return fmt.Sprintf("%d: read from %d, wait %v", a.ID, a.From, a.Wait.Round(time.Millisecond))
	case DoAppend:
		s.append = a
		h, _ := ParseHeader(a.Batch.Values[0])
		if h.IsClaim() {
			s.mine = slices.Clone(a.Batch.Values[0])
			return fmt.Sprintf("%d: claim term %d (%s), expect %d", a.ID, h.Term, s.mine[HeaderSize:], a.Expected)
		}
		return fmt.Sprintf("%d: append %d records from index %d, term %d, sequence %d, expect %d",
			a.ID, len(a.Batch.Values), h.Index, h.Term, a.Batch.Sequence, a.Expected)
	case DoRest:
	}
	return fmt.Sprintf("rest %v", a.Wait.Round(time.Millisecond))
}

func (s *story) effects(effects []Effect) (lines []string) {
	for _, e := range effects {
		switch e := e.(type) {
		case CommitsRead:
			lines = append(lines, "read"+places(e.Records))
		case Acked:
			lines = append(lines, fmt.Sprintf("acked batch %d:%s", e.Batch, places(e.Records)))
		case BatchVoid:
			line := fmt.Sprintf("void batch %d", e.Batch)
			if e.By != 0 {
				line += fmt.Sprintf(" by term %d", e.By)
			}
			lines = append(lines, line)
		case Owned:
			lines = append(lines, fmt.Sprintf("owned, term %d from index %d", e.Term, e.First))
		case Deposed:
			lines = append(lines, fmt.Sprintf("deposed by term %d", e.By))
		case Halted:
			lines = append(lines, "halted: "+e.Err.Error())
		}
	}
	return lines
}

func places(records []Record) (s string) {
	for _, r := range records {
		s += fmt.Sprintf(" %d.%d at %d", r.Header.Term, r.Header.Index, r.Offset)
		if r.After.Next != r.Offset+1 || r.After.Index != r.Header.Index || r.After.Term != r.Header.Term {
			s += fmt.Sprintf(" (but then %+v)", r.After)
		}
	}
	return s
}

func TestProposeRefuses(t *testing.T) {
	s := newStory()
	room := func(n int) [][]byte { return slices.Repeat([][]byte{make([]byte, HeaderSize)}, n) }
	if _, err := s.o.Propose(room(1), room(1)); !errors.Is(err, ErrNotIdle) {
		t.Errorf("a follower takes a batch: %v", err)
	}
	s.play(t, "ring at-once\nnext\nread 0\nnext\nlanded 0\nnext\nread 1 mine\n")
	if !s.o.Idle() || !s.o.Owns() {
		t.Fatal("not an idle owner")
	}
	for _, c := range []struct {
		name         string
		keys, values [][]byte
	}{
		{"nothing", nil, nil},
		{"a key too few", room(1), room(2)},
		{"a value without room", room(1), [][]byte{make([]byte, HeaderSize-1)}},
	} {
		if _, err := s.o.Propose(c.keys, c.values); !errors.Is(err, ErrBatch) || !s.o.Idle() {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
