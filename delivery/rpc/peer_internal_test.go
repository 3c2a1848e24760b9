package rpc

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/schemas/cluster/clusterpb"
)

// calls is a party that notes what it is told.
type calls []string

func (c *calls) Snapshot(func([]byte))                    {}
func (c *calls) Begin(domain.Node)                        { *c = append(*c, "begin") }
func (c *calls) Apply(_ domain.Node, fact []byte) error   { *c = append(*c, string(fact)); return nil }
func (c *calls) End(domain.Node)                          { *c = append(*c, "end") }
func (c *calls) Gone(domain.Node)                         { *c = append(*c, "gone") }
func (c *calls) since() (all []string)                    { all, *c = *c, nil; return all }
func (c *calls) says(h *hearing, fact string) (err error) { return h.peer.apply(h, factOf(fact)) }
func factOf(fact string) *clusterpb.TellRequest {
	return &clusterpb.TellRequest{Content: &clusterpb.TellRequest_Facts{Facts: &clusterpb.Facts{Runs: []*clusterpb.Run{{
		Kind: uint32(Sessions), Facts: [][]byte{[]byte(fact)},
	}}}}}
}

// What a link had sent before a later one began, and is read after that, is not applied; nor is anything of who is gone.
func TestWhatWasReadTooLateIsNotApplied(t *testing.T) {
	var party calls
	n := domain.Node{Name: "b", Life: 1}
	l := New(Config{
		Self: domain.Node{Name: "a", Life: 1}, Parties: map[Kind]Party{Sessions: &party}, Settings: DefaultSettings(),
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	l.Members([]domain.Node{n})
	p := l.members[n.Name].peer
	old, err := p.begin(1)
	require.NoError(t, err)
	require.NoError(t, party.says(old, "x"))
	now, err := p.begin(2)
	require.NoError(t, err)
	require.ErrorIs(t, party.says(old, "stale"), errReplaced)
	p.finish(old, nil)
	require.NoError(t, party.says(now, "y"))
	require.Equal(t, []string{"begin", "x", "begin", "y"}, party.since())
	l.Members(nil)
	require.Error(t, party.says(now, "stale"))
	_, err = p.begin(3)
	require.ErrorIs(t, err, errOver)
	require.Equal(t, []string{"gone"}, party.since())
}
