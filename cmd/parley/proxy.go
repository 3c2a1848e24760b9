package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// proxies are the networks whose word about a request counts.
//
// What is behind the handler sees one truth: RemoteAddr, URL.Scheme and Host are those of the client when a trusted proxy tells them, else those
// of the connection; and the headers are gone, so that nobody can believe one that a client has made up. A trusted proxy must set or drop
// each of the three headers, as every proxy's manual has it: of what a client sent through it we cannot tell the author.
type proxies []netip.Prefix

// forwarded are the headers that proxies set.
var forwarded = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Ssl",
	"X-Forwarded-Scheme", "X-Real-Ip",
}

// handler passes requests on as the client made them.
func (p proxies) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, p.seen(r)) })
}

// seen returns the request as the client made it. It does not change r.
func (p proxies) seen(r *http.Request) *http.Request {
	out := new(http.Request)
	*out = *r
	out.URL = new(url.URL)
	*out.URL = *r.URL
	out.URL.Scheme, out.URL.Host = "", "" // a request line may name any
	told := false
	for _, name := range forwarded {
		told = told || len(r.Header[name]) > 0
	}
	if !told {
		return out
	}
	out.Header = r.Header.Clone()
	for _, name := range forwarded {
		out.Header.Del(name)
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.contain(peer.Addr()) {
		return out
	}
	if client, ok := p.client(r.Header.Values("X-Forwarded-For")); ok {
		out.RemoteAddr = netip.AddrPortFrom(client, 0).String()
	}
	if proto := strings.ToLower(first(r.Header.Values("X-Forwarded-Proto"))); proto == "http" || proto == "https" {
		out.URL.Scheme = proto
	}
	if host := first(r.Header.Values("X-Forwarded-Host")); isHost(host) {
		out.Host = host
	}
	return out
}

func (p proxies) contain(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// client returns the last address that is no trusted proxy's: those before it may be invented.
func (p proxies) client(values []string) (client netip.Addr, ok bool) {
	hops := strings.Split(strings.Join(values, ","), ",")
	for _, hop := range slices.Backward(hops) {
		hop = strings.TrimSpace(hop)
		addr, err := netip.ParseAddr(strings.Trim(hop, "[]"))
		if err != nil {
			with, err := netip.ParseAddrPort(hop)
			if err != nil {
				return client, ok
			}
			addr = with.Addr()
		}
		client, ok = addr.Unmap(), true
		if !p.contain(addr) {
			return client, ok
		}
	}
	return client, ok
}

// first returns what the outermost proxy said.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	v, _, _ := strings.Cut(values[0], ",")
	return strings.TrimSpace(v)
}

// isHost tells whether a text is a host with or without a port, and nothing more.
func isHost(s string) bool {
	u, err := url.Parse("http://" + s)
	if err != nil || s == "" || u.Host != s || u.Hostname() == "" {
		return false
	}
	_, _, err = net.SplitHostPort(s)
	return u.Port() == "" || err == nil
}
