package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"parley/domain"
)

// Append writes b at the end of p with one request and returns the offset of its first record when all in-sync replicas have it. The outcome of
// every error is unknown; ClassOf tells more.
func (l *Log) Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	base, err := l.append(ctx, p, b)
	if err != nil {
		l.metrics.failed(err)
		return 0, fmt.Errorf("append to partition %d: %w", p, err)
	}
	l.metrics.appended(b)
	return domain.Offset(base), nil
}

var errBadBatch = errors.New("a batch has one key per value and at least one of them")

func (l *Log) append(ctx context.Context, p domain.Partition, b domain.Batch) (int64, error) {
	if len(b.Values) == 0 || len(b.Keys) != len(b.Values) {
		return 0, &Error{Content, errBadBatch} // Kafka would answer an empty batch with offset 0 and no error
	}
	name, number, err := l.o.place(p)
	if err != nil {
		return 0, &Error{NotWritten, err}
	}
	if err := ctx.Err(); err != nil {
		return 0, &Error{NotWritten, err}
	}
	ctx, cancel := l.limited(ctx)
	defer cancel()
	res, err := l.produce(ctx, name, number, p, b)
	return landed(res, l.explained(ctx, err))
}

// landed is where a batch is as far as the answer tells.
func landed(res *kafkago.ProduceResponse, err error) (int64, error) {
	switch {
	case err != nil:
		return 0, &Error{Unknown, timely(err)}
	case res.Error != nil:
		return 0, classify(res.Error, res.BaseOffset)
	case res.BaseOffset < 0:
		return 0, &Error{Unknown, fmt.Errorf("the answer has base offset %d", res.BaseOffset)}
	}
	return res.BaseOffset, nil
}

func (l *Log) produce(ctx context.Context, name string, number int, p domain.Partition, b domain.Batch) (*kafkago.ProduceResponse, error) {
	if b.Plain || !l.o.Fencing {
		return l.client.Produce(ctx, &kafkago.ProduceRequest{
			Topic: name, Partition: number, RequiredAcks: kafkago.RequireAll, Records: records(b), Compression: l.codec,
		})
	}
	raw, err := encode(b, hintOf(p, b), l.codec)
	if err != nil {
		return nil, err
	}
	return l.client.RawProduce(ctx, &kafkago.RawProduceRequest{
		Topic: name, Partition: number, RequiredAcks: kafkago.RequireAll, RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(raw)},
	})
}

// records are never null: a null value deletes its key in a compacted topic.
func records(b domain.Batch) protocol.RecordReader {
	out := make([]protocol.Record, len(b.Values))
	for i, v := range b.Values {
		out[i] = protocol.Record{Key: present(b.Keys[i]), Value: present(v)}
	}
	return protocol.NewRecordReader(out...)
}

func present(b []byte) protocol.Bytes {
	if b == nil {
		b = []byte{}
	}
	return protocol.NewBytes(b)
}

// hint is what lets a broker refuse older terms and drop repeats.
type hint struct {
	producer int64
	epoch    int16
	sequence int32
}

// producerBase starts the producer ids of parley, far above those that brokers hand out. Part of what brokers remember: never change it.
const producerBase = int64(0x7061726c) << 32

// epochs is the number of epochs of one producer id. Later terms use further ids: a new id does not fence the epochs of the one before, which is
// left to the log's own fence.
const epochs = 1 << 15

// hintOf returns the hint of a commit. Sequences go round after 2^31 records, as Kafka's do.
func hintOf(p domain.Partition, b domain.Batch) hint {
	return hint{
		producer: producerBase | int64(b.Term/epochs)<<16&0xffff0000 | int64(p),
		epoch:    int16(b.Term % epochs),
		sequence: int32(b.Sequence & 0x7fffffff),
	}
}

// Places in an encoded batch (format version 2), after the 4 bytes of its size.
const (
	atChecksum = 17 // CRC-32C of everything from atCovered on
	atCovered  = 21
	atProducer = 43
	atEpoch    = 51
	atSequence = 53
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns the batch as RawProduce wants it, its size first.
func encode(b domain.Batch, h hint, codec kafkago.Compression) ([]byte, error) {
	var buf bytes.Buffer
	set := protocol.RecordSet{Version: 2, Attributes: protocol.Attributes(codec), Records: records(b)}
	if _, err := set.WriteTo(&buf); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	raw := buf.Bytes()[4:]
	binary.BigEndian.PutUint64(raw[atProducer:], uint64(h.producer))
	binary.BigEndian.PutUint16(raw[atEpoch:], uint16(h.epoch))
	binary.BigEndian.PutUint32(raw[atSequence:], uint32(h.sequence))
	binary.BigEndian.PutUint32(raw[atChecksum:], crc32.Checksum(raw[atCovered:], castagnoli))
	return buf.Bytes(), nil
}
