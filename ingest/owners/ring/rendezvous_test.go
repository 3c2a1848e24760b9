package ring

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
)

func candidates(names ...string) (out []candidate) {
	for _, n := range names {
		out = append(out, newCandidate(domain.Node{Name: domain.NodeName(n), Life: 1}))
	}
	return out
}

// TestWeightsAreForEver: nodes of different versions run side by side, and must name the same owners.
func TestWeightsAreForEver(t *testing.T) {
	three := candidates("parley-0", "parley-1", "parley-2")
	var got string
	for p := range 32 {
		got += fmt.Sprint(choose(three, p))
	}
	require.Equal(t, "02112111101022011200202012212202", got)
}

func TestEvenSpread(t *testing.T) {
	for _, names := range [][]string{
		{"n1", "n2", "n3"},
		{"a", "b", "c"},
		{"parley-0", "parley-1", "parley-2"},
		{"host-17.example", "host-18.example", "host-19.example"},
		{"node-a", "node-b"},
		{"1", "2", "3", "4", "5"},
	} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			nodes := candidates(names...)
			all := make([]int, len(nodes))
			used := make([]int, len(nodes)) // of 64 chats and 16 rooms
			for p := range partitions {
				i := choose(nodes, p)
				all[i]++
				if p < 64 || p >= int(domain.FirstRooms) && p < int(domain.FirstRooms)+16 {
					used[i]++
				}
			}
			t.Logf("of 80: %v, of all: %v", used, all)
			for i := range nodes {
				require.InEpsilon(t, partitions/len(nodes), all[i], 0.1)
				require.LessOrEqual(t, float64(used[i]), 1.5*80/float64(len(nodes)))
			}
		})
	}
}

func TestOnlyWhatIsANodesMoves(t *testing.T) {
	four := candidates("a", "b", "c", "d")
	three := four[:3]
	for p := range partitions {
		was, is := choose(three, p), choose(four, p)
		require.True(t, is == was || is == 3, "partition %d moves from %d to %d when 3 comes", p, was, is)
	}
}

func BenchmarkChoose(b *testing.B) {
	nodes := candidates("a", "b", "c", "d", "e")
	for b.Loop() {
		for p := range partitions {
			choose(nodes, p)
		}
	}
}
