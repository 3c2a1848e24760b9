package kafka

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"parley/domain"
)

// commit makes a batch of term with sequence and values.
func commit(term domain.Term, sequence uint64, values ...string) domain.Batch {
	b := domain.Batch{Term: term, Sequence: sequence}
	for _, v := range values {
		b.Keys, b.Values = append(b.Keys, []byte("k")), append(b.Values, []byte(v))
	}
	return b
}

func contents(t *testing.T, l *Log, p domain.Partition) string {
	t.Helper()
	_, end, err := l.Bounds(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for from := domain.Offset(0); from < end; {
		got, err := l.Read(t.Context(), p, from, 1<<20, time.Second)
		if err != nil || len(got) == 0 {
			t.Fatalf("read at %d: %d records, %v", from, len(got), err)
		}
		for _, r := range got {
			values = append(values, string(r.Value))
		}
		from += domain.Offset(len(got))
	}
	return fmt.Sprint(values)
}

// TestLostAnswers lets the broker do its work and lose the answer: the outcome is unknown, and sending a commit again does not double it.
func TestLostAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		code    *kerr.Error
		plain   bool
		fencing bool
		want    string
	}{
		{"time-out, commit", kerr.RequestTimedOut, false, true, "[a b]"},
		{"too few replicas, commit", kerr.NotEnoughReplicasAfterAppend, false, true, "[a b]"},
		{"time-out, plain", kerr.RequestTimedOut, true, true, "[a b a b]"},
		{"time-out, commit without fencing", kerr.RequestTimedOut, false, false, "[a b a b]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := cluster(t)
			o := options(k)
			o.Fencing = c.fencing
			l := openLog(t, o)
			fault := k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "parley.chats", Err: c.code, Count: 1})
			b := commit(1, 0, "a", "b")
			b.Plain = c.plain
			_, err := l.Append(t.Context(), 1, b)
			if err == nil || ClassOf(err) != Unknown || fault.Hits() != 1 {
				t.Fatalf("lost answer: %v, class %s, %d hits", err, ClassOf(err), fault.Hits())
			}
			base, err := l.Append(t.Context(), 1, b)
			if err != nil {
				t.Fatal(err)
			}
			if got := contents(t, l, 1); got != c.want {
				t.Errorf("the log holds %s, want %s", got, c.want)
			}
			if doubled := c.want != "[a b]"; doubled != (base == 2) || !doubled && base != 0 {
				t.Errorf("the repeat is at %d", base)
			}
		})
	}
}

// TestNoAnswer closes the connection in the middle of a request, and lets a broker be silent.
func TestNoAnswer(t *testing.T) {
	k := cluster(t)
	l := openLog(t, options(k))
	k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, errors.New("cut"), true
	})
	if _, err := l.Append(t.Context(), 1, commit(1, 0, "a")); err == nil || ClassOf(err) != Unknown {
		t.Fatalf("cut connection: %v", err)
	}
	k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := l.Append(ctx, 1, commit(1, 0, "a"))
	if !errors.Is(err, context.DeadlineExceeded) || ClassOf(err) != Unknown {
		t.Errorf("silent broker: %v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the append ended after %v", took)
	}
	if _, err := l.Append(t.Context(), 1, commit(1, 0, "a")); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, l, 1); got != "[a]" {
		t.Errorf("the log holds %s", got)
	}
}

// TestBrokerFences shows what brokers refuse when commits carry their hints.
func TestBrokerFences(t *testing.T) { fences(t, openLog(t, options(cluster(t)))) }

func fences(t *testing.T, l *Log) {
	t.Helper()
	step := func(what string, b domain.Batch, class Class, code error) {
		t.Helper()
		_, err := l.Append(t.Context(), 1, b)
		if class == "" && err != nil || class != "" && (ClassOf(err) != class || !errors.Is(err, code)) {
			t.Fatalf("%s: %v, want class %q", what, err, class)
		}
	}
	step("first commit of a term", commit(1, 0, "a", "b"), "", nil)
	step("next", commit(1, 2, "c"), "", nil)
	step("a gap", commit(1, 4, "gap"), Sequence, kafkago.OutOfOrderSequenceNumber)
	step("a repeat", commit(1, 2, "c"), "", nil)
	step("a new term in the middle", commit(2, 1, "middle"), Sequence, kafkago.OutOfOrderSequenceNumber)
	step("a new term", commit(2, 0, "d"), "", nil)
	step("the old term", commit(1, 3, "late"), Deposed, kafkago.InvalidProducerEpoch)
	step("a claim", domain.Batch{Plain: true, Keys: [][]byte{{}}, Values: [][]byte{[]byte("claim")}}, "", nil)
	step("the new term goes on", commit(2, 1, "e"), "", nil)
	if got := contents(t, l, 1); got != "[a b c d claim e]" {
		t.Errorf("the log holds %s", got)
	}
}

// TestLeaderMoves moves the partition to another broker: requests to the old one are refused, and soon the new one is found.
func TestLeaderMoves(t *testing.T) {
	k := cluster(t)
	l := openLog(t, options(k))
	sequence := uint64(0)
	for round := range 3 {
		node := (k.LeaderFor("parley.chats", 1) + 1) % 3
		if err := k.MoveTopicPartition("parley.chats", 1, node); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for {
			base, err := l.Append(t.Context(), 1, commit(1, sequence, "v"))
			if err == nil {
				if base != domain.Offset(round) {
					t.Fatalf("round %d: base %d", round, base)
				}
				break
			}
			if class := ClassOf(err); class != Unknown && class != NotWritten || time.Now().After(deadline) {
				t.Fatalf("round %d: %v", round, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		sequence++
	}
	if got := contents(t, l, 1); got != "[v v v]" {
		t.Errorf("the log holds %s", got)
	}
}

func TestTooLarge(t *testing.T) {
	l := openLog(t, options(cluster(t)))
	_, err := l.Append(t.Context(), 1, commit(1, 0, string(make([]byte, 2<<20))))
	if ClassOf(err) != Content {
		t.Errorf("a batch of 2 MiB: %v", err)
	}
	if _, err := l.Append(t.Context(), 1, domain.Batch{}); ClassOf(err) != Content {
		t.Errorf("an empty batch: %v", err)
	}
	if _, err := l.Append(t.Context(), 1000, commit(1, 0, "v")); ClassOf(err) != NotWritten {
		t.Errorf("a partition that is not there: %v", err)
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		base int64
		want Class
	}{
		{kafkago.NotLeaderForPartition, -1, NotWritten},
		{kafkago.NotLeaderForPartition, 0, Unknown},
		{kafkago.NotEnoughReplicas, -1, NotWritten},
		{kafkago.RequestTimedOut, -1, Unknown},
		{kafkago.NotEnoughReplicasAfterAppend, -1, Unknown},
		{kafkago.Unknown, -1, Unknown},
		{kafkago.OutOfOrderSequenceNumber, -1, Sequence},
		{kafkago.InvalidProducerEpoch, 0, Deposed},
		{kafkago.MessageSizeTooLarge, -1, Content},
		{errors.New("connection reset"), -1, Unknown},
	} {
		if got := classify(fmt.Errorf("wrapped: %w", c.err), c.base).Class; got != c.want {
			t.Errorf("%v with base offset %d is %s, want %s", c.err, c.base, got, c.want)
		}
	}
	if ClassOf(errors.New("foreign")) != Unknown {
		t.Error("a foreign error is not unknown")
	}
}

func TestEncode(t *testing.T) {
	raw, err := encode(commit(40_000, 1<<31+5, "v", "w"), hintOf(2049, commit(40_000, 1<<31+5)), 0)
	if err != nil {
		t.Fatal(err)
	}
	var b kmsg.RecordBatch
	if err := b.ReadFrom(raw[4:]); err != nil {
		t.Fatal(err)
	}
	if want := int64(0x7061726c_0001_0801); b.ProducerID != want || b.ProducerEpoch != 40_000-1<<15 || b.FirstSequence != 5 {
		t.Errorf("producer %x, epoch %d, sequence %d; want %x, %d, 5", b.ProducerID, b.ProducerEpoch, b.FirstSequence, want, 40_000-1<<15)
	}
	if b.NumRecords != 2 || int(b.Length) != len(raw)-16 {
		t.Errorf("%d records, length %d of %d", b.NumRecords, b.Length, len(raw))
	}
}
