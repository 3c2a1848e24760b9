package main

import (
	"net"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// maxReserve is how many of the process's open files are kept from clients at most: the two databases hold up to 1,000 tables each open, and
// have to make files whatever clients do. A database that cannot make its next file ends the process.
const maxReserve = 2200

// connections is how many connections clients may hold, out of a limit on open files.
type connections struct {
	sessions int // WebSockets
	http     int // all others: requests, and connections on which nothing has been asked yet
}

// divide shares a limit on open files: half of it, or what the reserve leaves, is for clients, and a quarter of that for HTTP.
func divide(files int) connections {
	clients := files - min(files/2, maxReserve)
	return connections{sessions: clients - clients/4, http: clients / 4}
}

// boundConnections keeps clients from taking all files that the process may open. What the operator has set stays when it is lower.
func (n *node) boundConnections() {
	files := openFiles()
	if files == 0 {
		return // the system has no limit, or none that it tells
	}
	most := divide(files)
	n.maxHTTP = most.http
	if most.sessions < n.cfg.Gateway.MaxSessions {
		n.log.Info("fewer sockets than gateway.max_sessions: raise the limit on open files", "max_sessions", n.cfg.Gateway.MaxSessions,
			"open_files", files, "sockets", most.sessions, "http_connections", most.http)
		n.cfg.Gateway.MaxSessions = most.sessions
	}
}

// httpConns counts the connections of a server that are not WebSockets (yet), and closes those above a bound before anything is read.
type httpConns struct {
	most    int64 // 0: no bound
	open    atomic.Int64
	refused prometheus.Counter
}

func newHTTPConns(most int, reg prometheus.Registerer) *httpConns {
	h := &httpConns{most: int64(most), refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "parley_http_connections_refused_total", Help: "Connections closed at once because too many were open.",
	})}
	reg.MustRegister(h.refused)
	return h
}

// note is a hook for http.Server.ConnState. A connection ends as hijacked or as closed, once.
func (h *httpConns) note(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if open := h.open.Add(1); h.most > 0 && open > h.most {
			h.refused.Inc()
			_ = c.Close() // the server's first read then fails, and counts it out
		}
	case http.StateHijacked, http.StateClosed:
		h.open.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}
