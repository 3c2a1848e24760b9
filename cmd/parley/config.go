package main

import (
	"log/slog"
	"maps"
	"reflect"
	"time"

	"parley/delivery/gateway"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/domain/message"
	"parley/ingest/rest"
)

// secret is a setting that is never printed.
type secret string

// String implements fmt.Stringer.
func (s secret) String() string {
	if s == "" {
		return ""
	}
	return "[hidden]"
}

// LogValue implements slog.LogValuer.
func (s secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// config is everything that can be set, by file, environment (PARLEY_GATEWAY_WINDOW for gateway.window) and flags, the later winning.
type config struct {
	Dev      bool   `mapstructure:"dev"`       // make what is missing: data folder, keys, an app
	Data     string `mapstructure:"data"`      // folder of the embedded log and store
	Listen   string `mapstructure:"listen"`    // REST and WebSocket
	Admin    string `mapstructure:"admin"`     // metrics, health, profiles, admin API
	AdminKey secret `mapstructure:"admin_key"` // bearer key of the admin API
	// The key that signs tokens: hexadecimal, at least 32 bytes, in a file of mode 0600 or in the environment.
	TokenKey     secret `mapstructure:"token_key"`
	TokenKeyFile string `mapstructure:"token_key_file"` // under --dev: token.key in the data folder, made when it is missing

	TLS        tlsConfig        `mapstructure:"tls"`
	Proxies    []string         `mapstructure:"trusted_proxies"` // networks whose X-Forwarded-For, -Proto and -Host count
	PublicURL  string           `mapstructure:"public_url"`      // where clients reach this listener; empty: as listened
	Log        logConfig        `mapstructure:"log"`
	Partitions partitionConfig  `mapstructure:"partitions"`
	Limits     limitConfig      `mapstructure:"limits"`
	Gateway    gateway.Settings `mapstructure:"gateway"`
	Rooms      roomConfig       `mapstructure:"rooms"`
	REST       rest.Settings    `mapstructure:"rest"`
	Storage    storageConfig    `mapstructure:"storage"`
	Kafka      kafkaConfig      `mapstructure:"kafka"`
	Cassandra  cassandraConfig  `mapstructure:"cassandra"`
	Cluster    clusterConfig    `mapstructure:"cluster"`
}

type tlsConfig struct {
	Cert string `mapstructure:"cert"`
	Key  string `mapstructure:"key"`
}

type logConfig struct {
	Level  string `mapstructure:"level"`
	Format string `mapstructure:"format"`
}

var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"auto", "text", "json"}
)

// partitionConfig counts for the first start of an embedded log only: from then on the slot map in the log counts.
type partitionConfig struct {
	Chats int `mapstructure:"chats"`
	Rooms int `mapstructure:"rooms"`
}

type limitConfig struct {
	MessageBytes int `mapstructure:"message_bytes"`
	CustomExts   int `mapstructure:"custom_exts"`
}

func (l limitConfig) message() message.Limits {
	return message.Limits{Size: l.MessageBytes, CustomExts: l.CustomExts}
}

// roomConfig is one section: how rooms are shown, and how long who is cut off goes on viewing them.
type roomConfig struct {
	Shown  room.Settings  `mapstructure:",squash"`
	Leases lease.Settings `mapstructure:",squash"`
}

// onJoin is how many of the newest messages who joins a room is shown: with history clients read it themselves.
func (c *roomConfig) onJoin() int {
	if c.Shown.History {
		return 0
	}
	return c.Shown.OnJoin
}

// defaultAdmin is where the admin listener is unless it is said otherwise.
const defaultAdmin = "127.0.0.1:9090"

// defaults returns the settings before anything is set.
func defaults(dev bool) config {
	c := config{
		Data: "parley-data", Listen: "127.0.0.1:8080", Admin: defaultAdmin,
		Log:        logConfig{Level: "info", Format: "auto"},
		Partitions: partitionConfig{Chats: 16, Rooms: 4},
		Limits:     limitConfig{MessageBytes: message.DefaultLimits.Size, CustomExts: message.DefaultLimits.CustomExts},
		Gateway:    gateway.DefaultSettings(),
		Rooms:      roomConfig{Shown: room.DefaultSettings(), Leases: lease.DefaultSettings()},
		REST:       rest.DefaultSettings(),
		Storage:    storageConfig{Log: enginePebble, Tables: enginePebble, LogReserve: 64 << 20, CheckpointLag: 10 * time.Second},
		Kafka:      defaultKafka(),
		Cassandra:  defaultCassandra(),
		Cluster:    defaultCluster(),
	}
	if dev {
		c.Dev = true
		c.Gateway.Origins = []string{"*"}
		c.Gateway.SendRate, c.Gateway.SendBurst, c.Gateway.AppRate = 100_000, 100_000, 1_000_000
		c.REST.Rate, c.REST.Burst, c.REST.MessagesPerMinute = 100_000, 100_000, 100_000_000
		c.REST.GroupMessagesPerMinute = 100_000_000
		c.REST.Origins = []string{"*"}
		c.REST.BcryptCost = 6 // test users are made by the hundred
	}
	return c
}

// tree returns the settings as nested maps for printing, secrets hidden.
func (c *config) tree() map[string]any { return structTree(reflect.ValueOf(*c)) }

func structTree(v reflect.Value) map[string]any {
	out := map[string]any{}
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Tag.Get("mapstructure"), v.Field(i)
		if name == ",squash" {
			maps.Copy(out, structTree(f))
			continue
		}
		switch val := f.Interface().(type) {
		case secret:
			out[name] = val.String()
		case time.Duration:
			out[name] = val.String()
		default:
			if f.Kind() == reflect.Struct {
				out[name] = structTree(f)
			} else {
				out[name] = val
			}
		}
	}
	return out
}
