package main

import (
	"context"
	"net/http"
	"time"

	"parley/domain"
	"parley/ingest/control"
	"parley/ingest/rest"
)

// buildREST makes the API for clients and back ends, and the one for operators.
func (n *node) buildREST() (api, admin http.Handler, err error) {
	r := reads{n.queries, n.runner, passed{n}}
	tenants := apps{n.control}
	server, err := rest.New(rest.Config{
		Settings: n.cfg.REST, Limits: n.cfg.Limits.message(), PublicURL: n.cfg.PublicURL, Owners: n.owners, Apps: tenants, Tokens: n.signer,
		Reads: r, Groups: r, Messages: r, RecallWindow: n.cfg.Gateway.RecallWindow, Waiter: r, Sessions: sessions{n.users}, Undelivered: undelivered{n.gateway, r}, Volatile: volatile{n},
		Rooms: viewing{n.gateway, n.leases, n.rooms, n.synced}, RoomLists: r, RoomUsers: n.cfg.Rooms.Shown.MaxUsers, RoomHistory: n.cfg.Rooms.Shown.History,
		Now: time.Now, Logger: n.log, Registerer: n.reg,
	})
	if err != nil {
		return nil, nil, err
	}
	operators, err := rest.NewAdmin(rest.AdminConfig{
		Key: string(n.cfg.AdminKey), Settings: n.cfg.REST, Apps: tenants, Owners: n.owners, Tokens: n.signer, Waiter: r,
		Now: time.Now, Logger: n.log, Registerer: n.reg,
	})
	if err != nil {
		return nil, nil, err
	}
	return server, operators, nil
}

// ListApps implements rest.AdminApps.
func (a apps) ListApps() []rest.App {
	all := a.control.Apps()
	out := make([]rest.App, len(all))
	for i := range all {
		out[i] = restApp(all[i])
	}
	return out
}

// CreateApp implements rest.AdminApps.
func (a apps) CreateApp(ctx context.Context, app rest.NewApp) error {
	return a.control.PutApp(ctx, control.App{
		ID: app.ID, UUID: app.UUID, ClientID: app.ClientID, SecretHash: control.HashSecret(app.Secret), OpenRegistration: app.OpenRegistration,
	})
}

// DeleteApp implements rest.AdminApps.
func (a apps) DeleteApp(ctx context.Context, id domain.AppID) error {
	return a.control.DeleteApp(ctx, id)
}
