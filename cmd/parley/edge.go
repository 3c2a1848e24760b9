package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// edge is the node's two listeners: REST and WebSocket on one, what operators need on the other.
type edge struct {
	node  *node
	api   net.Listener
	admin net.Listener

	apiServer   *http.Server
	adminServer *http.Server
	operator    *operator
}

func newEdge(ctx context.Context, n *node, rest, adminAPI http.Handler) (*edge, error) {
	e := &edge{node: n}
	var err error
	if e.api, err = listen(ctx, "listen", n.cfg.Listen); err != nil {
		return e, err
	}
	if e.admin, err = listen(ctx, "admin", n.cfg.Admin); err != nil {
		return e, err
	}
	trusted, err := parseProxies(n.cfg.Proxies)
	if err != nil {
		return e, fmt.Errorf("trusted_proxies: %w", err)
	}
	e.apiServer = server(trusted.handler(apiHandler(rest, handling(roleGateway, n.gateway))), n.log)
	e.apiServer.ConnState = newHTTPConns(n.maxHTTP, n.reg).note
	e.operator = newOperator(n)
	e.adminServer = server(e.adminHandler(adminAPI), n.log)
	e.adminServer.RegisterOnShutdown(e.operator.stop)
	if n.cfg.TLS.Cert != "" {
		cert, err := tls.LoadX509KeyPair(n.cfg.TLS.Cert, n.cfg.TLS.Key)
		if err != nil {
			return e, fmt.Errorf("tls: %w", err)
		}
		e.apiServer.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	return e, nil
}

// server speaks HTTP/1.1 only: a WebSocket cannot be opened on a connection on which HTTP/2 was agreed.
func server(h http.Handler, log *slog.Logger) *http.Server {
	only := new(http.Protocols)
	only.SetHTTP1(true)
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, Protocols: only,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// apiHandler sends /ws and every path that ends in /websocket to the gateway, all else to REST.
func apiHandler(rest, ws http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" || strings.HasSuffix(r.URL.Path, "/websocket") {
			ws.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

func (e *edge) adminHandler(api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.node.reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeHealth(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { writeHealth(w, e.node.readiness()) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	contended := &contention{}
	mux.Handle("/debug/pprof/mutex", contended)
	mux.Handle("/debug/pprof/block", contended)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.Handle("/api/", api)
	e.operator.handle(mux)
	return mux
}

// writeHealth answers 200, or 503 with every reason on a line of its own.
func writeHealth(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	answer := struct {
		Status  string   `json:"status"`
		Reasons []string `json:"reasons,omitempty"`
	}{Status: "ok"}
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		answer.Status, answer.Reasons = "not ready", strings.Split(err.Error(), "\n")
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		return // the asker is gone
	}
}

func (e *edge) serveAPI(context.Context) error {
	if e.apiServer.TLSConfig != nil {
		return closedIsFine(e.apiServer.ServeTLS(e.api, "", ""))
	}
	return closedIsFine(e.apiServer.Serve(e.api))
}

func (e *edge) serveAdmin(context.Context) error { return closedIsFine(e.adminServer.Serve(e.admin)) }

func closedIsFine(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutdown lets requests finish, for a while. Sockets are the gateway's affair.
func (e *edge) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), drainLimit/3)
	defer cancel()
	for _, s := range []*http.Server{e.apiServer, e.adminServer} {
		if err := s.Shutdown(ctx); err != nil {
			e.node.log.Warn("requests were cut off", "err", err)
			_ = s.Close()
		}
	}
}

// close closes listeners that were never served.
func (e *edge) close() {
	for _, l := range []net.Listener{e.api, e.admin} {
		if l != nil {
			_ = l.Close() // closed already after an orderly stop
		}
	}
}

// urls returns where clients reach REST and WebSocket.
func (e *edge) urls() (rest, ws string) {
	base := strings.TrimSuffix(e.node.cfg.PublicURL, "/")
	if base == "" {
		scheme := "http://"
		if e.apiServer.TLSConfig != nil {
			scheme = "https://"
		}
		base = scheme + e.api.Addr().String()
	}
	return base, "ws" + strings.TrimPrefix(base, "http") + "/ws"
}
