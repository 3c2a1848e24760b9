package control

import (
	"context"
	"errors"
	"fmt"

	"parley/domain"
)

// ErrNodesFull is in the chain of EnsureNode's error when every number is some node's.
var ErrNodesFull = errors.New("all numbers of nodes are taken")

// Node gives a node its number, for ever: ids of what is not logged carry it, so that no two nodes make the same one.
type Node struct {
	Format int              `json:"v"`
	Name   domain.NodeName  `json:"name"`
	Number domain.Partition `json:"number"` // 3072–4095
}

const (
	lastNode    = domain.Partition(1<<12 - 1) // ids have 12 bits for a number
	mostNodeLen = 255
)

// Node returns a node's number.
func (c *Control) Node(name domain.NodeName) (number domain.Partition, ok bool) {
	number, ok = c.current.Load().nodes[name]
	return number, ok
}

// EnsureNode returns the node's number, and gives it one that is free when it has none. Nodes that take the same number at the same time are
// told apart by the log: the first record holds it, the others take the next.
func (c *Control) EnsureNode(ctx context.Context, name domain.NodeName) (domain.Partition, error) {
	if name == "" || len(name) > mostNodeLen {
		return 0, domain.Refuse(domain.BadRequest, fmt.Sprintf("a node's name has 1 to %d bytes", mostNodeLen))
	}
	c.edit.Lock()
	defer c.edit.Unlock()
	if err := c.catchUp(ctx); err != nil {
		return 0, err
	}
	number, has := c.Node(name)
	for tries := 0; !has && tries <= int(lastNode-domain.FirstNode); tries++ {
		free, ok := c.current.Load().freeNode()
		if !ok {
			break
		}
		if err := c.putNode(ctx, name, free); err != nil {
			return 0, err
		}
		if number, has = c.Node(name); has && number != free {
			// A process of the same name came first. The log may keep only the last record of a key: it must be the one that counts.
			return number, c.putNode(ctx, name, number)
		}
	}
	if !has {
		return 0, fmt.Errorf("control: node %s: %w", name, ErrNodesFull)
	}
	return number, nil
}

func (c *Control) putNode(ctx context.Context, name domain.NodeName, number domain.Partition) error {
	value, err := encode(nodeKey(name), Node{Format: format, Name: name, Number: number})
	if err != nil {
		return err
	}
	return c.put(ctx, nodeKey(name), value)
}

// freeNode returns the lowest number that no node has.
func (s *snapshot) freeNode() (domain.Partition, bool) {
	taken := make(map[domain.Partition]bool, len(s.nodes))
	for _, number := range s.nodes {
		taken[number] = true
	}
	for number := domain.FirstNode; number <= lastNode; number++ {
		if !taken[number] {
			return number, true
		}
	}
	return 0, false
}

// foldNode lets the first that claims a free number hold it. A node that has a number keeps it.
func (s *snapshot) foldNode(r domain.LogRecord) error {
	n := Node{}
	if err := decode(r, &n, &n.Format); err != nil {
		return err
	}
	if n.Name == "" || n.Number < domain.FirstNode || n.Number > lastNode {
		return fmt.Errorf("%w: offset %d: node %q has number %d", errUndecodable, r.Offset, n.Name, n.Number)
	}
	if _, has := s.nodes[n.Name]; has {
		return nil
	}
	for _, taken := range s.nodes {
		if taken == n.Number {
			return nil
		}
	}
	s.nodes[n.Name] = n.Number
	return nil
}
