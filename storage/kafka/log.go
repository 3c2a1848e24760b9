package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"parley/domain"
)

// Log is the log on Kafka.
type Log struct {
	o         Options
	codec     kafkago.Compression
	client    *kafkago.Client
	admin     *kafkago.Client // for what a cluster takes its time for
	transport *kafkago.Transport
	stop      context.CancelFunc
	metrics   *metrics
}

// Settings of the connection: metadata are not refreshed after a change of leaders but only by time, and a stopped broker still accepts
// connections.
const (
	metadataTTL = 500 * time.Millisecond
	dialTimeout = time.Second
)

// adminTimeout is how long topics may take to be made and looked at.
const adminTimeout = 20 * time.Second

// Open connects, and says soon and clearly when no broker lets it in, makes topics when it may, and verifies them (Verify), except for Dev.
func Open(ctx context.Context, o Options) (*Log, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	l, err := newLog(o)
	if err != nil {
		return nil, err
	}
	if err = l.knock(ctx); err == nil && (o.Dev || o.Create) {
		err = l.create(ctx)
	}
	if err == nil && !o.Dev {
		err = l.Verify(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open kafka log: %w", err), l.Close())
	}
	return l, nil
}

func newLog(o Options) (*Log, error) {
	codec, err := o.codec()
	if err != nil {
		return nil, err
	}
	mechanism, err := o.mechanism()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Log{o: o, codec: codec, stop: stop, metrics: newMetrics(o.Metrics)}
	l.transport = &kafkago.Transport{
		ClientID: "parley", DialTimeout: dialTimeout, MetadataTTL: metadataTTL, TLS: o.TLS, SASL: mechanism, Context: ctx,
	}
	for _, t := range o.topics() {
		l.transport.MetadataTopics = append(l.transport.MetadataTopics, t.name)
	}
	l.client = &kafkago.Client{Addr: kafkago.TCP(o.Brokers...), Timeout: o.RequestTimeout, Transport: l.transport}
	l.admin = &kafkago.Client{Addr: l.client.Addr, Timeout: max(o.RequestTimeout, adminTimeout), Transport: l.transport}
	return l, nil
}

// Close closes the connections. Appends on their way have an unknown outcome.
func (l *Log) Close() error {
	l.stop()
	l.transport.CloseIdleConnections()
	return nil
}

// limited gives ctx the deadline that kafka-go needs: requests do not end when a context is merely cancelled.
func (l *Log) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, l.o.RequestTimeout)
}

// timely makes the end of a connection's patience that of the context, from which kafka-go takes it.
func timely(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// Bounds returns the first offset of p that can be read and the next to be written, as far as all in-sync replicas have it.
func (l *Log) Bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error) {
	start, end, err = l.bounds(ctx, p)
	if err != nil {
		return 0, 0, fmt.Errorf("bounds of partition %d: %w", p, err)
	}
	return start, end, nil
}

func (l *Log) bounds(ctx context.Context, p domain.Partition) (start, end domain.Offset, err error) {
	name, number, err := l.o.place(p)
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := l.limited(ctx)
	defer cancel()
	res, err := l.client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{
		name: {kafkago.FirstOffsetOf(number), kafkago.LastOffsetOf(number)},
	}})
	if err != nil {
		return 0, 0, timely(err)
	}
	for _, got := range res.Topics[name] {
		switch {
		case got.Partition != number:
		case got.Error != nil:
			return 0, 0, got.Error
		case got.FirstOffset >= 0 && got.LastOffset >= got.FirstOffset:
			return domain.Offset(got.FirstOffset), domain.Offset(got.LastOffset), nil
		}
	}
	return 0, 0, errors.New("the answer lacks the partition")
}
