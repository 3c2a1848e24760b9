package owners

import (
	"context"

	"parley/domain"
	"parley/domain/fence"
)

// Ring says which node owns which partition. Its answers may be wrong, late, and different on each node: the log's fence decides.
type Ring interface {
	// Owner returns the node that is to own a partition; ok is false when nobody serves.
	Owner(p domain.Partition) (node domain.NodeName, ok bool)
	// Standing says what this node is to do about a partition.
	Standing(p domain.Partition) fence.Ring
	// From returns the living node that is to hand a partition over to this one; ok is false when there is none.
	From(p domain.Partition) (node domain.NodeName, ok bool)
	// HandedOver says that it has.
	HandedOver(p domain.Partition)
	// Changed returns a channel that is closed when one of the answers may be another.
	Changed() <-chan struct{}
}

// Peers are the other nodes.
type Peers interface {
	// Submit hands a command to a node, in the order of the calls. It never blocks. Done is called exactly once, with code Unknown when no
	// answer comes. hops says how many nodes the command has come through.
	Submit(node domain.NodeName, req domain.Request, hops int)
	Heads(ctx context.Context, node domain.NodeName, ids []domain.StreamID) ([]domain.Row, error)
	Rows(ctx context.Context, node domain.NodeName, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error)
	// Release asks a node to hand a partition over, and returns when it has.
	Release(ctx context.Context, node domain.NodeName, p domain.Partition) error
}

// alone is the ring of a node without others.
type alone struct{ name domain.NodeName }

// Owner implements Ring.
func (a alone) Owner(domain.Partition) (domain.NodeName, bool) { return a.name, true }

// Standing implements Ring.
func (alone) Standing(domain.Partition) fence.Ring { return fence.NamedAtOnce }

// From implements Ring.
func (alone) From(domain.Partition) (domain.NodeName, bool) { return "", false }

// HandedOver implements Ring.
func (alone) HandedOver(domain.Partition) {}

// Changed implements Ring.
func (alone) Changed() <-chan struct{} { return nil }
