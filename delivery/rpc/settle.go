package rpc

import (
	"context"
	"fmt"

	"parley/domain"
	"parley/schemas/cluster/clusterpb"
)

// Device names a device of one account.
type Device struct {
	App         domain.AppID
	User        domain.UserID
	Incarnation domain.Incarnation
	Resource    domain.Resource
}

// Settle returns when a node has stored what a device has acknowledged there.
func (l *Links) Settle(ctx context.Context, node domain.NodeName, d Device) error {
	conn, err := l.cfg.Dial(node)
	if err != nil {
		return fmt.Errorf("settle a device at node %s: %w", node, err)
	}
	_, err = clusterpb.NewDeliveryClient(conn).Settle(ctx, &clusterpb.SettleRequest{
		App: []byte(d.App), User: []byte(d.User), Incarnation: uint32(d.Incarnation), Resource: []byte(d.Resource),
	})
	if err != nil {
		return fmt.Errorf("settle a device at node %s: %w", node, err)
	}
	return nil
}

// Settle answers another node.
func (s *service) Settle(ctx context.Context, r *clusterpb.SettleRequest) (*clusterpb.SettleResponse, error) {
	if s.links.cfg.Settle == nil {
		return &clusterpb.SettleResponse{}, nil
	}
	err := s.links.cfg.Settle(ctx, Device{
		App: domain.AppID(r.GetApp()), User: domain.UserID(r.GetUser()), Incarnation: domain.Incarnation(r.GetIncarnation()),
		Resource: domain.Resource(r.GetResource()),
	})
	return &clusterpb.SettleResponse{}, err
}
