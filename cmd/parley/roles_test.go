package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRoles looks at the goroutines of a server with a session: each has the label of what it works for, whoever has started it.
func TestRoles(t *testing.T) {
	t.Parallel()
	s := serveDev(t, filepath.Join(t.TempDir(), "data"))
	login(t, s.ws, s.dev.App, "ana", s.token("ana"))
	status, all := ask(t, web, http.MethodGet, s.admin+"/debug/pprof/goroutine?debug=1", "")
	require.Equal(t, http.StatusOK, status)
	goroutines := strings.Split(all, "\n\n")
	for function, role := range map[string]string{
		"ingest/control.(*Control).":         roleControl,
		"ingest/shard.(*Shard).Run":          roleShard,
		"delivery/gateway.(*Gateway).Run":    roleGateway,
		"delivery/gateway.(*session).run":    roleGateway, // begun by a request
		"delivery/gateway.(*flusher).run":    roleGateway,
		"delivery/router.(*Router).Run":      roleRouter,
		"projections/runner.(*Runner).pass":  roleProjections,
		"projections/reactor.(*Runner).pass": roleReactors,
		"delivery/lease.(*Leases).Run":       roleLeases,
		"delivery/room.(*Rooms).Run":         roleRooms,
		"main.(*edge).serveAPI":              roleREST,
		"main.(*edge).serveAdmin":            roleAdmin,
		"net/http/pprof.handler.ServeHTTP":   roleAdmin,
	} {
		found := false
		for _, g := range goroutines {
			if strings.Contains(g, function) {
				found = true
				assert.Contains(t, g, `{"role":"`+role+`"}`, function)
			}
		}
		assert.True(t, found, "%s does not run:\n%s", function, all)
	}
}
