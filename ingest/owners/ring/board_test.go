package ring

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/fence"
)

func member(name string, life uint64, s State) Member {
	return Member{Node: domain.Node{Name: domain.NodeName(name), Life: life}, Number: domain.FirstNode, RPC: name + ":1", State: s}
}

func starting(name string, joins bool) *board {
	return newBoard(member(name, 1, Starting), joins)
}

// ownedBy returns a partition that a node owns among those that serve.
func ownedBy(t *testing.T, name string, serving ...string) int {
	t.Helper()
	nodes := candidates(serving...)
	for p := range partitions {
		if nodes[choose(nodes, p)].node.Name == domain.NodeName(name) {
			return p
		}
	}
	t.Fatalf("%s owns nothing of %v", name, serving)
	return 0
}

// wants checks how a node stands, and whom it asks.
func wants(t *testing.T, b *board, p int, want fence.Ring, from string) {
	t.Helper()
	require.Equal(t, want, b.standing(p))
	m, ok := b.from(p)
	require.Equal(t, from != "", ok)
	require.Equal(t, domain.NodeName(from), m.Name)
}

func TestAloneClaimsAtOnce(t *testing.T) {
	b := starting("a", false)
	wants(t, b, 7, fence.NotNamed, "")
	b.set(member("a", 1, Serving))
	wants(t, b, 7, fence.NamedAtOnce, "")
}

func TestNobodyAnswersWaits(t *testing.T) {
	b := starting("a", true)
	b.set(member("a", 1, Serving))
	wants(t, b, 7, fence.Named, "")
}

func TestNewcomerAsksWhoOwned(t *testing.T) {
	b := starting("c", true)
	b.set(member("a", 1, Serving))
	b.set(member("b", 1, Serving))
	before := slices.Clone(b.owner)
	names := []string{"a", "b"}
	b.set(member("c", 1, Serving))
	mine := 0
	for p := range partitions {
		if b.serving[b.owner[p]].node.Name != "c" {
			wants(t, b, p, fence.NotNamed, "")
			continue
		}
		mine++
		wants(t, b, p, fence.Named, names[before[p]])
	}
	require.NotZero(t, mine)
}

func TestWhoOwnedBefore(t *testing.T) {
	p := ownedBy(t, "a", "a", "b") // then b's
	for _, tt := range []struct {
		name string
		do   func(b *board)
		want fence.Ring
		from string
	}{
		{"lives and serves", func(*board) {}, fence.NotNamed, ""},
		{"drains", func(b *board) { b.set(member("a", 1, Draining)) }, fence.Named, "a"},
		{"drains and has handed over", func(b *board) { b.set(member("a", 1, Draining)); b.handedOver(p) }, fence.NamedAtOnce, ""},
		{"drains and leaves", func(b *board) { b.set(member("a", 1, Draining)); b.remove("a") }, fence.NamedAtOnce, ""},
		{"drains, leaves and comes back", func(b *board) {
			b.set(member("a", 1, Draining))
			b.remove("a")
			b.set(member("a", 2, Starting))
		}, fence.NamedAtOnce, ""},
		{"dies", func(b *board) { b.remove("a") }, fence.NamedAtOnce, ""},
		{"is another life", func(b *board) { b.set(member("a", 2, Starting)) }, fence.NamedAtOnce, ""},
		{"is another life that serves", func(b *board) { b.set(member("a", 2, Serving)) }, fence.NotNamed, ""},
		{"was cut off and is back", func(b *board) { b.remove("a"); b.set(member("a", 1, Serving)) }, fence.NotNamed, ""},
		{"was cut off, is back and drains", func(b *board) {
			b.remove("a")
			b.set(member("a", 1, Serving))
			b.set(member("a", 1, Draining))
		}, fence.Named, "a"},
		{"has handed over, serves and drains again", func(b *board) {
			b.set(member("a", 1, Draining))
			b.handedOver(p)
			b.remove("a")
			b.set(member("a", 2, Serving))
			b.set(member("a", 2, Draining))
		}, fence.Named, "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := starting("b", true)
			b.set(member("a", 1, Serving))
			b.set(member("b", 1, Serving))
			tt.do(b)
			wants(t, b, p, tt.want, tt.from)
		})
	}
}

func TestNobodyServesForAWhile(t *testing.T) {
	b := starting("b", true)
	b.set(member("a", 1, Serving))
	b.set(member("a", 1, Draining))
	wants(t, b, 3, fence.NotNamed, "")
	b.set(member("b", 1, Serving))
	wants(t, b, 3, fence.Named, "a")
	b.remove("a")
	wants(t, b, 3, fence.NamedAtOnce, "")
}

// TestBoardsAgree plays what happens to members, in another order on each node where the order is free, and compares every board with the law written down
// another way.
func TestBoardsAgree(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(rt *rapid.T) {
		boards, truth := map[string]*board{}, map[string]Member{}
		for _, n := range names {
			truth[n] = member(n, 1, Starting)
			boards[n] = newBoard(truth[n], rapid.Bool().Draw(rt, "joins "+n))
		}
		for _, b := range boards {
			for _, m := range rapid.Permutation(names).Draw(rt, "order") {
				b.set(truth[m])
			}
		}
		sample := rapid.SliceOfN(rapid.IntRange(0, partitions-1), 5, 5).Draw(rt, "partitions")
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			n := rapid.SampledFrom(names).Draw(rt, "node")
			p := rapid.SampledFrom(sample).Draw(rt, "partition")
			owners := map[string][]domain.NodeName{}
			for on, b := range boards {
				owners[on] = ownersOf(b, sample)
			}
			m, there := truth[n]
			event := rapid.SampledFrom([]string{"serve", "drain", "die", "restart", "hand over", "look"}).Draw(rt, "event")
			switch {
			case event == "serve" && there && m.State == Starting:
				m.State = Serving
			case event == "drain" && there:
				m.State = Draining
			case event == "die" && there:
				delete(truth, n)
				delete(boards, n)
				for _, b := range boards {
					b.remove(m.Name)
				}
				there = false
			case event == "restart":
				m = member(n, m.Life+1+uint64(rapid.IntRange(1, 9).Draw(rt, "life")), Starting)
				there = true
				truth[n] = m
				boards[n] = newBoard(m, true)
				for _, other := range truth {
					boards[n].set(other)
				}
			case event == "hand over" && there:
				if _, ok := boards[n].from(p); ok != boards[n].handedOver(p) {
					rt.Fatal("whom nobody asked hands over")
				}
			}
			if there {
				truth[n] = m
				for _, b := range boards {
					b.set(m)
				}
			}
			check(rt, boards, truth, sample)
			for on, b := range boards {
				moved(rt, owners[on], ownersOf(b, sample), domain.NodeName(n), event)
			}
		}
	})
}

func ownersOf(b *board, sample []int) (out []domain.NodeName) {
	for _, p := range sample {
		if b.owner[p] < 0 {
			out = append(out, "")
			continue
		}
		out = append(out, b.serving[b.owner[p]].node.Name)
	}
	return out
}

// moved finds partitions that move though they are nothing of the node's to which something happened.
func moved(rt *rapid.T, was, is []domain.NodeName, n domain.NodeName, event string) {
	for i := range was {
		if was[i] != "" && was[i] != is[i] && was[i] != n && is[i] != n {
			rt.Fatalf("%s of %s moves a partition from %s to %s", event, n, was[i], is[i])
		}
	}
}

func check(rt *rapid.T, boards map[string]*board, truth map[string]Member, sample []int) {
	for _, p := range sample {
		var want domain.NodeName
		most := uint64(0)
		for _, m := range truth {
			if w := newCandidate(m.Node).weight(p); m.State == Serving && w >= most {
				want, most = m.Name, w
			}
		}
		for n, b := range boards {
			if got := ownersOf(b, []int{p})[0]; got != want {
				rt.Fatalf("%s says %q owns %d, it is %q", n, got, p, want)
			}
			standing := b.standing(p)
			from, asks := b.from(p)
			switch {
			case standing != fence.NotNamed && want != b.self:
				rt.Fatalf("%s is named for %d, which %s owns", n, p, want)
			case standing == fence.NotNamed && want == b.self:
				rt.Fatalf("%s is not named for %d, which it owns", n, p)
			case asks && (standing != fence.Named || from.Name == b.self || truth[string(from.Name)] != from):
				rt.Fatalf("%s asks %v for %d, standing %d", n, from, p, standing)
			case standing == fence.Named && !asks && b.lives(b.parts[p].before):
				rt.Fatalf("%s waits for %v, and does not ask it", n, b.parts[p].before)
			case standing == fence.NamedAtOnce && !b.parts[p].handed && b.lives(b.parts[p].before):
				rt.Fatalf("%s takes %d from %v that lives", n, p, b.parts[p].before)
			}
		}
	}
}

func TestMembersAreTold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := Member{
			Node:   domain.Node{Name: "n", Life: rapid.Uint64Min(1).Draw(rt, "life")},
			Number: domain.Partition(rapid.IntRange(int(domain.FirstNode), 4095).Draw(rt, "number")),
			RPC:    rapid.StringMatching(`[a-z0-9.-]{1,200}:[0-9]{1,5}`).Draw(rt, "rpc"),
			State:  State(rapid.IntRange(0, 2).Draw(rt, "state")),
		}
		got, err := decodeMember("n", m.encode())
		require.NoError(rt, err)
		require.Equal(rt, m, got)
	})
	m := member("n", 1_700_000_000_000_000, Serving)
	require.JSONEq(t, `{"life":1700000000000000,"number":3072,"rpc":"n:1","state":"serving"}`, string(m.encode()), "other versions read this")
	got, err := decodeMember("n", []byte(`{"life":1,"number":3072,"rpc":"n:1","state":"resting","new":true}`))
	require.NoError(t, err)
	require.Equal(t, member("n", 1, Starting), got)
}

func FuzzDecodeMember(f *testing.F) {
	for _, s := range []string{`{"life":1,"number":3072,"rpc":"n:1","state":"serving"}`, `{`, `{"life":0}`, `null`, ``} {
		f.Add("n", []byte(s))
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		m, err := decodeMember(name, b)
		if err != nil {
			return
		}
		again, err := decodeMember(name, m.encode())
		if err != nil || again != m {
			t.Fatalf("%v, then %v: %v", m, again, err)
		}
	})
}

func TestValidate(t *testing.T) {
	good := Config{Node: domain.Node{Name: "a", Life: 1}, Number: domain.FirstNode, Listen: "127.0.0.1:0", RPC: "127.0.0.1:1", Key: make([]byte, 32)}
	require.NoError(t, good.Validate())
	bad := Config{Listen: "x", Join: []string{"127.0.0.1", "a:b"}, Key: make([]byte, 16), Settings: Settings{Probe: 1, ProbeTimeout: 2}}
	err := bad.Validate()
	for _, what := range []string{"name", "life", "number", "key", "listen", "rpc", "join[0]", "join[1]", "settings"} {
		require.ErrorContains(t, err, what)
	}
	_, err = Start(bad)
	require.Error(t, err)
	long := good
	long.RPC = fmt.Sprintf("%0250d:1", 0)
	require.NoError(t, long.Validate())
}
