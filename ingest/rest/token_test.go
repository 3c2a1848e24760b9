package rest_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"parley/domain/token"
	"parley/ingest/rest"
)

func TestAppToken(t *testing.T) {
	r := newRig(t)
	ask := map[string]any{"grant_type": "client_credentials", "client_id": r.made.ClientID, "client_secret": r.made.Secret}
	a := r.do("POST", "~/token", "", ask)
	require.Equal(t, 200, a.status)
	require.ElementsMatch(t, []string{"access_token", "expires_in", "application"}, keys(a.json), "no envelope")
	require.EqualValues(t, 60*24*3600, a.json["expires_in"])
	require.Equal(t, r.made.UUID, a.json["application"])

	for name, ttl := range map[string]any{"number": 3600, "text": "3600"} {
		ask["ttl"] = ttl
		require.EqualValues(t, 3600, r.do("POST", "~/token", "", ask).json["expires_in"], name)
	}
	ask["ttl"] = 0
	a = r.do("POST", "~/token", "", ask)
	require.EqualValues(t, 0, a.json["expires_in"])
	claims, err := shared.signer.Verify(token.Token(a.json["access_token"].(string)), time.Now().Add(100*365*24*time.Hour))
	require.NoError(t, err, "ttl 0 never ends")
	require.True(t, claims.Admin)
}

func TestUserTokens(t *testing.T) {
	r := newRig(t)
	r.user("ana")
	a := r.do("POST", "~/token", "", map[string]any{"grant_type": "password", "username": "ANA", "password": "p", "timestamp": 1})
	require.Equal(t, 200, a.status, a.text)
	require.Equal(t, "ana", a.json["user"].(map[string]any)["username"])
	require.ElementsMatch(t, []string{"access_token", "expires_in", "application", "user"}, keys(a.json))

	made := r.ok("POST", "~/token", map[string]any{"grant_type": "inherit", "username": "bo", "autoCreateUser": true, "ttl": 100})
	require.EqualValues(t, 100, made["expires_in"])
	bo := made["user"].(map[string]any)
	again := r.ok("POST", "~/token", map[string]any{"grant_type": "inherit", "username": "bo", "autoCreateUser": true})
	require.Equal(t, bo["uuid"], again["user"].(map[string]any)["uuid"])
	require.NotEqual(t, made["access_token"], again["access_token"])
	require.Equal(t, "invalid password", r.do("POST", "~/token", "", map[string]any{
		"grant_type": "password", "username": "bo", "password": "x",
	}).json["error_description"], "an account without a password has none that fits")
}

func TestAutoCreateRaces(t *testing.T) {
	r := newRig(t)
	const callers = 12
	uuids, failed := make([]any, callers), make([]string, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			a := r.do("POST", "~/token", r.token, map[string]any{"grant_type": "inherit", "username": "same", "autoCreateUser": true})
			if a.status != 200 {
				failed[i] = a.text
				return
			}
			uuids[i] = a.json["user"].(map[string]any)["uuid"]
		})
	}
	wg.Wait()
	for i := range callers {
		require.Empty(t, failed[i])
		require.Equal(t, uuids[0], uuids[i], "all got the one account")
	}
}

func TestTokenExpires(t *testing.T) {
	r := newRig(t)
	r.user("ana", "bo")
	before := time.Now()
	tok := r.ok("POST", "~/token", map[string]any{"grant_type": "inherit", "username": "ana", "ttl": 600})["access_token"].(string)
	a := r.do("GET", "~/sdk/users/Ana/token/expires", tok, nil)
	require.Equal(t, 200, a.status, a.text)
	require.InDelta(t, before.Add(10*time.Minute).UnixMilli(), a.json["expire_timestamp"], 5000)

	tok = r.ok("POST", "~/token", map[string]any{"grant_type": "inherit", "username": "ana", "ttl": 0})["access_token"].(string)
	a = r.do("GET", "~/sdk/users/ana/token/expires", tok, nil)
	require.Greater(t, a.json["expire_timestamp"], float64(before.Add(365*24*time.Hour).UnixMilli()), "one that never ends: far away")
	require.Equal(t, 403, r.do("GET", "~/sdk/users/bo/token/expires", tok, nil).status)
	require.Equal(t, 401, r.do("GET", "~/sdk/users/ana/token/expires", r.token, nil).status)
}

func TestPasswordRevokesTokens(t *testing.T) {
	r := newRig(t)
	r.user("ana")
	old := r.userToken("ana")
	require.Equal(t, 200, r.do("GET", "~/users/ana/resources", old, nil).status)
	require.Equal(t, "set user password", r.ok("PUT", "~/users/ana/password", map[string]any{"newpassword": "q"})["action"])
	require.Equal(t, 401, r.do("GET", "~/users/ana/resources", old, nil).status)
	require.Equal(t, 200, r.do("GET", "~/users/ana/resources", r.userToken("ana"), nil).status)
	password := func(p string) int {
		return r.do("POST", "~/token", "", map[string]any{"grant_type": "password", "username": "ana", "password": p}).status
	}
	require.Equal(t, []int{400, 200}, []int{password("p"), password("q")})
}

// A change that another node made is seen after a second.
func TestRevocationElsewhere(t *testing.T) {
	r := newRig(t)
	r.user("ana")
	old := r.userToken("ana")
	require.Equal(t, 200, r.do("GET", "~/users/ana/resources", old, nil).status)
	other := *r
	var err error
	config := r.config
	config.Registerer = nil
	other.server, err = rest.New(config)
	require.NoError(t, err)
	other.ok("PUT", "~/users/ana/password", map[string]any{"newpassword": "q"})
	require.Eventually(t, func() bool { return r.do("GET", "~/users/ana/resources", old, nil).status == 401 }, 5*time.Second, 20*time.Millisecond)
}

func TestNameMadeAnewInheritsNothing(t *testing.T) {
	r := newRig(t)
	r.user("ana")
	old := r.userToken("ana")
	r.ok("DELETE", "~/users/ana", nil)
	require.Equal(t, 401, r.do("GET", "~/users/ana/resources", old, nil).status)
	r.user("ana")
	require.Equal(t, 401, r.do("GET", "~/users/ana/resources", old, nil).status)
}

func TestLongPasswords(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("密", 64) // 192 bytes: more than bcrypt itself takes
	r.ok("POST", "~/users", map[string]any{"username": "ana", "password": long})
	password := func(p string) int {
		return r.do("POST", "~/token", "", map[string]any{"grant_type": "password", "username": "ana", "password": p}).status
	}
	require.Equal(t, 200, password(long))
	require.Equal(t, 400, password(strings.Repeat("密", 63)+"蜜"), "the last character counts")
	require.Equal(t, 400, password(strings.Repeat("密", 65)))
}

func keys(m map[string]any) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}
