package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestProxyHeaders(t *testing.T) {
	for _, c := range []struct {
		name    string
		peer    string
		headers []string // "Name: value"
		trusted []string // 10.0.0.0/8 and fd00::/8 when nil
		addr    string
		scheme  string
		host    string
	}{
		{name: "nothing told", peer: "10.0.0.1:5", addr: "10.0.0.1:5", host: "here"},
		{
			name: "trusted", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: chat.example.org"},
			addr: "1.2.3.4:0", scheme: "https", host: "chat.example.org",
		},
		{
			name: "not trusted", peer: "11.0.0.1:5", headers: []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example"},
			addr: "11.0.0.1:5", host: "here",
		},
		{
			name: "nobody is trusted", peer: "127.0.0.1:5", headers: []string{"X-Forwarded-Host: evil.example"}, trusted: []string{},
			addr: "127.0.0.1:5", host: "here",
		},
		{name: "single address", peer: "9.9.9.9:5", headers: []string{"X-Forwarded-For: 1.2.3.4"}, trusted: []string{"9.9.9.9"}, addr: "1.2.3.4:0", host: "here"},
		{name: "another single address", peer: "9.9.9.8:5", headers: []string{"X-Forwarded-For: 1.2.3.4"}, trusted: []string{"9.9.9.9"}, addr: "9.9.9.8:5", host: "here"},
		{name: "IPv4 in IPv6", peer: "[::ffff:10.0.0.1]:5", headers: []string{"X-Forwarded-For: ::ffff:1.2.3.4"}, addr: "1.2.3.4:0", host: "here"},
		{name: "IPv6", peer: "[fd00::1]:5", headers: []string{"X-Forwarded-For: 2001:db8::1"}, addr: "[2001:db8::1]:0", host: "here"},
		{name: "several proxies", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-For: 1.2.3.4, 10.0.0.3, 10.0.0.2"}, addr: "1.2.3.4:0", host: "here"},
		{name: "invented hops", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-For: 6.6.6.6, 10.9.9.9, 1.2.3.4"}, addr: "1.2.3.4:0", host: "here"},
		{
			name: "several lines", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 10.0.0.2"},
			addr: "1.2.3.4:0", host: "here",
		},
		{name: "hops with ports", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-For: 1.2.3.4:99, [fd00::2]:7, [fd00::3]"}, addr: "1.2.3.4:0", host: "here"},
		{name: "only proxies", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, addr: "10.0.0.3:0", host: "here"},
		{name: "rubbish before a hop", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-For: 1.2.3.4, unknown, 10.0.0.2"}, addr: "10.0.0.2:0", host: "here"},
		{name: "rubbish", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-For: unknown", "X-Forwarded-Proto: gopher"}, addr: "10.0.0.1:5", host: "here"},
		{name: "chain of schemes and hosts", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-Proto: HTTPS, http", "X-Forwarded-Host: a.example:444, b.example"}, addr: "10.0.0.1:5", scheme: "https", host: "a.example:444"},
		{name: "host with a path", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-Host: a.example/x"}, addr: "10.0.0.1:5", host: "here"},
		{name: "host with a user", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-Host: a@b.example"}, addr: "10.0.0.1:5", host: "here"},
		{name: "host with a query", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-Host: a.example?x"}, addr: "10.0.0.1:5", host: "here"},
		{name: "no host", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-Host: :80"}, addr: "10.0.0.1:5", host: "here"},
		{name: "IPv6 host", peer: "10.0.0.1:5", headers: []string{"X-Forwarded-Host: [2001:db8::1]:8443"}, addr: "10.0.0.1:5", host: "[2001:db8::1]:8443"},
		{name: "headers that nobody reads", peer: "10.0.0.1:5", headers: []string{"Forwarded: for=6.6.6.6;proto=https", "X-Real-Ip: 6.6.6.6", "X-Forwarded-Port: 1"}, addr: "10.0.0.1:5", host: "here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.trusted == nil {
				c.trusted = []string{"10.0.0.0/8", "fd00::/8"}
			}
			p, err := parseProxies(c.trusted)
			require.NoError(t, err)
			r := httptest.NewRequest(http.MethodGet, "http://here/x", nil)
			r.RemoteAddr = c.peer
			r.Header.Set("X-Other", "stays")
			for _, h := range c.headers {
				name, value, _ := strings.Cut(h, ": ")
				r.Header.Add(name, value)
			}
			before := r.Header.Clone()
			var got *http.Request
			p.handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(httptest.NewRecorder(), r)
			require.Equal(t, c.addr, got.RemoteAddr)
			require.Equal(t, c.scheme, got.URL.Scheme)
			require.Equal(t, c.host, got.Host)
			require.Equal(t, http.Header{"X-Other": {"stays"}}, got.Header, "the headers are gone, whoever sent them")
			require.Equal(t, before, r.Header, "the server's own request stays as it is")
		})
	}
}

// Whatever a peer that is not trusted sends, what is behind sees the connection.
func TestProxyHeadersOfStrangersSayNothing(t *testing.T) {
	p, err := parseProxies([]string{"10.0.0.0/8"})
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		r := httptest.NewRequest(http.MethodGet, "http://here/x", nil)
		r.RemoteAddr = "192.0.2.1:5"
		for range rapid.IntRange(0, 5).Draw(t, "headers") {
			r.Header.Add(rapid.SampledFrom(forwarded).Draw(t, "name"), rapid.String().Draw(t, "value"))
		}
		got := p.seen(r)
		require.Equal(t, "192.0.2.1:5", got.RemoteAddr)
		require.Equal(t, "here", got.Host)
		require.Empty(t, got.URL.Scheme)
		require.Empty(t, got.Header)
	})
}

// A trusted proxy's rubbish never becomes an address, a scheme or a host that could break an answer.
func FuzzProxyHeaders(f *testing.F) {
	f.Add("1.2.3.4, 10.0.0.1", "https", "chat.example.org:443")
	f.Add("[::1]:x,,", "HTTP,", "[::1")
	p, err := parseProxies([]string{"10.0.0.0/8"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, client, proto, host string) {
		r := httptest.NewRequest(http.MethodGet, "http://here/x", nil)
		r.RemoteAddr = "10.0.0.1:5"
		r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"] = []string{client}, []string{proto}, []string{host}
		got := p.seen(r)
		require.Contains(t, []string{"", "http", "https"}, got.URL.Scheme)
		require.NotContains(t, got.Host, "/")
		require.NotEmpty(t, got.Host)
		_, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+got.Host+got.URL.Path, nil)
		require.NoError(t, err)
	})
}
