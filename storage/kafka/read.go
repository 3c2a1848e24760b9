package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"parley/domain"
)

// Read returns records of p from offset from on: at least one if there is one, else about as many as maxBytes hold. At the end, and beyond it, it
// waits up to wait for the first one and then returns none. Below the start the error is a *domain.TruncatedError.
func (l *Log) Read(
	ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration,
) ([]domain.LogRecord, error) {
	records, err := l.read(ctx, p, from, maxBytes, wait)
	if err != nil {
		return nil, fmt.Errorf("read partition %d: %w", p, err)
	}
	return records, nil
}

const (
	// longestPoll is how long one request waits at a broker: so long an abandoned one holds its connection.
	longestPoll = time.Second
	// beyondPause is the pause between looks beyond the log's end, where brokers do not wait.
	beyondPause = 50 * time.Millisecond
	// leastFetch is the least that is asked of a broker.
	leastFetch = 64 << 10
)

func (l *Log) read(
	ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration,
) ([]domain.LogRecord, error) {
	if from < 0 {
		return nil, &domain.TruncatedError{Partition: p, Wanted: from}
	}
	until := time.Now().Add(wait)
	for at := from; ; {
		left := max(0, time.Until(until))
		got, err := l.fetch(ctx, p, at, maxBytes, min(left, longestPoll))
		switch {
		case errors.Is(err, kafkago.OffsetOutOfRange):
			if err := l.outOfRange(ctx, p, from); err != nil {
				return nil, err
			}
			if err := pause(ctx, min(left, beyondPause)); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case len(got.records) > 0:
			return got.records, nil
		case int64(at) < got.end:
			at++ // nothing is left of the batch at this offset
			continue
		}
		if left == 0 {
			return nil, nil
		}
	}
}

// outOfRange finds out on which side from is.
func (l *Log) outOfRange(ctx context.Context, p domain.Partition, from domain.Offset) error {
	start, _, err := l.bounds(ctx, p)
	if err != nil {
		return err
	}
	if from < start {
		return &domain.TruncatedError{Partition: p, Wanted: from, Start: start}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetched is a broker's answer: records from the wanted offset on, and the end of the log.
type fetched struct {
	records []domain.LogRecord
	end     int64
}

func (l *Log) fetch(ctx context.Context, p domain.Partition, from domain.Offset, maxBytes int, wait time.Duration) (out fetched, err error) {
	name, number, err := l.o.place(p)
	if err != nil {
		return out, err
	}
	request := &kafkago.FetchRequest{
		Topic: name, Partition: number, Offset: int64(from), MaxBytes: int64(max(maxBytes, leastFetch)), MaxWait: time.Millisecond,
	}
	if wait > 0 {
		request.MinBytes, request.MaxWait = 1, max(wait, time.Millisecond)
	}
	// Kafka-go lets the broker wait for at most half of what is left of the context.
	ctx, cancel := context.WithTimeout(ctx, 2*request.MaxWait+l.o.RequestTimeout)
	defer cancel()
	res, err := l.client.Fetch(ctx, request)
	if err != nil {
		return out, timely(err)
	}
	if c, ok := res.Records.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	if res.Error != nil {
		return out, res.Error
	}
	out.end = res.HighWatermark
	out.records, err = take(res.Records, from, maxBytes)
	return out, err
}

// take copies records from the wanted offset on, at least one and then up to maxBytes.
func take(r protocol.RecordReader, from domain.Offset, maxBytes int) (out []domain.LogRecord, err error) {
	for size := 0; ; {
		record, err := r.ReadRecord()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) && len(out) > 0 {
			return out, nil // the answer was cut at its size: the rest comes with the next one
		}
		if err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		if domain.Offset(record.Offset) < from {
			continue
		}
		got := domain.LogRecord{Offset: domain.Offset(record.Offset)}
		if got.Key, err = protocol.ReadAll(record.Key); err == nil {
			got.Value, err = protocol.ReadAll(record.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("decode offset %d: %w", record.Offset, err)
		}
		if size += len(got.Key) + len(got.Value); size > maxBytes && len(out) > 0 {
			return out, nil
		}
		out = append(out, got)
	}
}
