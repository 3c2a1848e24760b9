package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway/client"
)

func TestServeWithoutDevMakesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	_, errs, code := command(t, nil, "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	require.Equal(t, 1, code)
	for _, want := range []string{"admin_key: must be set", "token_key_file: must be set", data + " is not there"} {
		require.Contains(t, errs, want)
	}
	require.NoDirExists(t, data)

	require.NoError(t, os.Mkdir(data, 0o700))
	env := []string{"PARLEY_ADMIN_KEY=" + randomHex(16)}
	_, errs, code = command(t, env, "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "token_key_file: must be set")
	require.NotContains(t, errs, "admin_key")
	files, err := os.ReadDir(data)
	require.NoError(t, err)
	require.Empty(t, files, "neither keys nor databases")
}

// An operator's day: apps, tokens and log-in on a server that was configured by a file.
func TestServeWithoutDev(t *testing.T) {
	t.Parallel()
	s, key := serveFor(t, "log: {format: json}\n")
	env := []string{"PARLEY_ADMIN_KEY=" + key, "PARLEY_ADMIN=" + strings.TrimPrefix(s.admin, "http://")}
	keyFile := write(t, filepath.Join(t.TempDir(), "admin.key"), key+"\n", 0o600)
	byFlags := []string{"--admin", s.admin, "--key-file", keyFile}

	require.Empty(t, asked(t, env, "app", "list")["apps"], "there is no app until somebody makes one")
	app := asked(t, env, "app", "create", "acme#shop")
	require.NotEmpty(t, app["client_id"])
	require.NotEmpty(t, app["client_secret"])
	list := asked(t, nil, append([]string{"app", "list"}, byFlags...)...)
	require.Len(t, list["apps"], 1)
	text, err := json.Marshal(list)
	require.NoError(t, err)
	require.NotContains(t, string(text), app["client_secret"], "it is shown once")

	ana := tokenOf(t, asked(t, env, "token", "--app", "acme#shop", "--user", "ana", "--create"))
	bob := tokenOf(t, asked(t, nil, append([]string{"token", "--app", "acme#shop", "--user", "bob", "--create", "--ttl", "1h"}, byFlags...)...))
	a, b := login(t, s.ws, "acme#shop", "ana", ana), login(t, s.ws, "acme#shop", "bob", bob)
	send(t, a, "bob", "to work")
	receive(t, b, "to work")

	_, errs, code := command(t, env, "token", "--app", "acme#shop", "--user", "cleo")
	require.Equal(t, 1, code, "without --create nobody is made")
	require.Contains(t, errs, "404")
	_, _, code = command(t, env, "token", "--app", "nobody#shop")
	require.Equal(t, 1, code)
	_, errs, code = command(t, env, "app", "create", "acme#shop")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "there is an app with this id")
	_, errs, code = command(t, env, "app", "create", "acme")
	require.Equal(t, 1, code)
	require.NotEmpty(t, errs)
	status, _ := ask(t, web, http.MethodPost, s.rest+"/acme/shop/users", `{"username":"dora","password":"x"}`, "Content-Type: application/json")
	require.Equal(t, http.StatusUnauthorized, status, "registration is closed")
	require.Equal(t, http.StatusForbidden, upgrade(t, s.ws, "Origin: https://app.example"), "no origin is allowed")
	_, metrics := ask(t, web, http.MethodGet, s.admin+"/metrics", "")
	require.Contains(t, metrics, `parley_gateway_refused_total{reason="origin"} 1`)

	asked(t, env, "app", "delete", "acme#shop")
	require.Empty(t, asked(t, env, "app", "list")["apps"])
	_, err = client.Dial(within(t), s.ws, client.Options{AppKey: "acme#shop", User: "ana", Token: "x" /* whatever */, Resource: "web_2"})
	require.Error(t, err)
	_, _, code = command(t, env, "app", "delete", "acme#shop")
	require.Equal(t, 1, code)
	_, _, code = command(t, env, "app", "create", "acme#shop")
	require.Equal(t, 1, code, "its id is not given out again")
	s.stop()
	require.NotContains(t, s.out.String()+s.log.String(), key)
}

func TestClientCommandsSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().String()
	require.NoError(t, l.Close())
	for _, c := range []struct {
		name string
		env  []string
		args []string
		want string
	}{
		{name: "no key", args: []string{"app", "list"}, want: "no admin key"},
		{name: "no server", env: []string{"PARLEY_ADMIN_KEY=k"}, args: []string{"app", "list", "--admin", closed}, want: "the server does not answer"},
		{name: "no file", args: []string{"app", "list", "--key-file", "/no/file"}, want: "/no/file"},
		{
			name: "a key that all may read", args: []string{"app", "list", "--key-file", write(t, filepath.Join(t.TempDir(), "key"), "k", 0o644)},
			want: "can be read by others",
		},
		{name: "no app to make", args: []string{"app", "create"}, want: "accepts 1 arg"},
		{name: "no app id", env: []string{"PARLEY_ADMIN_KEY=k"}, args: []string{"app", "delete", "acme"}, want: "parley: "},
		{name: "an unknown command", args: []string{"sevre"}, want: `unknown command "sevre"`},
		{name: "an unknown flag", args: []string{"serve", "--prot", "1"}, want: "unknown flag: --prot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := command(t, c.env, c.args...)
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.Contains(t, errs, c.want)
		})
	}
}

// certificate makes a certificate for this machine, and a pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "parley"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile = write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	keyFile = write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), 0o600)
	return certFile, keyFile, pool
}

func TestTLSByFiles(t *testing.T) {
	t.Parallel()
	certFile, keyFile, pool := certificate(t)
	s, key := serveFor(t, "tls: {cert: "+certFile+", key: "+keyFile+"}\n")
	require.True(t, strings.HasPrefix(s.rest, "https://") && strings.HasPrefix(s.ws, "wss://"), "%s %s", s.rest, s.ws)
	secure := &http.Client{Timeout: startLimit, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}}
	env := []string{"PARLEY_ADMIN_KEY=" + key}
	app := asked(t, env, "app", "create", "acme#shop", "--admin", s.admin)
	status, body := ask(t, secure, http.MethodPost, s.rest+"/acme/shop/token",
		`{"grant_type":"client_credentials","client_id":"`+app["client_id"].(string)+`","client_secret":"`+app["client_secret"].(string)+`"}`,
		"Content-Type: application/json")
	require.Equal(t, http.StatusOK, status, body)
	var token struct {
		Text string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &token))
	status, body = ask(t, secure, http.MethodGet, s.rest+"/acme/shop/users", "", "Authorization: Bearer "+token.Text)
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, `"uri":"`+s.rest+`/acme/shop/users"`, "answers name the address with its scheme")

	ana := tokenOf(t, asked(t, env, "token", "--app", "acme#shop", "--user", "ana", "--create", "--admin", s.admin))
	c := login(t, s.ws, "acme#shop", "ana", ana, func(o *client.Options) { o.HTTPClient = secure })
	send(t, c, "ana", "for myself")
	require.NoError(t, c.Close())

	addr := strings.TrimPrefix(s.rest, "https://")
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, NextProtos: []string{"h2", "http/1.1"}}}).DialContext(within(t), "tcp", addr)
	require.NoError(t, err)
	require.Equal(t, "http/1.1", conn.(*tls.Conn).ConnectionState().NegotiatedProtocol, "a socket cannot be opened over HTTP/2")
	require.NoError(t, conn.Close())
	_, err = (&tls.Dialer{Config: &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}}).DialContext(within(t), "tcp", addr)
	require.Error(t, err, "old versions are refused")
	status, _ = ask(t, web, http.MethodGet, "http://"+addr+"/", "")
	require.Equal(t, http.StatusBadRequest, status, "plain text on the port of TLS")
	s.stop()
}

func TestTLSFilesThatAreNone(t *testing.T) {
	certFile, keyFile, _ := certificate(t)
	otherCert, _, _ := certificate(t)
	enough(t)
	for _, c := range []struct{ name, cert, key, want string }{
		{"no key", certFile, "", "tls.cert and tls.key go together"},
		{"no certificate", "", keyFile, "tls.cert and tls.key go together"},
		{"missing file", certFile, keyFile + "x", "no such file"},
		{"of another certificate", otherCert, keyFile, "private key does not match public key"},
		{"swapped", keyFile, certFile, "tls.cert and tls.key: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PARLEY_TLS_CERT", c.cert)
			t.Setenv("PARLEY_TLS_KEY", c.key)
			_, err := printedConfig(t)
			got := lines(t, err)
			require.Len(t, got, 1)
			require.Contains(t, got[0], c.want)
			require.Contains(t, got[0], "PARLEY_TLS_")
		})
	}
}

// The addresses in answers and the check of origins follow a trusted proxy, and nobody else.
func TestProxiesInFront(t *testing.T) {
	t.Parallel()
	told := []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: chat.example.org"}
	for _, c := range []struct {
		name, settings string
		trusted        bool
	}{
		{"trusted", "trusted_proxies: [127.0.0.0/8, '::1']\n", true},
		{"not trusted", "trusted_proxies: [10.0.0.0/8]\n", false},
		{"none", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, key := serveFor(t, c.settings)
			asked(t, []string{"PARLEY_ADMIN_KEY=" + key}, "app", "create", "acme#shop", "--admin", s.admin)
			token := tokenOf(t, asked(t, []string{"PARLEY_ADMIN_KEY=" + key}, "token", "--app", "acme#shop", "--admin", s.admin))
			base, origin := s.rest, http.StatusForbidden
			if c.trusted {
				base, origin = "https://chat.example.org", http.StatusSwitchingProtocols
			}
			_, body := ask(t, web, http.MethodGet, s.rest+"/acme/shop/users", "", append(told, "Authorization: Bearer "+token)...)
			require.Contains(t, body, `"uri":"`+base+`/acme/shop/users"`)
			_, body = ask(t, web, http.MethodGet, s.rest+"/easemob/server.json?app_key=acme%23shop", "", told...)
			require.Equal(t, c.trusted, strings.Contains(body, `{"protocol":"https","domain":"chat.example.org","port":"443"`), body)
			require.Equal(t, origin, upgrade(t, s.ws, append(told, "Origin: https://chat.example.org")...))
			require.Equal(t, http.StatusForbidden, upgrade(t, s.ws, append(told, "Origin: https://evil.example")...))
			// Without its headers the connection counts.
			_, body = ask(t, web, http.MethodGet, s.rest+"/acme/shop/users", "", "Authorization: Bearer "+token)
			require.Contains(t, body, `"uri":"`+s.rest+`/acme/shop/users"`)
		})
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	s, _ := serveFor(t, "public_url: https://chat.example.org/\ntrusted_proxies: [127.0.0.1]\n")
	require.Equal(t, "https://chat.example.org", s.rest)
	require.Equal(t, "wss://chat.example.org/ws", s.ws)
}
