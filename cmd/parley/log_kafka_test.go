package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
)

// A log in Kafka is read directly, beside the server that serves from it, with nothing of its keys.
func TestLogInKafka(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(broker.Close)
	settings := fmt.Sprintf("storage: {log: kafka}\npartitions: {chats: 2, rooms: 1}\nkafka: {brokers: ['%s'], replicas: 1}\n", broker.ListenAddrs()[0])
	s, key := serveFor(t, settings)
	env := []string{"PARLEY_ADMIN_KEY=" + key}
	asked(t, env, "app", "create", "acme#shop", "--admin", s.admin)
	tokens := map[string]string{}
	for _, user := range []string{"ana", "bob"} {
		tokens[user] = tokenOf(t, asked(t, env, "token", "--app", "acme#shop", "--user", user, "--create", "--admin", s.admin))
	}
	send(t, login(t, s.ws, "acme#shop", "ana", tokens["ana"]), "bob", "over Kafka")

	file := write(t, filepath.Join(t.TempDir(), "parley.yaml"), settings, 0o644)
	direct, errs, code := command(t, nil, "log", "export", "--bodies", "--config", file)
	require.Zero(t, code, errs)
	require.Contains(t, direct, "over Kafka")
	asServed, errs, code := command(t, env, "log", "export", "--bodies", "--admin", s.admin)
	require.Zero(t, code, errs)
	require.Equal(t, asServed, direct)
	out, errs, code := command(t, nil, "log", "verify", "--config", file)
	require.Zero(t, code, "%s %s", out, errs)
	_, errs, code = command(t, nil, "log", "verify", "--data", t.TempDir())
	require.Equal(t, 1, code)
	require.Contains(t, errs, "there is no log in this folder")
	require.Contains(t, errs, "a log in Kafka is found by the server's --config file or --admin address")
	_, errs, code = command(t, env, "backup", filepath.Join(t.TempDir(), "b"), "--admin", s.admin)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "a backup is of the embedded log and store; here they are kafka and pebble")
	s.stop()
}

// A development server's folder says where the server is, which is asked when its log is in Kafka. When it has ended, the folder says what else helps.
func TestLogInKafkaOfDev(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(broker.Close)
	data := t.TempDir()
	file := write(t, filepath.Join(t.TempDir(), "parley.yaml"), fmt.Sprintf(
		"storage: {log: kafka}\npartitions: {chats: 2, rooms: 1}\nkafka: {brokers: ['%s'], replicas: 1}\n", broker.ListenAddrs()[0]), 0o600)
	s := serveDev(t, data, "PARLEY_CONFIG="+file)
	s.token("ana")
	direct, errs, code := command(t, nil, "log", "export", "--config", file)
	require.Zero(t, code, errs)
	require.Contains(t, direct, "ana")
	byFolder, errs, code := command(t, nil, "log", "export", "--data", data)
	require.Zero(t, code, errs)
	require.Equal(t, direct, byFolder)
	_, errs, code = command(t, nil, "log", "verify", "--data", data)
	require.Zero(t, code, errs)
	s.stop()
	_, errs, code = command(t, nil, "log", "verify", "--data", data)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "there is no log in this folder")
	require.Contains(t, errs, "the server does not answer")
}
