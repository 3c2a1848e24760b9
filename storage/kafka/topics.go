package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// What Verify demands of a topic.
const (
	leastReplicas = 3
	leastInSync   = 2
	leastMessage  = 1_000_000 // bytes of a batch that a broker accepts
)

// ErrWeak is in the chain of Verify's error when the topics may lose what was acknowledged.
var ErrWeak = errors.New("the topics' settings are too weak")

// Verify checks that the topics exist with the wanted partitions, and that their settings keep what was acknowledged: three replicas, two
// of them in sync, no unclean elections, no retention below the wanted one, and compaction for control only. It reports every problem at once.
func (l *Log) Verify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.admin.Timeout)
	defer cancel()
	var problems []error
	for _, t := range l.o.topics() {
		found, err := l.describe(ctx, t.name)
		if err != nil {
			return fmt.Errorf("verify topic %s: %w", t.name, err)
		}
		for _, p := range found.problems(t, l.o.Retention) {
			problems = append(problems, fmt.Errorf("topic %s: %s", t.name, p))
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrWeak, errors.Join(problems...))
	}
	return nil
}

// description is what Kafka says of a topic.
type description struct {
	partitions int
	replicas   int // of the partition that has the fewest
	settings   map[string]string
}

func (l *Log) describe(ctx context.Context, name string) (d description, err error) {
	meta, err := l.admin.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{name}})
	if err != nil {
		return d, err
	}
	for _, t := range meta.Topics {
		if t.Name != name {
			continue
		}
		if t.Error != nil {
			return d, t.Error
		}
		d.partitions = len(t.Partitions)
		for i, p := range t.Partitions {
			if n := len(p.Replicas); i == 0 || n < d.replicas {
				d.replicas = n
			}
		}
	}
	d.settings, err = l.settings(ctx, name)
	return d, err
}

func (l *Log) settings(ctx context.Context, name string) (map[string]string, error) {
	res, err := l.admin.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Resources: []kafkago.DescribeConfigRequestResource{
		{ResourceType: kafkago.ResourceTypeTopic, ResourceName: name},
	}})
	if err != nil {
		return nil, err
	}
	out := make(map[string]string)
	for _, r := range res.Resources {
		if r.Error != nil {
			return nil, r.Error
		}
		for _, e := range r.ConfigEntries {
			out[e.ConfigName] = e.ConfigValue
		}
	}
	return out, nil
}

// problems lists what is too weak. A setting that Kafka does not tell counts as weak.
func (d description) problems(want topic, retention time.Duration) (out []string) {
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	refuse(d.partitions != want.partitions, "has %d partitions, wanted are %d", d.partitions, want.partitions)
	refuse(d.replicas < leastReplicas, "has %d replicas, at least %d are needed", d.replicas, leastReplicas)
	refuse(d.number("min.insync.replicas") < leastInSync, "min.insync.replicas is %q, at least %d is needed",
		d.settings["min.insync.replicas"], leastInSync)
	refuse(d.settings["unclean.leader.election.enable"] != "false", "unclean.leader.election.enable is %q, false is needed",
		d.settings["unclean.leader.election.enable"])
	refuse(d.number("max.message.bytes") < leastMessage, "max.message.bytes is %q, at least %d is needed",
		d.settings["max.message.bytes"], leastMessage)
	policy := "delete"
	if want.compacted {
		policy = "compact"
	}
	refuse(d.settings["cleanup.policy"] != policy, "cleanup.policy is %q, %s is needed", d.settings["cleanup.policy"], policy)
	if want.compacted {
		return out
	}
	refuse(d.settings["retention.bytes"] != "-1", "retention.bytes is %q, -1 is needed", d.settings["retention.bytes"])
	kept := d.number("retention.ms")
	tooShort := retention == 0 || kept < retention.Milliseconds()
	refuse(d.settings["retention.ms"] != "-1" && tooShort, "retention.ms is %q, %s is needed", d.settings["retention.ms"], keep(retention))
	return out
}

// number returns a setting's value, below every limit when there is none.
func (d description) number(setting string) int64 {
	n, err := strconv.ParseInt(d.settings[setting], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func keep(retention time.Duration) string {
	if retention == 0 {
		return "-1"
	}
	return fmt.Sprintf("-1 or at least %d", retention.Milliseconds())
}

// create makes the topics that are missing, for Dev as one broker can have them, and waits until they have leaders.
func (l *Log) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.admin.Timeout)
	defer cancel()
	var configs []kafkago.TopicConfig
	for _, t := range l.o.topics() {
		configs = append(configs, t.config(l.o.Dev))
	}
	res, err := l.admin.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: configs})
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for name, err := range res.Errors {
		if err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	return l.awaitTopics(ctx)
}

func (t topic) config(dev bool) kafkago.TopicConfig {
	c := kafkago.TopicConfig{Topic: t.name, NumPartitions: t.partitions, ReplicationFactor: 1}
	set := func(name, value string) {
		c.ConfigEntries = append(c.ConfigEntries, kafkago.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	if !dev {
		c.ReplicationFactor = leastReplicas
		set("min.insync.replicas", strconv.Itoa(leastInSync))
		set("unclean.leader.election.enable", "false")
	}
	if t.compacted {
		set("cleanup.policy", "compact")
		return c
	}
	set("cleanup.policy", "delete")
	set("retention.ms", "-1")
	set("retention.bytes", "-1")
	return c
}

// awaitTopics waits until every partition answers: Kafka makes topics in the background, and kafka-go learns of them by time.
func (l *Log) awaitTopics(ctx context.Context) error {
	for _, t := range l.o.topics() {
		for {
			err := l.answers(ctx, t)
			if err == nil {
				break
			}
			if over := pause(ctx, beyondPause); over != nil {
				return fmt.Errorf("wait for topic %s: %w", t.name, errors.Join(over, err))
			}
		}
	}
	return nil
}

func (l *Log) answers(ctx context.Context, t topic) error {
	var all []kafkago.OffsetRequest
	for number := range t.partitions {
		all = append(all, kafkago.LastOffsetOf(number))
	}
	res, err := l.client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{t.name: all}})
	if err != nil {
		return err
	}
	for _, p := range res.Topics[t.name] {
		if p.Error != nil {
			return p.Error
		}
	}
	return nil
}
