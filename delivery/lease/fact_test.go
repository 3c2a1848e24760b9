package lease

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
)

// sampleFacts are one of each kind.
func sampleFacts() map[string][]byte {
	u := sampleUser()
	u.leases[0].devices[0].dead, u.leases[0].devices[1].by = true, 7
	u.leases[0].listed, u.leases[0].named, u.leases[0].room.named = true, byLog, byOthers
	leases := appendUserFact(nil, u, len(u.leases))
	for _, le := range u.leases {
		leases = appendToldLease(leases, le)
	}
	some := bucketSet{}
	some.add(0)
	some.add(255)
	return map[string][]byte{
		"leases": leases,
		"ask":    appendAsk(nil, &ask{key: u.key, room: u.leases[0].room.id, resource: "webim_1", t: 1772366400000000}),
		"added":  appendAdded(nil, u, u.leases[0].room.id),
		"ended":  appendString([]byte{byte(factEnded)}, string(u.leases[0].room.id)),
		"took":   appendTook(nil, &took{node: domain.Node{Name: "b", Life: 1772366400000000}, until: 1772366460000000, buckets: some}),
	}
}

// Nodes of two versions tell one another facts: their bytes never change.
func TestGoldenFacts(t *testing.T) {
	for name, fact := range sampleFacts() {
		golden, err := os.ReadFile("testdata/fact_" + name + ".hex")
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(string(golden)), hex.EncodeToString(fact), name)
	}
}

// hearing returns a replica that node b has begun to tell.
func hearing(tb testing.TB) (*rig, domain.Node) {
	r := &rig{t: tb, clock: newClock(), store: &memory{}, set: DefaultSettings()}
	r.heard = &heard{}
	r.Leases = New(Config{
		Store: r.store, Settings: r.set, Sink: r.heard, Now: r.clock.now, Self: domain.Node{Name: "a", Life: 1}, Tell: func([]byte) {},
	})
	b := domain.Node{Name: "b", Life: 1}
	r.Begin(b)
	return r, b
}

// Every prefix of a fact is refused and changes nothing; what follows its fields, and kinds that are not known, are ignored.
func TestBadFacts(t *testing.T) {
	for name, fact := range sampleFacts() {
		r, b := hearing(t)
		for i := range fact {
			require.ErrorIs(t, r.Apply(b, fact[:i:i]), errFact, "%s: %d of %d bytes", name, i, len(fact))
		}
		require.Empty(t, r.Rooms(), name)
		require.NoError(t, r.Apply(b, append(bytes.Clone(fact), 1, 2)), name)
	}
	r, b := hearing(t)
	require.NoError(t, r.Apply(b, []byte{99, 1}))
	require.ErrorIs(t, r.Apply(domain.Node{Name: "c", Life: 1}, []byte{99}), errNoLink)
	require.ErrorIs(t, r.Apply(domain.Node{Name: "b", Life: 2}, []byte{99}), errNoLink)
}

// Whatever comes, a replica stands: what it takes is what it tells others to have heard, and taking it twice changes nothing.
func FuzzApply(f *testing.F) {
	for _, fact := range sampleFacts() {
		f.Add(fact)
	}
	f.Fuzz(func(t *testing.T, fact []byte) {
		r, b := hearing(t)
		defer r.Leases.Gone(b)
		if r.Apply(b, fact) != nil {
			require.Empty(t, r.viewed())
			return
		}
		first := r.viewed()
		require.NoError(t, r.Apply(b, fact))
		require.Equal(t, first, r.viewed())
		r.Gone(b)
		r.save(t.Context(), true)
		again := New(Config{Store: r.store, Settings: r.set, Now: r.clock.now})
		require.NoError(t, again.Load(t.Context()))
	})
}

// viewed returns the rooms that somebody views, and who.
func (r *rig) viewed() map[Room][]domain.UserID {
	out := map[Room][]domain.UserID{}
	for _, room := range r.Rooms() {
		for _, le := range r.Roster(room, "", 100) {
			out[room] = append(out[room], le.User)
		}
	}
	return out
}
