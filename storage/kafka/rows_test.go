package kafka

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"parley/domain"
	"parley/domain/fence"
)

// row is a line of the table in the package comment.
type row struct {
	class, fence, shownOn string
}

// rows are the lines of the table that are shown on one kind of broker, by what happens. The test fails when one of them is not shown.
type rows struct {
	lines map[string]row
	shown map[string]bool
}

func rowsOf(t *testing.T, kind string) *rows {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	r := &rows{map[string]row{}, map[string]bool{}}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimPrefix(strings.TrimSpace(line), "//"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) == 4 && cells[3] == kind {
			r.lines[cells[0]] = row{cells[1], cells[2], cells[3]}
		}
	}
	if len(r.lines) == 0 {
		t.Fatalf("the table has no line shown on %q", kind)
	}
	return r
}

// all wants every line to have been shown.
func (r *rows) all(t *testing.T) {
	t.Helper()
	for what := range r.lines {
		if !r.shown[what] {
			t.Errorf("not shown: %s", what)
		}
	}
}

// line is what the table says.
func (r *rows) line(t *testing.T, what string) row {
	t.Helper()
	line, ok := r.lines[what]
	if !ok {
		t.Fatalf("the table lacks %q", what)
	}
	r.shown[what] = true
	return line
}

// append holds the error of an append against the table.
func (r *rows) append(t *testing.T, what string, err error) {
	t.Helper()
	line := r.line(t, what)
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	if got := name(ClassOf(err)); got != line.class {
		t.Errorf("%s: class %s, the table says %s: %v", what, got, line.class, err)
	}
	if got := afterAppend(t, err); got != line.fence {
		t.Errorf("%s: the fence will %s, the table says %s: %v", what, got, line.fence, err)
	}
	t.Logf("%s: %v", what, err)
}

// read holds the error of a read against the table.
func (r *rows) read(t *testing.T, what string, err error) {
	t.Helper()
	line := r.line(t, what)
	if got := afterRead(t, err); err == nil || got != line.fence {
		t.Errorf("%s: the fence will %s, the table says %s: %v", what, got, line.fence, err)
	}
	t.Logf("%s: %v", what, err)
}

func name(c Class) string {
	return map[Class]string{
		Unknown: "Unknown", NotWritten: "NotWritten", Sequence: "Sequence", Deposed: "Deposed", Content: "Content",
	}[c]
}

// owning is a fence that owns an empty partition under term 1.
func owning(t *testing.T) *fence.Owner {
	t.Helper()
	o := fence.NewOwner(fence.Reader{}, fence.Config{Claim: func() []byte { return []byte("claim") }})
	o.OnRing(0, fence.NamedAtOnce)
	o.OnRead(0, o.Next(0).ID, nil, 0)
	claim := o.Next(0)
	o.OnAppend(0, claim.ID, fence.Landed, 0)
	o.OnRead(0, o.Next(0).ID, []domain.LogRecord{{Value: claim.Batch.Values[0]}}, 1)
	if !o.Idle() {
		t.Fatal("the fence does not own")
	}
	return o
}

// afterAppend is what a fence does when an append ends so. What the error means to it is said as ingest/shard says it.
func afterAppend(t *testing.T, err error) string {
	t.Helper()
	o := owning(t)
	if _, err := o.Propose([][]byte{nil}, [][]byte{make([]byte, fence.HeaderSize)}); err != nil {
		t.Fatal(err)
	}
	outcome := fence.Unknown
	if errors.Is(err, domain.ErrRefused) {
		outcome = fence.Refused
	}
	o.OnAppend(0, o.Next(0).ID, outcome, 0)
	for now := time.Duration(0); now < time.Minute; now += 10 * time.Millisecond {
		switch a := o.Next(now); {
		case a.Do == fence.DoRead:
			o.OnRead(now, a.ID, nil, 1)
		case a.Do == fence.DoAppend && a.Batch.Plain:
			return "read, claim"
		case a.Do == fence.DoAppend:
			return "send again"
		}
	}
	return "rest"
}

// afterRead is what a fence does when a read ends so.
func afterRead(t *testing.T, err error) string {
	t.Helper()
	o := owning(t)
	o.OnReadFailed(0, o.Next(time.Minute).ID, err)
	if o.Err() != nil {
		return "halt"
	}
	if a := o.Next(2 * time.Minute); a.Do == fence.DoRead {
		return "read again"
	}
	return "rest"
}

// TestToldRows shows the lines that real brokers cannot be brought to: a broker is told to answer so.
func TestToldRows(t *testing.T) {
	table := rowsOf(t, "told")
	k := cluster(t)
	l := openLog(t, options(k))
	for what, c := range map[string]struct {
		code *kerr.Error
		base int64
	}{
		"[20] too few replicas after the append": {kerr.NotEnoughReplicasAfterAppend, -1},
		"[-1] unknown server error":              {kerr.UnknownServerError, -1},
		"any other code, base offset 0 or more":  {kerr.KafkaStorageError, 5},
		"any other code, base offset -1":         {kerr.KafkaStorageError, -1},
		"[46] sequence seen before":              {kerr.DuplicateSequenceNumber, -1},
		"[59] unknown producer":                  {kerr.UnknownProducerID, -1},
		"[90] fenced producer":                   {kerr.ProducerFenced, -1},
		"[42] malformed request":                 {kerr.InvalidRequest, -1},
		"[43] format is not taken":               {kerr.UnsupportedForMessageFormat, -1},
		"[76] compression is not taken":          {kerr.UnsupportedCompressionType, -1},
	} {
		k.ControlKey(int16(kmsg.Produce), answer(c.code.Code, c.base))
		_, err := l.Append(t.Context(), 1, commit(1, 0, "v"))
		table.append(t, what, err)
	}
	table.all(t)
}

// answer makes a broker answer the next Produce request with a code and write nothing.
func answer(code int16, base int64) func(kmsg.Request) (kmsg.Response, error, bool) {
	return func(r kmsg.Request) (kmsg.Response, error, bool) {
		req := r.(*kmsg.ProduceRequest)
		res := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range req.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.Partition, partition.ErrorCode, partition.BaseOffset = p.Partition, code, base
				topic.Partitions = append(topic.Partitions, partition)
			}
			res.Topics = append(res.Topics, topic)
		}
		return res, nil, true
	}
}
