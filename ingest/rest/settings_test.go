package rest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDefaultsAreValid(t *testing.T) {
	s := DefaultSettings()
	require.NoError(t, s.Validate())
}

func TestEveryProblemIsNamed(t *testing.T) {
	s := Settings{
		Rates: map[string]float64{"nothing": 1, "token": 0}, AppTokenTTL: -1, UserTokenTTL: maxTTL + 1, Origins: []string{"*", "example.org"},
	}
	err := s.Validate()
	for _, name := range []string{
		"rate", "burst", "rates.nothing", "rates.token", "messages_per_minute", "app_token_ttl", "user_token_ttl", "max_body", "timeout",
		"wait_at_most", "retry_for", "origins", "bcrypt_cost", "hash_concurrency", "hash_queue", "bulk_users", "users_page", "status_batch", "recipients",
		"history_page", "conversations_page", "conversations", "group_messages_per_minute", "group_recipients", "group_users", "group_details",
		"groups_page", "joined_groups", "bulk_members", "members_page", "affiliations", "recall_batch",
		"room_messages_per_second", "room_recipients", "room_details", "rooms_page",
	} {
		require.ErrorContains(t, err, "rest."+name)
	}
	require.Equal(t, 38, strings.Count(err.Error(), "rest."), "each once, and two that name rest.timeout: %v", err)
}

func TestRoutesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range routes {
		key := r.method + " " + r.path
		require.False(t, seen[key], key)
		seen[key] = true
		require.NotEmpty(t, r.bucket)
		require.True(t, r.access != ownerOnly || strings.Contains(r.path, ":user"), "%s: whose is it?", key)
	}
}

// The queue for hashing is bounded: who does not fit is told at once.
func TestHashQueue(t *testing.T) {
	s := DefaultSettings()
	s.HashConcurrency, s.HashQueue, s.BcryptCost = 1, 1, 4
	h := newHasher(&s, newMetrics(nil))
	require.NoError(t, h.enter(t.Context())) // one hashes
	waits := make(chan error, 1)
	go func() { waits <- h.enter(t.Context()) }() // one waits
	require.Eventually(t, func() bool { return len(h.queue) == 2 }, time.Second, time.Millisecond)
	_, err := h.hash(t.Context(), "x")
	require.Equal(t, 503, failureOf(err).status)
	h.leave(time.Now())
	require.NoError(t, <-waits)
	h.leave(time.Now())
	hash, err := h.hash(t.Context(), "x")
	require.NoError(t, err)
	right, err := h.check(t.Context(), hash, "x")
	require.NoError(t, err)
	require.True(t, right)
	require.Empty(t, h.queue)
	require.Empty(t, h.slots)
}
