package main

import (
	"context"
	"net/http"
	"runtime/pprof"

	"parley/domain"
	"parley/ingest/shard"
	"parley/schemas/table"
)

// What a CPU profile is told apart by: `go tool pprof -tags` shows the label "role", and `parley bench direct --roles` prints a table of it. A
// label is set where a role begins, and whatever goroutines are started from there have it, too: it costs nothing for each message.
const (
	roleAdmin       = "admin"
	roleControl     = "control"
	roleFollow      = "follow" // reads of the log of partitions that are elsewhere
	roleGateway     = "gateway"
	roleLeases      = "leases"
	roleLinks       = "links" // between nodes
	roleProjections = "projections"
	roleReactors    = "reactors"
	roleREST        = "rest"
	roleRing        = "ring"
	roleRooms       = "rooms"
	roleRouter      = "router"
	roleShard       = "shard"
	roleAppend      = "shard: append"
	roleFlush       = "shard: flush"
	roleStorage     = "storage" // what the log and the store do beside calls
)

func inRole(ctx context.Context, role string) context.Context {
	return pprof.WithLabels(ctx, pprof.Labels("role", role))
}

// as lets a part run in a role.
func as(role string, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		pprof.Do(ctx, pprof.Labels("role", role), func(ctx context.Context) { err = run(ctx) })
		return err
	}
}

// handling lets requests be handled, and what they start, in a role that is not the server's.
func handling(role string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pprof.Do(r.Context(), pprof.Labels("role", role), func(context.Context) { h.ServeHTTP(w, r) })
	})
}

// appended is the log as shards see it.
type appended struct {
	shard.Log
	role context.Context //nolint:containedctx // a label: making it for each batch would cost
}

// Append implements shard.Log.
func (a appended) Append(ctx context.Context, p domain.Partition, b domain.Batch) (domain.Offset, error) {
	pprof.SetGoroutineLabels(a.role)
	defer pprof.SetGoroutineLabels(ctx)
	return a.Log.Append(ctx, p, b)
}

// flushed is the store as shards see it.
type flushed struct {
	shard.Store
	role context.Context //nolint:containedctx // a label
}

// Write implements shard.Store.
func (f flushed) Write(ctx context.Context, writes []table.Write) error {
	pprof.SetGoroutineLabels(f.role)
	defer pprof.SetGoroutineLabels(ctx)
	return f.Store.Write(ctx, writes)
}
