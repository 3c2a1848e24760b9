package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"parley/delivery/directory"
	"parley/delivery/gateway"
	"parley/delivery/lease"
	"parley/delivery/room"
	"parley/delivery/router"
	links "parley/delivery/rpc"
	"parley/domain"
	"parley/domain/token"
	"parley/ingest/control"
)

// devApp is the app that --dev makes.
const devApp = domain.AppID("demo#chat")

// buildEdge makes what clients and operators talk to, and binds the listeners.
func (n *node) buildEdge(ctx context.Context) error {
	if err := n.buildSigner(); err != nil {
		return err
	}
	if err := n.ensureDev(ctx); err != nil {
		return err
	}
	n.boundConnections()
	if n.cluster == nil {
		n.users = directory.New()
	} else {
		n.users = directory.New(directory.Telling(n.tell(links.Sessions)))
	}
	if err := n.buildRooms(); err != nil {
		return err
	}
	n.router = n.buildRouter()
	var elsewhere gateway.Elsewhere
	if n.cluster != nil {
		elsewhere = n.cluster
	}
	var err error
	n.gateway, err = gateway.New(gateway.Config{
		Settings: n.cfg.Gateway, Limits: n.cfg.Limits.message(), Owners: n.owners, Reads: reads{n.queries, n.runner, passed{n}},
		Apps: apps{n.control}, Tokens: n.signer, Directory: n.users, Router: n.router, Store: n.store, Elsewhere: elsewhere,
		Leases: n.leases, Rooms: n.rooms, OnJoin: n.cfg.Rooms.onJoin(),
		NodeNumber: n.number(), Now: time.Now, Logger: n.log, Registerer: n.reg,
	})
	if err != nil {
		return err
	}
	api, admin, err := n.buildREST()
	if err != nil {
		return err
	}
	if n.edge, err = newEdge(ctx, n, api, admin); err != nil {
		return err
	}
	if n.cluster != nil {
		n.cluster.offer()
	}
	return nil
}

// number is this node's, of the ids of what is not logged.
func (n *node) number() domain.Partition {
	if n.cluster == nil {
		return domain.FirstNode
	}
	return n.cluster.number
}

func (n *node) buildRouter() *router.Router {
	var options []router.Option
	if n.cluster != nil {
		options = append(options, router.Telling(n.tell(links.Volatile)))
	}
	return router.New(n.users, n.rooms, n.leases, n.owners.Partitions(), router.NewMetrics(n.reg), options...)
}

// buildRooms makes what keeps who views which room, and what shows it to them.
func (n *node) buildRooms() (err error) {
	n.rooms, err = room.New(room.Config{
		Settings: n.cfg.Rooms.Shown, Owners: n.owners, Reads: n.queries, NextT: func() domain.T { return n.gateway.NextT() }, Now: time.Now,
		Registerer: n.reg,
	})
	if err != nil {
		return err
	}
	c := lease.Config{
		Store: n.store, Settings: n.cfg.Rooms.Leases, Sink: n.rooms, Now: time.Now, Logger: n.log, Registerer: n.reg,
	}
	if n.cluster != nil {
		c.Self, c.Number, c.Tell, c.Local = n.cluster.self, int(n.cluster.number-domain.FirstNode), n.tell(links.Leases), local{n}
	}
	n.leases = lease.New(c)
	return nil
}

// local tells the gateway, which is made after the leases, what other nodes did to its users.
type local struct{ *node }

// Ended implements lease.Local.
func (l local) Ended(room lease.Room, app domain.AppID, u domain.UserID) {
	l.gateway.Ended(room, app, u)
}

// Added implements lease.Local.
func (l local) Added(room lease.Room, app domain.AppID, u domain.UserID, inc domain.Incarnation) {
	l.gateway.Added(room, app, u, inc)
}

// ensureDev makes what --dev promises: the app, its secret and the admin key, and finds them again after a restart.
func (n *node) ensureDev(ctx context.Context) error {
	if !n.cfg.Dev {
		return nil
	}
	d, err := readDev(n.cfg.Data)
	if err != nil {
		return err
	}
	if n.cfg.AdminKey == "" {
		if d.AdminKey == "" {
			d.AdminKey = randomHex(32)
		}
		n.cfg.AdminKey = secret(d.AdminKey)
	}
	d.AdminKey = string(n.cfg.AdminKey)
	app, ok := n.control.App(devApp)
	if !ok {
		app = control.App{ID: devApp, UUID: uuid.NewString(), ClientID: "dev_" + randomHex(12), OpenRegistration: true}
	}
	if n.cluster != nil {
		d.ClientSecret = n.cluster.devSecret // whichever node makes the app
	}
	if d.ClientSecret == "" || !app.CheckSecret(d.ClientSecret) {
		if n.cluster == nil {
			d.ClientSecret = randomHex(32)
		}
		app.SecretHash = control.HashSecret(d.ClientSecret)
		err := n.control.PutApp(ctx, app)
		if errors.Is(err, control.ErrAppDeleted) {
			n.log.Warn("the app was deleted and is not made again", "app", devApp)
			app, d.ClientSecret = control.App{}, ""
		} else if n.cluster != nil && errors.Is(err, control.ErrAppExists) {
			app, _ = n.control.App(devApp) // another node has just made it
		} else if err != nil {
			return fmt.Errorf("make the app %s: %w", devApp, err)
		}
	}
	d.App, d.ClientID = string(app.ID), app.ClientID
	n.dev = d
	return nil
}

// buildSigner makes the signer of tokens from the key that is set.
func (n *node) buildSigner() error {
	key, err := n.cfg.tokenKey()
	if err != nil {
		return err
	}
	n.signer, err = token.NewSigner(token.Key{ID: "1", Secret: key})
	return err
}
