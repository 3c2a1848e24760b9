package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// printed runs `parley config` in this process.
func printedConfig(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := rootCommand()
	root.SetOut(&out)
	root.SetArgs(append([]string{"config"}, args...))
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// inForce returns one setting of what `parley config` prints.
func inForce(t *testing.T, key string, args ...string) any {
	t.Helper()
	out, err := printedConfig(t, args...)
	require.NoError(t, err)
	tree := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(out), &tree))
	var v any = tree
	for part := range strings.SplitSeq(key, ".") {
		m, ok := v.(map[string]any)
		require.True(t, ok, "%s in\n%s", key, out)
		v, ok = m[part]
		require.True(t, ok, "%s in\n%s", key, out)
	}
	return v
}

func configFile(t *testing.T, name, content string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), name), content, 0o600)
}

func TestConfigPrecedence(t *testing.T) {
	const file = "listen: 127.0.0.1:1001\nlog:\n  level: warn\ngateway:\n  window: 41\n  idle_timeout: 77s\n  origins: [https://a.example]\n"
	for _, c := range []struct {
		name, key string
		file      string
		env       map[string]string
		args      []string
		want      any
	}{
		{name: "default", key: "listen", want: "127.0.0.1:8080"},
		{name: "file over default", key: "listen", file: file, want: "127.0.0.1:1001"},
		{name: "environment over file", key: "listen", file: file, env: map[string]string{"PARLEY_LISTEN": "127.0.0.1:1002"}, want: "127.0.0.1:1002"},
		{
			name: "flag over environment", key: "listen", file: file, env: map[string]string{"PARLEY_LISTEN": "127.0.0.1:1002"},
			args: []string{"--listen", "127.0.0.1:1003"}, want: "127.0.0.1:1003",
		},
		{
			name: "a flag's default is no setting", key: "log.level", file: file, want: "warn",
		},
		{name: "flag with a dot over file", key: "log.level", file: file, args: []string{"--log.level", "debug"}, want: "debug"},
		{name: "nested in file", key: "gateway.window", file: file, want: 41},
		{name: "nested in environment", key: "gateway.window", file: file, env: map[string]string{"PARLEY_GATEWAY_WINDOW": "42"}, want: 42},
		{name: "duration", key: "gateway.idle_timeout", file: file, want: "1m17s"},
		{name: "list in file replaces the default", key: "gateway.origins", file: file, args: []string{"--dev"}, want: []any{"https://a.example"}},
		{
			name: "list in environment", key: "rest.origins", env: map[string]string{"PARLEY_REST_ORIGINS": "https://a.example,https://b.example"},
			want: []any{"https://a.example", "https://b.example"},
		},
		{name: "room in file", key: "rooms.window", file: "rooms: {window: 25ms, keep: 3m}\n", want: "25ms"},
		{name: "room's lease in file", key: "rooms.keep", file: "rooms: {window: 25ms, keep: 3m}\n", want: "3m0s"},
		{name: "room in environment", key: "rooms.on_join", env: map[string]string{"PARLEY_ROOMS_ON_JOIN": "7"}, want: 7},
		{name: "room's lease in environment", key: "rooms.max_joined", env: map[string]string{"PARLEY_ROOMS_MAX_JOINED": "9"}, want: 9},
		{name: "map in file", key: "rest.rates.users", file: "rest:\n  rates:\n    users: 7\n", want: 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			enough(t)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			args := c.args
			if c.file != "" {
				args = append(args, "--config", configFile(t, "parley.yaml", c.file))
			}
			require.Equal(t, c.want, inForce(t, c.key, args...))
		})
	}
}

// enough sets what a server needs that is no development server.
func enough(t *testing.T) {
	t.Helper()
	t.Setenv("PARLEY_ADMIN_KEY", randomHex(16))
	t.Setenv("PARLEY_TOKEN_KEY", randomHex(minKey))
	t.Setenv("PARLEY_DATA", t.TempDir())
}

func TestConfigFileForms(t *testing.T) {
	for name, content := range map[string]string{
		"parley.yaml": "gateway:\n  window: 43\n",
		"parley.toml": "[gateway]\nwindow = 43\n",
		"parley.json": `{"gateway":{"window":43}}`,
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, 43, inForce(t, "gateway.window", "--dev", "--config", configFile(t, name, content)))
			t.Setenv("PARLEY_CONFIG", configFile(t, name, content))
			require.Equal(t, 43, inForce(t, "gateway.window", "--dev"))
		})
	}
}

// What is printed can be used as a file, and says the same again.
func TestConfigPrintsWhatItReads(t *testing.T) {
	for _, args := range [][]string{{"--dev"}, {"--dev", "--listen", "[::1]:0", "--log.format", "json"}} {
		out, err := printedConfig(t, args...)
		require.NoError(t, err)
		again, err := printedConfig(t, "--config", configFile(t, "parley.yaml", out))
		require.NoError(t, err)
		require.Equal(t, out, again)
	}
}

func TestConfigDevFromEverySource(t *testing.T) {
	file := configFile(t, "parley.yaml", "dev: true\n")
	for _, c := range []struct {
		name, env string
		args      []string
		dev       bool
	}{
		{name: "no source"},
		{name: "flag", args: []string{"--dev"}, dev: true},
		{name: "environment", env: "true", dev: true},
		{name: "environment in short", env: "1", dev: true},
		{name: "file", args: []string{"--config", file}, dev: true},
		{name: "flag against file", args: []string{"--config", file, "--dev=false"}},
		{name: "flag against environment", env: "true", args: []string{"--dev=false"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			enough(t)
			t.Setenv("PARLEY_DEV", c.env)
			require.Equal(t, c.dev, inForce(t, "dev", c.args...))
			if c.dev {
				require.Equal(t, []any{"*"}, inForce(t, "gateway.origins", c.args...))
			} else {
				require.Empty(t, inForce(t, "gateway.origins", c.args...))
			}
		})
	}
}

func TestConfigListensOnLoopbackUnlessTold(t *testing.T) {
	enough(t)
	for _, args := range [][]string{nil, {"--dev"}} {
		require.Equal(t, "127.0.0.1:8080", inForce(t, "listen", args...))
		require.Equal(t, "127.0.0.1:9090", inForce(t, "admin", args...))
	}
	require.Empty(t, inForce(t, "trusted_proxies"))
	require.Empty(t, inForce(t, "rest.origins"))
}

// lines returns what a wrong configuration is reported with, without the first line.
func lines(t *testing.T, err error) []string {
	t.Helper()
	require.Error(t, err)
	all := strings.Split(err.Error(), "\n")
	require.Equal(t, "the configuration is wrong:", all[0])
	return all[1:]
}

func TestConfigNamesEveryProblemAsWritten(t *testing.T) {
	file := configFile(t, "bad.yaml", `
listen: nowhere
log: {level: loud}
partitions: {chats: 0, rooms: many}
gateway: {idle_timeout: 5 parsecs, auth_timeout: -1s, windw: 9, drain_time: 1h, drain_answers: 3s}
limits: {message_bytes: 10000000}
rest: {rates: {nothing: 1}, origins: [somewhere]}
rooms: {on_join: 201, heartbeat: 3m, rates: 5}
tls: {cert: /no/cert.pem}
public_url: chat.example.org
trusted_proxies: [10.0.0.0/99, 10.0.0.1]
surprise: 1
`)
	t.Setenv("PARLEY_GATEWAY_WINDOW", "400")
	t.Setenv("PARLEY_GATEWAY_CAP", "lots")
	t.Setenv("PARLEY_LISTENER", "x")
	t.Setenv("PARLEY_DATA", "/no/such/folder")
	got := lines(t, func() error {
		_, err := printedConfig(t, "--config", file, "--admin", "nowhere-else", "--log.format", "xml")
		return err
	}())
	want := []string{
		`PARLEY_LISTENER: there is no such setting (environment)`,
		`admin: "nowhere-else" is not host:port (--admin)`,
		`admin_key: must be set, best as PARLEY_ADMIN_KEY (there are no default secrets)`,
		`data: /no/such/folder is not there: make the folder (PARLEY_DATA)`,
		`gateway.auth_timeout is -1s, must be above 0 (bad.yaml)`,
		`gateway.cap: "lots": cannot parse value as 'int': strconv.ParseInt: invalid syntax (PARLEY_GATEWAY_CAP)`,
		`gateway.drain_answers: 3s is not between 0s and 2.5s (bad.yaml)`,
		`gateway.drain_time: 1h0m0s is not between 0s and 5s (bad.yaml)`,
		`gateway.idle_timeout: "5 parsecs": time: unknown unit (bad.yaml)`,
		`gateway.window is 400, must be below 100: clients show again what they have forgotten (PARLEY_GATEWAY_WINDOW)`,
		`gateway.windw: there is no such setting (bad.yaml)`,
		`limits.message_bytes: 10000000 is not between 1 and half of gateway.max_frame (bad.yaml)`,
		`listen: "nowhere" is not host:port (bad.yaml)`,
		`log.format: "xml" is none of ["auto" "text" "json"] (--log.format)`,
		`log.level: "loud" is none of ["debug" "info" "warn" "error"] (bad.yaml)`,
		`partitions.chats: 0 is not between 1 and 2048 (bad.yaml)`,
		`partitions.rooms: "many": cannot parse value as 'int': strconv.ParseInt: invalid syntax (bad.yaml)`,
		`public_url: "chat.example.org" is not an address such as https://chat.example.org (bad.yaml)`,
		`rest.origins: "somewhere" is not an origin such as https://example.org (bad.yaml)`,
		`rest.rates.nothing is not the name of an API (bad.yaml)`,
		`rooms.heartbeat is 3m0s, must be above 0 and below rooms.keep (bad.yaml)`,
		`rooms.on_join is 201, must be 0 to 200 (bad.yaml)`,
		`rooms.rates: there is no such setting (bad.yaml)`,
		`surprise: there is no such setting (bad.yaml)`,
		`tls: tls.cert and tls.key go together (bad.yaml)`,
		`token_key_file: must be set, or token_key by PARLEY_TOKEN_KEY (there are no default secrets)`,
		`trusted_proxies: "10.0.0.0/99" is neither a network such as 10.0.0.0/8 nor an address (bad.yaml)`,
	}
	require.Equal(t, want, got)
}

func TestConfigFileThatCannotBeRead(t *testing.T) {
	for name, file := range map[string]string{
		"missing":  filepath.Join(t.TempDir(), "absent.yaml"),
		"no YAML":  configFile(t, "parley.yaml", "listen: [\n"),
		"no form":  configFile(t, "parley.docx", "listen: x\n"),
		"a folder": t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := printedConfig(t, "--dev", "--config", file)
			require.ErrorContains(t, err, "config file "+file)
		})
	}
}

// Kubernetes sets these for a service named parley; they are nobody's mistake.
func TestConfigLeavesServiceLinksAlone(t *testing.T) {
	t.Setenv("PARLEY_SERVICE_HOST", "10.0.0.7")
	t.Setenv("PARLEY_SERVICE_PORT_HTTP", "8080")
	t.Setenv("PARLEY_PORT", "tcp://10.0.0.7:8080")
	t.Setenv("PARLEY_PORT_8080_TCP_ADDR", "10.0.0.7")
	t.Setenv("PARLEY_ADMIN_SERVICE_HOST", "10.0.0.8")
	_, err := printedConfig(t, "--dev")
	require.NoError(t, err)
}

func TestConfigHidesSecrets(t *testing.T) {
	adminKey, tokenKey := randomHex(20), randomHex(minKey)
	file := configFile(t, "parley.yaml", "token_key: "+tokenKey+"\ndata: "+t.TempDir()+"\n")
	t.Setenv("PARLEY_ADMIN_KEY", adminKey)
	out, err := printedConfig(t, "--config", file)
	require.NoError(t, err)
	require.NotContains(t, out, adminKey)
	require.NotContains(t, out, tokenKey)
	require.Equal(t, 2, strings.Count(out, "[hidden]"), out)

	for name, content := range map[string]string{
		"a list":          "token_key: [" + tokenKey + "]\n",
		"a map":           "token_key: {is: " + tokenKey + "}\n",
		"not hexadecimal": "token_key: z" + tokenKey + "\n",
		"beside problems": "token_key: " + tokenKey + "\ngateway: {window: 0}\n",
	} {
		t.Run(name, func(t *testing.T) {
			out, err := printedConfig(t, "--config", configFile(t, "parley.yaml", content))
			require.Error(t, err)
			require.NotContains(t, out+err.Error(), tokenKey)
			require.NotContains(t, out+err.Error(), adminKey)
		})
	}
}

func TestConfigRefusesSecretsThatOthersMayRead(t *testing.T) {
	enough(t)
	file := configFile(t, "parley.yaml", "admin_key: "+randomHex(16)+"\n")
	_, err := printedConfig(t, "--config", file)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(file, 0o640))
	_, err = printedConfig(t, "--config", file)
	require.Equal(t, 1, len(lines(t, err)))
	require.ErrorContains(t, err, "admin_key: "+file+" can be read by others (mode 0640): chmod 600")
	require.NoError(t, os.WriteFile(file, []byte("log: {level: warn}\n"), 0o600))
	_, err = printedConfig(t, "--config", file)
	require.NoError(t, err, "a file without secrets may be anybody's")
}

func TestConfigTokenKeyFile(t *testing.T) {
	for _, c := range []struct {
		name, content string
		mode          os.FileMode
		want          string // in the problem; empty: there is none
	}{
		{name: "good", content: randomHex(minKey) + "\n", mode: 0o600},
		{name: "read-only", content: randomHex(64), mode: 0o400},
		{name: "readable by the group", content: randomHex(minKey), mode: 0o640, want: "can be read by others (mode 0640): chmod 600"},
		{name: "readable by all", content: randomHex(minKey), mode: 0o604, want: "can be read by others (mode 0604)"},
		{name: "short", content: randomHex(minKey - 1), mode: 0o600, want: "31 bytes, must be at least 32"},
		{name: "empty", mode: 0o600, want: "0 bytes"},
		{name: "not hexadecimal", content: strings.Repeat("xy", minKey), mode: 0o600, want: "not hexadecimal"},
		{name: "missing", want: "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			enough(t)
			t.Setenv("PARLEY_TOKEN_KEY", "")
			file := filepath.Join(t.TempDir(), "token.key")
			if c.mode != 0 {
				write(t, file, c.content, c.mode)
			}
			t.Setenv("PARLEY_TOKEN_KEY_FILE", file)
			_, err := printedConfig(t)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			got := lines(t, err)
			require.Len(t, got, 1)
			require.True(t, strings.HasPrefix(got[0], "token_key_file: "), got)
			require.True(t, strings.HasSuffix(got[0], " (PARLEY_TOKEN_KEY_FILE)"), got)
			require.Contains(t, got[0], c.want)
			if c.content != "" {
				require.NotContains(t, got[0], c.content)
			}
		})
	}
}
