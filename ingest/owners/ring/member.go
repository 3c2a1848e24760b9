package ring

import (
	"encoding/json"
	"fmt"

	"parley/domain"
)

// State says what a node does.
type State uint8

// The states of a node, in the order of its life.
const (
	Starting State = iota // it runs and owns nothing yet
	Serving               // it owns its share
	Draining              // it owns nothing any more and will leave
)

var stateNames = [...]string{Starting: "starting", Serving: "serving", Draining: "draining"}

// String returns the state as it is told, logged and counted.
func (s State) String() string { return stateNames[s] }

// Member is a node that lives, as far as is known here.
type Member struct {
	domain.Node
	Number domain.Partition // of the ids of what is not logged
	RPC    string           // host:port of its gRPC
	State  State
}

// told is what a node tells of itself beside its name: at most 512 bytes, which memberlist sends with every announcement. Later versions may add fields.
type told struct {
	Life   uint64           `json:"life"`
	Number domain.Partition `json:"number"`
	RPC    string           `json:"rpc"`
	State  string           `json:"state"`
}

func (m *Member) encode() []byte {
	b, err := json.Marshal(told{Life: m.Life, Number: m.Number, RPC: m.RPC, State: m.State.String()})
	if err != nil {
		panic(fmt.Sprintf("ring: encode a member: %v", err)) // strings and numbers always can
	}
	return b
}

// decodeMember reads what a node tells. A state of a later version is taken as Starting: such a node owns nothing here.
func decodeMember(name string, b []byte) (Member, error) {
	var t told
	if err := json.Unmarshal(b, &t); err != nil {
		return Member{}, fmt.Errorf("ring: member %s: %w", name, err)
	}
	if name == "" || t.Life == 0 || t.Number < domain.FirstNode || t.Number > lastNumber {
		return Member{}, fmt.Errorf("ring: member %q: life %d, number %d", name, t.Life, t.Number)
	}
	m := Member{Node: domain.Node{Name: domain.NodeName(name), Life: t.Life}, Number: t.Number, RPC: t.RPC}
	for s, text := range stateNames {
		if text == t.State {
			m.State = State(s)
		}
	}
	return m, nil
}
