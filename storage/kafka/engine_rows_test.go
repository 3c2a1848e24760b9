package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"syscall"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"parley/domain"
	"parley/ops/engines"
)

// realRows shows the lines of the table that three real brokers can be brought to.
func realRows(t *testing.T, c *engines.Cluster) {
	table := rowsOf(t, "brokers")
	refusedRows(t, c, table)
	bytesRows(t, c, table)
	movedRow(t, c, table)
	readRows(t, c, table)
	stalledRows(t, c, table)
	killedRows(t, c, table)
	table.all(t)
}

// refusedRows are what brokers say of sequences and epochs, with two writers of which one is deposed.
func refusedRows(t *testing.T, c *engines.Cluster, table *rows) {
	t.Helper()
	l := openLog(t, realOptions(c))
	must(t, l, commit(1, 0, "a"))
	_, err := l.Append(t.Context(), 1, commit(1, 5, "gap"))
	table.append(t, "[45] sequence out of order", err)
	heir := openLog(t, l.o)
	must(t, heir, commit(2, 0, "b"))
	_, err = l.Append(t.Context(), 1, commit(1, 1, "late"))
	table.append(t, "[47] old epoch", err)
	if got := contents(t, heir, 1); got != "[a b]" {
		t.Errorf("the log holds %s", got)
	}
}

func must(t *testing.T, l *Log, b domain.Batch) {
	t.Helper()
	if _, err := l.Append(t.Context(), 1, b); err != nil {
		t.Fatal(err)
	}
}

// bytesRows are what brokers say of what is in a batch.
func bytesRows(t *testing.T, c *engines.Cluster, table *rows) {
	t.Helper()
	l := openLog(t, realOptions(c))
	_, err := l.Append(t.Context(), 1, commit(1, 0, string(make([]byte, 2<<20))))
	table.append(t, "[10] batch too large", err)
	_, err = l.sendRaw(t, 1, func(raw []byte) { raw[atChecksum]++ }, false)
	table.append(t, "[2] damaged on its way", err)
	_, err = l.sendRaw(t, 1, func(raw []byte) {
		late := uint64(time.Now().Add(2 * time.Hour).UnixMilli())
		binary.BigEndian.PutUint64(raw[27:], late) // the first and the last time of the batch
		binary.BigEndian.PutUint64(raw[35:], late)
	}, true)
	table.append(t, "[32] clock too far from the broker's", err)
	_, err = landed(l.client.Produce(t.Context(), &kafkago.ProduceRequest{
		Topic: l.o.Prefix + "control", RequiredAcks: kafkago.RequireAll,
		Records: protocol.NewRecordReader(protocol.Record{Value: protocol.NewBytes([]byte("no key"))}),
	}))
	table.append(t, "[87] record that the topic refuses", err)
	alter(t, l, map[string]string{"segment.bytes": "1048576", "max.message.bytes": "8388608"})
	_, err = l.Append(t.Context(), 1, commit(1, 0, string(make([]byte, 2<<20))))
	table.append(t, "[18] batch larger than a segment", err)
	if got := contents(t, l, 1); got != "[]" {
		t.Errorf("the log holds %s", got)
	}
}

// sendRaw appends a batch of one record that was changed on its way.
func (l *Log) sendRaw(t *testing.T, p domain.Partition, change func(raw []byte), sum bool) (int64, error) {
	t.Helper()
	b := commit(1, 0, "v")
	raw, err := encode(b, hintOf(p, b), l.codec)
	if err != nil {
		t.Fatal(err)
	}
	body := raw[4:]
	change(body)
	if sum {
		binary.BigEndian.PutUint32(body[atChecksum:], crc32.Checksum(body[atCovered:], castagnoli))
	}
	name, number, err := l.o.place(p)
	if err != nil {
		t.Fatal(err)
	}
	return landed(l.client.RawProduce(t.Context(), &kafkago.RawProduceRequest{
		Topic: name, Partition: number, RequiredAcks: kafkago.RequireAll, RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(raw)},
	}))
}

// alter changes settings of chats.
func alter(t *testing.T, l *Log, settings map[string]string) {
	t.Helper()
	request := &kafkago.IncrementalAlterConfigsRequest{}
	resource := kafkago.IncrementalAlterConfigsRequestResource{ResourceType: kafkago.ResourceTypeTopic, ResourceName: l.o.Prefix + "chats"}
	for name, value := range settings {
		resource.Configs = append(resource.Configs, kafkago.IncrementalAlterConfigsRequestConfig{
			Name: name, Value: value, ConfigOperation: kafkago.ConfigOperationSet,
		})
	}
	request.Resources = append(request.Resources, resource)
	res, err := l.client.IncrementalAlterConfigs(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range res.Resources {
		if r.Error != nil {
			t.Fatal(r.Error)
		}
	}
	time.Sleep(500 * time.Millisecond) // brokers learn of it one after the other
}

// blind is a second client of l's brokers that does not notice when leaders move.
func blind(t *testing.T, l *Log) *Log {
	t.Helper()
	b, err := newLog(l.o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	b.transport.MetadataTTL = time.Hour
	return b
}

// movedRow asks a broker that leads no more.
func movedRow(t *testing.T, c *engines.Cluster, table *rows) {
	t.Helper()
	l := openLog(t, realOptions(c))
	b := blind(t, l)
	must(t, b, commit(1, 0, "a"))
	was := leader(t, l)
	move(t, l, (was+1)%3)
	_, err := b.Append(t.Context(), 1, commit(1, 1, "b"))
	table.append(t, "[6] another broker leads", err)
	must(t, l, commit(1, 1, "b"))
	if got := contents(t, l, 1); got != "[a b]" {
		t.Errorf("the log holds %s", got)
	}
}

// move makes another broker lead partition 1 of chats.
func move(t *testing.T, l *Log, to int) {
	t.Helper()
	topic := l.o.Prefix + "chats"
	order := []int{to + 1, (to+1)%3 + 1, (to+2)%3 + 1}
	if _, err := l.client.AlterPartitionReassignments(t.Context(), &kafkago.AlterPartitionReassignmentsRequest{
		Topic: topic, Assignments: []kafkago.AlterPartitionReassignmentsRequestAssignment{{PartitionID: 1, BrokerIDs: order}},
		Timeout: 5 * time.Second,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.client.ElectLeaders(t.Context(), &kafkago.ElectLeadersRequest{
		Topic: topic, Partitions: []int{1}, Timeout: 5 * time.Second,
	}); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return leader(t, l) == to })
	time.Sleep(time.Second) // metadata
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not come")
		}
	}
}

// readRows reads what was deleted, and writes to a topic that was.
func readRows(t *testing.T, c *engines.Cluster, table *rows) {
	t.Helper()
	l := &trimmed{Log: openLog(t, realOptions(c)), brokers: c.Addrs()}
	for i := range uint64(5) {
		must(t, l.Log, commit(1, i, "v"))
	}
	if err := l.Trim(t.Context(), 1, 3); err != nil {
		t.Fatal(err)
	}
	_, err := l.Read(t.Context(), 1, 2, 1<<20, 0)
	table.read(t, "read below the log's start", err)
	if got, err := l.Read(t.Context(), 1, 3, 1<<20, 0); err != nil || len(got) != 2 {
		t.Errorf("what is left: %d records, %v", len(got), err)
	}
	if _, err := l.client.DeleteTopics(t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{l.o.Prefix + "chats"}}); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool {
		_, err = l.Append(t.Context(), 1, commit(1, 5, "v"))
		return errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
	})
	table.append(t, "topic is gone", err)
}

// stalledRows stop brokers for less time than it takes the others to notice.
func stalledRows(t *testing.T, c *engines.Cluster, table *rows) {
	t.Helper()
	o := realOptions(c)
	o.RequestTimeout = 2 * time.Second
	l := openLog(t, o)
	must(t, l, commit(1, 0, "a"))
	at := leader(t, l)
	followers := []*engines.Node{c.Nodes[(at+1)%3], c.Nodes[(at+2)%3]}
	err := stalled(t, followers, func() error {
		_, err := l.Append(t.Context(), 1, commit(1, 1, "b"))
		return err
	})
	table.append(t, "[7] replicas do not follow in time", err)
	must(t, l, commit(1, 1, "b")) // the same batch again

	at = leader(t, l)
	err = stalled(t, c.Nodes[at:at+1], func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.Append(ctx, 1, commit(1, 2, "c"))
		return err
	})
	table.append(t, "no answer in time", err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the end of patience: %v", err)
	}
	must(t, l, commit(1, 2, "c"))

	err = stalled(t, c.Nodes[at:at+1], func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.Read(ctx, 1, 0, 1<<20, 0)
		return err
	})
	table.read(t, "any other failure of a read", err)
	if got := contents(t, l, 1); got != "[a b c]" {
		t.Errorf("the log holds %s", got)
	}
}

func stalled(t *testing.T, nodes []*engines.Node, do func() error) error {
	t.Helper()
	for _, n := range nodes {
		try(t, n.Signal(syscall.SIGSTOP))
	}
	err := do()
	for _, n := range nodes {
		try(t, n.Signal(syscall.SIGCONT))
	}
	time.Sleep(500 * time.Millisecond)
	return err
}

// killedRows kill a leader under a client that does not notice, and write where all three replicas are demanded.
func killedRows(t *testing.T, c *engines.Cluster, table *rows) {
	t.Helper()
	l := openLog(t, realOptions(c))
	demanding := openLog(t, realOptions(c))
	alter(t, demanding, map[string]string{"min.insync.replicas": "3"})
	b := blind(t, l)
	must(t, b, commit(1, 0, "a"))
	at := leader(t, l)
	if leader(t, demanding) == at {
		move(t, demanding, (at+1)%3)
	}
	must(t, demanding, commit(1, 0, "a"))

	answers := make(chan error, 1)
	try(t, c.Nodes[at].Signal(syscall.SIGSTOP)) // so that the request is in it
	go func() {
		_, err := b.Append(t.Context(), 1, commit(1, 1, "b"))
		answers <- err
	}()
	time.Sleep(200 * time.Millisecond)
	try(t, c.Nodes[at].Kill())
	table.append(t, "connection cut with the request in it", <-answers)
	_, err := b.Append(t.Context(), 1, commit(1, 1, "b"))
	table.append(t, "nobody listens", err)

	var refused error
	wait(t, func() bool { // before the others notice, it is in and waits for the third
		_, refused = demanding.Append(t.Context(), 1, commit(1, 1, "b"))
		return errors.Is(refused, kafkago.NotEnoughReplicas)
	})
	table.append(t, "[19] too few replicas", refused)
	restart(t, c.Nodes[at])
	wait(t, func() bool {
		_, err := demanding.Append(t.Context(), 1, commit(1, 1, "b"))
		return err == nil
	})
	if got := contents(t, demanding, 1); got != "[a b]" {
		t.Errorf("the log holds %s", got)
	}
}
