package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"parley/domain"
	"parley/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster starts a Kafka of three brokers inside the process.
func cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func options(c *kfake.Cluster) Options {
	return Options{
		Brokers: c.ListenAddrs(), Chats: storagetest.Partitions, Rooms: storagetest.Partitions, Dev: true, Fencing: true,
		RequestTimeout: 5 * time.Second,
	}
}

func openLog(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestLog(t *testing.T) {
	storagetest.RunLog(t, func(t *testing.T) storagetest.OpenLog {
		c := cluster(t)
		return func() storagetest.Log { return &trimmed{Log: openLog(t, options(c)), brokers: c.ListenAddrs()} }
	})
}

// trimmed cuts heads as an operator would, with another client: kafka-go has no DeleteRecords.
type trimmed struct {
	*Log
	brokers []string
}

func (l *trimmed) Trim(ctx context.Context, p domain.Partition, before domain.Offset) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(l.brokers...))
	if err != nil {
		return err
	}
	defer client.Close()
	name, number, err := l.o.place(p)
	if err != nil {
		return err
	}
	partition := kmsg.NewDeleteRecordsRequestTopicPartition()
	partition.Partition, partition.Offset = int32(number), int64(before)
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic, topic.Partitions = name, append(topic.Partitions, partition)
	request := kmsg.NewDeleteRecordsRequest()
	request.TimeoutMillis, request.Topics = 5000, append(request.Topics, topic)
	_, err = request.RequestWith(ctx, client)
	return err
}

// BenchmarkAppend measures the client: the broker is in the process and syncs nothing.
func BenchmarkAppend(b *testing.B) {
	storagetest.BenchLog(b, func(b *testing.B) storagetest.Log {
		o := options(cluster(b))
		o.Chats = 16
		return openLog(b, o)
	})
}
