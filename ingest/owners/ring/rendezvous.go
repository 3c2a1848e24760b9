package ring

import (
	"hash/fnv"

	"parley/domain"
)

// partitions is how many partitions there can be; the numbers from there on are nodes'.
const partitions = int(domain.FirstNode)

// candidate is a node that can own partitions.
type candidate struct {
	node domain.Node
	seed uint64
}

func newCandidate(n domain.Node) candidate {
	h := fnv.New64a()
	h.Write([]byte(n.Name)) // never fails
	return candidate{node: n, seed: mix(h.Sum64())}
}

// weight is the candidate's claim on a partition: the highest owns. It is part of the protocol: all nodes must come to the same.
func (c candidate) weight(p int) uint64 { return mix(c.seed ^ mix(uint64(p)+0x9e3779b97f4a7c15)) }

// mix is the last step of splitmix64: each bit of x bears on each bit of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// choose returns the index of the candidate with the highest weight, -1 when there is none. Equal weights go to the lower name.
func choose(candidates []candidate, p int) int {
	best, most := -1, uint64(0)
	for i, c := range candidates {
		w := c.weight(p)
		if best < 0 || w > most || w == most && c.node.Name < candidates[best].node.Name {
			best, most = i, w
		}
	}
	return best
}
