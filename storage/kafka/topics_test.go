package kafka

import (
	"errors"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// strong are the settings that Verify accepts.
func strong(t topic) map[string]string {
	s := map[string]string{
		"min.insync.replicas": "2", "unclean.leader.election.enable": "false", "cleanup.policy": "delete", "retention.ms": "-1",
		"retention.bytes": "-1", "max.message.bytes": "1048588",
	}
	if t.compacted {
		s["cleanup.policy"] = "compact"
	}
	return s
}

// TestOpenVerifies makes topics on three brokers as an operator would, and opens the log without Dev.
func TestOpenVerifies(t *testing.T) {
	k := cluster(t)
	o := options(k)
	o.Dev = false
	if _, err := Open(t.Context(), o); err == nil {
		t.Fatal("opened without topics")
	}
	admin, err := newLog(o.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	request := &kafkago.CreateTopicsRequest{}
	for _, topic := range o.withDefaults().topics() {
		c := kafkago.TopicConfig{Topic: topic.name, NumPartitions: topic.partitions, ReplicationFactor: 3}
		for name, value := range strong(topic) {
			c.ConfigEntries = append(c.ConfigEntries, kafkago.ConfigEntry{ConfigName: name, ConfigValue: value})
		}
		request.Topics = append(request.Topics, c)
	}
	res, err := admin.client.CreateTopics(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range res.Errors {
		if err != nil {
			t.Fatalf("create %s: %v", name, err)
		}
	}
	l := openLog(t, o)
	if _, err := l.Append(t.Context(), 1, commit(1, 0, "v")); err != nil {
		t.Fatal(err)
	}
	o.Rooms = 3
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrWeak) || !strings.Contains(err.Error(), "parley.rooms: has 4 partitions") {
		t.Errorf("another number of partitions: %v", err)
	}
}

// TestWeakTopics refuses what Dev makes.
func TestWeakTopics(t *testing.T) {
	l := openLog(t, options(cluster(t)))
	if err := l.Verify(t.Context()); !errors.Is(err, ErrWeak) || !strings.Contains(err.Error(), "min.insync.replicas") {
		t.Errorf("verify: %v", err)
	}
}

func TestProblems(t *testing.T) {
	chats, control := topic{name: "chats", partitions: 4}, topic{name: "control", partitions: 1, compacted: true}
	for _, c := range []struct {
		name      string
		topic     topic
		change    func(d *description)
		retention time.Duration
		want      string // "" means none
	}{
		{"strong", chats, func(*description) {}, 0, ""},
		{"strong, compacted", control, func(*description) {}, 0, ""},
		{"partitions", chats, func(d *description) { d.partitions = 3 }, 0, "partitions"},
		{"replicas", chats, func(d *description) { d.replicas = 2 }, 0, "replicas"},
		{"in-sync replicas", chats, func(d *description) { d.settings["min.insync.replicas"] = "1" }, 0, "min.insync.replicas"},
		{"unclean elections", chats, func(d *description) { d.settings["unclean.leader.election.enable"] = "true" }, 0, "unclean"},
		{"unknown elections", chats, func(d *description) { delete(d.settings, "unclean.leader.election.enable") }, 0, "unclean"},
		{"retention", chats, func(d *description) { d.settings["retention.ms"] = "604800000" }, 0, "retention.ms"},
		{"retention long enough", chats, func(d *description) { d.settings["retention.ms"] = "604800000" }, 24 * time.Hour, ""},
		{"retention too short", chats, func(d *description) { d.settings["retention.ms"] = "3600000" }, 24 * time.Hour, "retention.ms"},
		{"retention in bytes", chats, func(d *description) { d.settings["retention.bytes"] = "1000" }, 24 * time.Hour, "retention.bytes"},
		{"chats compacted", chats, func(d *description) { d.settings["cleanup.policy"] = "compact" }, 0, "cleanup.policy"},
		{"control deleted", control, func(d *description) { d.settings["cleanup.policy"] = "compact,delete" }, 0, "cleanup.policy"},
		{"small batches", chats, func(d *description) { d.settings["max.message.bytes"] = "1000" }, 0, "max.message.bytes"},
	} {
		d := description{partitions: c.topic.partitions, replicas: 3, settings: strong(c.topic)}
		c.change(&d)
		got := d.problems(c.topic, c.retention)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	err := Options{Chats: 4096, RequestTimeout: -1}.Validate()
	for _, want := range []string{"no brokers", "chats has 4096", "rooms has 0", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}
