package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// secretKeys are the settings that are never shown. A file that holds one must be its reader's alone.
var secretKeys = []string{"admin_key", "token_key", "kafka.password", "cassandra.password"}

// loader joins what sets a setting: flags before environment before file before defaults. It remembers which one it was.
type loader struct {
	all      *viper.Viper
	file     *viper.Viper // what is in the file alone
	fileName string
	flags    *pflag.FlagSet
	known    map[string]bool
}

// loadConfig reads flags, environment and file. Every problem is reported at once, with the names that the user wrote.
func loadConfig(flags *pflag.FlagSet, file string) (config, error) {
	l := &loader{all: viper.New(), file: viper.New(), fileName: file, flags: flags, known: map[string]bool{}}
	l.all.SetEnvPrefix("parley")
	l.all.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	l.all.AutomaticEnv()
	if err := l.readFile(); err != nil {
		return config{}, err
	}
	if err := l.bind("dev"); err != nil {
		return config{}, err
	}
	c := defaults(l.all.GetBool("dev")) // something else than true or false is reported with the rest
	if err := l.setDefaults(c); err != nil {
		return config{}, err
	}
	problems := append(l.unknownInFile(), l.unknownEnv()...)
	problems = append(problems, l.openSecrets()...)
	// What cannot be read keeps its default, so that the rest is still checked.
	unread := map[string]bool{}
	if err := l.all.Unmarshal(&c, func(dc *mapstructure.DecoderConfig) { dc.ZeroFields = true }); err != nil {
		problems = append(problems, l.decodeProblems(err, unread)...)
	}
	for _, err := range flatten(c.validate()) {
		if name, _, _ := strings.Cut(err.Error(), ":"); !unread[name] {
			problems = append(problems, err)
		}
	}
	return c, l.report(problems)
}

func (l *loader) readFile() error {
	if l.fileName == "" {
		return nil
	}
	l.file.SetConfigFile(l.fileName)
	if err := l.file.ReadInConfig(); err != nil {
		return fmt.Errorf("config file %s: %w", l.fileName, err)
	}
	return l.all.MergeConfigMap(l.file.AllSettings())
}

func (l *loader) bind(key string) error {
	if f := l.flags.Lookup(key); f != nil {
		return l.all.BindPFlag(key, f)
	}
	return nil
}

// setDefaults makes every key known, so that the environment can set it, and binds those that are flags.
func (l *loader) setDefaults(c config) error {
	var m map[string]any
	if err := mapstructure.Decode(c, &m); err != nil {
		return fmt.Errorf("defaults: %w", err)
	}
	var errs []error
	var walk func(prefix string, m map[string]any)
	walk = func(prefix string, m map[string]any) {
		for k, val := range m {
			if sub, ok := val.(map[string]any); ok {
				walk(prefix+k+".", sub)
				continue
			}
			l.known[prefix+k] = true
			l.all.SetDefault(prefix+k, val)
			errs = append(errs, l.bind(prefix+k))
		}
	}
	walk("", m)
	return errors.Join(errs...)
}

// unknownInFile reports what the file sets and nobody reads.
func (l *loader) unknownInFile() (problems []error) {
	for _, key := range l.file.AllKeys() {
		if !l.isKnown(key) {
			problems = append(problems, fmt.Errorf("%s: there is no such setting (%s)", key, filepath.Base(l.fileName)))
		}
	}
	return problems
}

// isKnown tells whether a key is a setting, an entry of one that is a map, or a section (whose wrong type is reported when it is read).
func (l *loader) isKnown(key string) bool {
	if l.known[key] || strings.HasPrefix(key, "rest.rates.") {
		return true
	}
	for k := range l.known {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

// serviceLink is what Kubernetes sets in every container for a service whose name begins with parley: no setting, and not the user's doing.
var serviceLink = regexp.MustCompile(`^PARLEY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$`)

// unknownEnv reports variables that look like ours and are not.
func (l *loader) unknownEnv() (problems []error) {
	known := map[string]bool{"PARLEY_CONFIG": true}
	for key := range l.known {
		known[envName(key)] = true
	}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "PARLEY_") && !known[name] && !serviceLink.MatchString(name) {
			problems = append(problems, fmt.Errorf("%s: there is no such setting (environment)", name))
		}
	}
	return problems
}

func envName(key string) string {
	return "PARLEY_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// openSecrets reports secrets in a file that others may read.
func (l *loader) openSecrets() (problems []error) {
	for _, key := range secretKeys {
		if !l.file.IsSet(key) {
			continue
		}
		if err := private(l.fileName); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("%s: %w", key, err))
		}
	}
	return problems
}

// decodeProblems says which values have the wrong type, and notes their names. Of a secret it says no more.
func (l *loader) decodeProblems(err error, unread map[string]bool) (problems []error) {
	for _, err := range flatten(errors.Unwrap(err)) {
		var at *mapstructure.DecodeError
		if !errors.As(err, &at) {
			problems = append(problems, err)
			continue
		}
		name := at.Name()
		unread[name] = true
		if slices.Contains(secretKeys, name) {
			problems = append(problems, fmt.Errorf("%s: is no text", name))
			continue
		}
		problems = append(problems, fmt.Errorf("%s: %q: %w", name, fmt.Sprint(l.all.Get(name)), at.Unwrap()))
	}
	return problems
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error }) // only the outermost is taken apart
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}

// report joins problems in a fixed order, each with where the settings that it names were set.
func (l *loader) report(problems []error) error {
	lines := map[string]error{}
	for _, err := range problems {
		text := err.Error()
		if from := l.written(text); len(from) > 0 {
			err = fmt.Errorf("%w (%s)", err, strings.Join(from, ", "))
		}
		lines[text] = err
	}
	sorted := make([]error, 0, len(lines))
	for _, text := range slices.Sorted(maps.Keys(lines)) {
		sorted = append(sorted, lines[text])
	}
	return errors.Join(sorted...)
}

// keyInText finds the settings that a problem names: what it begins with, and whatever else has a dot.
var keyInText = regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)*|\b[a-z_]+(\.[a-z_]+)+\b`)

// written returns the names by which the user set what a problem is about. A default has none.
func (l *loader) written(problem string) (names []string) {
	for _, key := range keyInText.FindAllString(problem, -1) {
		if name := l.source(key); l.isKnown(key) && name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (l *loader) source(key string) string {
	if f := l.flags.Lookup(key); f != nil && f.Changed {
		return "--" + key
	}
	if os.Getenv(envName(key)) != "" {
		return envName(key)
	}
	if l.fileName != "" && l.file.IsSet(key) {
		return filepath.Base(l.fileName)
	}
	return ""
}
