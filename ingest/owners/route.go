package owners

import (
	"hash/maphash"
	"sync"

	"parley/domain"
)

// routes remember to which nodes commands are under way, by stream: while one is, later ones of the stream follow it. When a partition moves, the old
// owner hands over what it has not decided; a command that went straight to the new one could overtake it.
type routes struct {
	seed   maphash.Seed
	shards [routeShards]routeShard
}

const routeShards = 64

type routeShard struct {
	mu      sync.Mutex
	streams map[domain.StreamID]route
}

// route is where the commands of a stream that have no answer yet went.
type route struct {
	node domain.NodeName
	open int
}

func newRoutes() *routes {
	r := &routes{seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].streams = make(map[domain.StreamID]route)
	}
	return r
}

func (r *routes) shard(id domain.StreamID) *routeShard {
	return &r.shards[maphash.String(r.seed, string(id))%routeShards]
}

// follow counts a command in behind those that are under way; ok is false when none is.
func (r *routes) follow(id domain.StreamID) (node domain.NodeName, ok bool) {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.streams[id]
	if ok {
		at.open++
		s.streams[id] = at
	}
	return at.node, ok
}

// begin counts a command in that goes to a node. Another may have begun meanwhile: then it follows that one.
func (r *routes) begin(id domain.StreamID, node domain.NodeName) domain.NodeName {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.streams[id]
	if !ok {
		at.node = node
	}
	at.open++
	s.streams[id] = at
	return at.node
}

// end counts a command out that has its answer.
func (r *routes) end(id domain.StreamID) {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.streams[id]
	if at.open--; at.open > 0 {
		s.streams[id] = at
		return
	}
	delete(s.streams, id)
}
