package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"parley/delivery/gateway"
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

// MarshalYAML implements yaml.Marshaler.
func (s secret) MarshalYAML() (any, error) { return s.String(), nil }

// config is everything that can be set, by file, environment (PARLEY_GATEWAY_WINDOW for gateway.window) and flags, the later winning.
type config struct {
	Dev      bool   `mapstructure:"dev"`       // make what is missing: data folder, keys, an app
	Data     string `mapstructure:"data"`      // folder of the embedded log and store
	Listen   string `mapstructure:"listen"`    // REST and WebSocket
	Admin    string `mapstructure:"admin"`     // metrics, health, profiles, admin API
	AdminKey secret `mapstructure:"admin_key"` // bearer key of the admin API
	// The key that signs tokens: hexadecimal, at least 32 bytes, in a file of mode 0600 or in the environment.
	TokenKey     secret `mapstructure:"token_key"`
	TokenKeyFile string `mapstructure:"token_key_file"`

	TLS        tlsConfig        `mapstructure:"tls"`
	Proxies    []string         `mapstructure:"trusted_proxies"` // networks whose X-Forwarded-* headers count
	PublicURL  string           `mapstructure:"public_url"`      // where clients reach this listener; empty: as listened
	Log        logConfig        `mapstructure:"log"`
	Partitions partitionConfig  `mapstructure:"partitions"`
	Limits     limitConfig      `mapstructure:"limits"`
	Gateway    gateway.Settings `mapstructure:"gateway"`
	REST       rest.Settings    `mapstructure:"rest"`
	Storage    storageConfig    `mapstructure:"storage"`
}

type tlsConfig struct {
	Cert string `mapstructure:"cert"`
	Key  string `mapstructure:"key"`
}

type logConfig struct {
	Level  string `mapstructure:"level"`
	Format string `mapstructure:"format"`
}

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

type storageConfig struct {
	LogReserve int64 `mapstructure:"log_reserve"` // bytes of the disk that the embedded log leaves free
}

// defaults returns the settings before anything is set.
func defaults(dev bool) config {
	c := config{
		Data: "parley-data", Listen: "127.0.0.1:8080", Admin: "127.0.0.1:9090",
		Log:        logConfig{Level: "info", Format: "auto"},
		Partitions: partitionConfig{Chats: 16, Rooms: 4},
		Limits:     limitConfig{MessageBytes: message.DefaultLimits.Size, CustomExts: message.DefaultLimits.CustomExts},
		Gateway:    gateway.DefaultSettings(),
		REST:       rest.DefaultSettings(),
		Storage:    storageConfig{LogReserve: 64 << 20},
	}
	if dev {
		c.Dev = true
		c.Gateway.Origins = []string{"*"}
		c.Gateway.SendRate, c.Gateway.SendBurst, c.Gateway.AppRate = 100_000, 100_000, 1_000_000
		c.REST.Rate, c.REST.Burst, c.REST.MessagesPerMinute = 100_000, 100_000, 100_000_000
		c.REST.Origins = []string{"*"}
		c.REST.BcryptCost = 6 // test users are made by the hundred
	}
	return c
}

// loadConfig reads flags, environment and file. Every problem is reported, by the name that the user wrote.
func loadConfig(flags *pflag.FlagSet, file string) (config, error) {
	dev := flagSet(flags, "dev") || os.Getenv("PARLEY_DEV") == "true"
	v := viper.New()
	if err := setDefaults(v, defaults(dev)); err != nil {
		return config{}, err
	}
	v.SetEnvPrefix("parley")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	if file != "" {
		v.SetConfigFile(file)
		if err := v.ReadInConfig(); err != nil {
			return config{}, fmt.Errorf("config file: %w", err)
		}
	}
	var problems []error
	flags.VisitAll(func(f *pflag.Flag) {
		if v.IsSet(f.Name) {
			problems = append(problems, v.BindPFlag(f.Name, f))
		}
	})
	problems = append(problems, unknownEnv(v)...)
	var c config
	if err := v.UnmarshalExact(&c); err != nil {
		problems = append(problems, decodeProblems(err)...)
	} else {
		problems = append(problems, c.validate())
	}
	return c, errors.Join(problems...)
}

func flagSet(flags *pflag.FlagSet, name string) bool {
	b, err := flags.GetBool(name)
	return err == nil && b
}

// setDefaults makes every key known, so that the environment can set it.
func setDefaults(v *viper.Viper, c config) error {
	var m map[string]any
	if err := mapstructure.Decode(c, &m); err != nil {
		return fmt.Errorf("defaults: %w", err)
	}
	var walk func(prefix string, m map[string]any)
	walk = func(prefix string, m map[string]any) {
		for k, val := range m {
			if sub, ok := val.(map[string]any); ok {
				walk(prefix+k+".", sub)
				continue
			}
			v.SetDefault(prefix+k, val)
		}
	}
	walk("", m)
	return nil
}

// unknownEnv reports variables that look like ours and are not.
func unknownEnv(v *viper.Viper) (problems []error) {
	known := map[string]bool{"PARLEY_CONFIG": true}
	for _, k := range v.AllKeys() {
		known["PARLEY_"+strings.ToUpper(strings.ReplaceAll(k, ".", "_"))] = true
	}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "PARLEY_") && !known[name] {
			problems = append(problems, fmt.Errorf("environment variable %s is not a setting", name))
		}
	}
	return problems
}

func decodeProblems(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

// validate reports everything that is wrong at once.
func (c *config) validate() error {
	var errs []error
	bad := func(name, format string, args ...any) { errs = append(errs, fmt.Errorf(name+": "+format, args...)) }
	for name, addr := range map[string]string{"listen": c.Listen, "admin": c.Admin} {
		if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
			bad(name, "%q is not host:port", addr)
		}
	}
	if c.Data == "" {
		bad("data", "must name a folder")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad("tls", "cert and key go together")
	}
	for _, p := range c.Proxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			bad("trusted_proxies", "%q is not a network such as 10.0.0.0/8", p)
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		bad("log.level", "%q is none of debug, info, warn, error", c.Log.Level)
	}
	if !slices.Contains([]string{"auto", "text", "json"}, c.Log.Format) {
		bad("log.format", "%q is none of auto, text, json", c.Log.Format)
	}
	if c.Partitions.Chats < 1 || c.Partitions.Chats > 2048 {
		bad("partitions.chats", "%d is not between 1 and 2048", c.Partitions.Chats)
	}
	if c.Partitions.Rooms < 1 || c.Partitions.Rooms > 1024 {
		bad("partitions.rooms", "%d is not between 1 and 1024", c.Partitions.Rooms)
	}
	if c.Limits.MessageBytes < 1 || c.Limits.MessageBytes > c.Gateway.MaxFrame/2 {
		bad("limits.message_bytes", "%d is not between 1 and half of gateway.max_frame", c.Limits.MessageBytes)
	}
	if !c.Dev {
		if c.AdminKey == "" {
			bad("admin_key", "must be set (there are no default secrets)")
		}
		if c.TokenKey == "" && c.TokenKeyFile == "" {
			bad("token_key_file", "must be set, or token_key in the environment (there are no default secrets)")
		}
	}
	errs = append(errs, c.Gateway.Validate(), c.REST.Validate())
	return errors.Join(errs...)
}

// tree returns the settings as nested maps for printing, secrets hidden.
func (c *config) tree() map[string]any { return structTree(reflect.ValueOf(*c)) }

func structTree(v reflect.Value) map[string]any {
	out := map[string]any{}
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Tag.Get("mapstructure"), v.Field(i)
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
