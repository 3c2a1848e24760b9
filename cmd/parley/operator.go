package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// operator is the part of the admin API that looks after the node itself: its log, read models, quarantine and backups. It lives on the
// admin listener, behind the admin key, and knows no limit of time: an export takes as long as it takes.
type operator struct {
	node    *node
	key     [sha256.Size]byte
	ending  chan struct{} // closed when the node stops, so that streams that never end do: an http.Server's shutdown does not end them
	streams chan struct{} // one for each that runs
	copying chan struct{} // one backup at a time
}

// maxStreams bounds how many look at the log at once: each decodes what it reads, beside the traffic.
const maxStreams = 4

func newOperator(n *node) *operator {
	return &operator{
		node: n, key: sha256.Sum256([]byte(n.cfg.AdminKey)), streams: make(chan struct{}, maxStreams), copying: make(chan struct{}, 1),
		ending: make(chan struct{}),
	}
}

// stop ends the streams. It is called once.
func (o *operator) stop() { close(o.ending) }

// until returns a context that ends with the node, too. Call end when it is no longer needed.
func (o *operator) until(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-o.ending:
			cancel(errStopping)
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel(nil)
		wg.Wait()
	}
}

// handle adds the routes.
func (o *operator) handle(mux *http.ServeMux) {
	for name, verb := range logVerbs {
		mux.Handle("GET /api/log/"+name, o.guard(o.look(verb)))
	}
	mux.Handle("GET /api/node", o.guard(o.answer(o.viewNode)))
	mux.Handle("GET /api/cluster", o.guard(o.answer(o.viewCluster)))
	mux.Handle("GET /api/rebuilds", o.guard(o.answer(o.listRebuilds)))
	mux.Handle("POST /api/rebuilds", o.guard(o.answer(o.startRebuild)))
	mux.Handle("GET /api/quarantine", o.guard(o.answer(o.listQuarantine)))
	mux.Handle("POST /api/quarantine/{how}", o.guard(o.answer(o.release)))
	mux.Handle("POST /api/backup", o.guard(o.answer(o.backup)))
}

// guard lets in whoever shows the admin key. Digests are compared, so that neither the key's bytes nor its length show in the time it takes.
func (o *operator) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		sum := sha256.Sum256([]byte(strings.TrimSpace(key)))
		if subtle.ConstantTimeCompare(sum[:], o.key[:]) != 1 || o.node.cfg.AdminKey == "" || !strings.EqualFold(scheme, "bearer") {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeFailure(w, http.StatusUnauthorized, "unauthorized", "the admin key is wrong or missing")
			return
		}
		next(w, r)
	}
}

// httpError is a refusal with its status.
type httpError struct {
	status int
	code   string
	err    error
}

// Error implements error.
func (e *httpError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *httpError) Unwrap() error { return e.err }

func refuse(status int, code, format string, args ...any) error {
	return &httpError{status, code, fmt.Errorf(format, args...)}
}

// answer makes a handler of a call that answers at once, with JSON.
func (o *operator) answer(call func(ctx context.Context, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxAsk)
		out, err := call(r.Context(), r)
		if err != nil {
			o.fail(w, r, err)
			return
		}
		writeAnswer(w, http.StatusOK, out)
	}
}

// maxAsk bounds what operators send.
const maxAsk = 64 << 10

// fail answers with what went wrong. Whoever has the admin key may know it all.
func (o *operator) fail(w http.ResponseWriter, r *http.Request, err error) {
	var refused *httpError
	var bad *askError
	switch {
	case errors.As(err, &refused):
		writeFailure(w, refused.status, refused.code, err.Error())
	case errors.As(err, &bad):
		writeFailure(w, http.StatusBadRequest, "bad_request", err.Error())
	default:
		o.node.log.Warn("admin call failed", "path", r.URL.Path, "err", err)
		writeFailure(w, http.StatusInternalServerError, "failed", err.Error())
	}
}

func writeFailure(w http.ResponseWriter, status int, code, description string) {
	writeAnswer(w, status, map[string]string{"error": code, "error_description": description})
}

func writeAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return // the asker is gone
	}
}

// readAsk reads the body of a request.
func readAsk(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "bad_request", "the body is not what it should be: %w", err)
	}
	return nil
}

// look makes a handler of a verb on the log: it streams, and says in a trailer when something went wrong on the way.
func (o *operator) look(verb logVerb) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ask, err := parseLogAsk(r.URL.Query(), time.Now())
		if err != nil {
			o.fail(w, r, err)
			return
		}
		select {
		case o.streams <- struct{}{}:
			defer func() { <-o.streams }()
		default:
			o.fail(w, r, refuse(http.StatusTooManyRequests, "busy", "%d others are looking at the log: try again", maxStreams))
			return
		}
		v, err := viewOf(o.node.control, o.node.logs)
		if err != nil {
			o.fail(w, r, err)
			return
		}
		ctx, end := o.until(r.Context())
		defer end()
		out := newStream(w)
		err = verb(ctx, v, ask, out)
		if cause := context.Cause(ctx); errors.Is(cause, errStopping) {
			err = cause
		}
		if err != nil && !out.begun {
			o.fail(w, r, err)
			return
		}
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			_ = out.Flush() // what there is, before the reason why it is not all
			w.Header().Set(errTrailer, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
}

// stream is an HTTP answer that is written bit by bit.
type stream struct {
	*bufio.Writer
	control *http.ResponseController
	begun   bool
}

// streamPatience is how long a reader may read nothing.
const streamPatience = 10 * time.Minute

func newStream(w http.ResponseWriter) *stream {
	s := &stream{control: http.NewResponseController(w)}
	s.Writer = bufio.NewWriterSize(beginning{w, s}, 64<<10)
	return s
}

// Flush implements sink.
func (s *stream) Flush() error {
	if err := s.Writer.Flush(); err != nil {
		return err
	}
	return s.control.Flush()
}

// beginning sends the header with the first bytes, and gives the reader time for each bit.
type beginning struct {
	http.ResponseWriter
	stream *stream
}

// Write implements io.Writer.
func (b beginning) Write(p []byte) (int, error) {
	if !b.stream.begun {
		b.stream.begun = true
		h := b.Header()
		h.Set("Content-Type", "text/plain;charset=utf-8")
		h.Set("Trailer", errTrailer)
	}
	if err := b.stream.control.SetWriteDeadline(time.Now().Add(streamPatience)); err != nil {
		return 0, err
	}
	return b.ResponseWriter.Write(p)
}
