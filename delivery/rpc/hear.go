package rpc

import (
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parley/domain"
	"parley/schemas/cluster/clusterpb"
)

// Register has a server hear what other nodes tell. The server is made with ServerOptions.
func Register(s grpc.ServiceRegistrar, l *Links) {
	clusterpb.RegisterDeliveryServer(s, &service{links: l})
}

type service struct {
	clusterpb.UnimplementedDeliveryServer
	links *Links
}

type hearStream = grpc.BidiStreamingServer[clusterpb.TellRequest, clusterpb.TellResponse]

// Tell hears one link until it ends. One goroutine hears, so that this one can leave when the link is to be cut.
func (s *service) Tell(stream hearStream) error {
	first, err := stream.Recv()
	if err != nil {
		return err //nolint:wrapcheck // it is a status
	}
	p, err := s.links.accept(first.GetHello())
	if err != nil {
		return err
	}
	h, err := p.begin(first.GetHello().GetLink())
	if err != nil {
		s.links.heard.Done()
		return err
	}
	over := make(chan error, 1)
	go func() {
		defer s.links.heard.Done()
		over <- h.hear(stream)
	}()
	err = h.beat(stream, over)
	p.finish(h, err)
	return err
}

// accept finds whose link it is, and counts it as heard.
func (l *Links) accept(hello *clusterpb.Hello) (*peer, error) {
	if hello == nil {
		return nil, status.Error(codes.InvalidArgument, "a link begins with a hello")
	}
	to := domain.Node{Name: domain.NodeName(hello.GetTo()), Life: hello.GetToLife()}
	from := domain.Node{Name: domain.NodeName(hello.GetFrom()), Life: hello.GetFromLife()}
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.members[from.Name]
	switch {
	case to != l.cfg.Self:
		return nil, status.Error(codes.FailedPrecondition, "another node, or another life of it, is meant")
	case l.stopped:
		return nil, status.Error(codes.Unavailable, "this node stops")
	case m == nil || m.peer.node != from:
		return nil, status.Error(codes.Unavailable, "the node is no member here")
	}
	l.heard.Add(1)
	return m.peer, nil
}

// beat lets the other node hear that the link is whole, and what was applied, until it ends.
func (h *hearing) beat(stream hearStream, over <-chan error) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		if err := stream.Send(&clusterpb.TellResponse{Applied: h.applied.Load()}); err != nil {
			return err //nolint:wrapcheck // it is a status
		}
		select {
		case err := <-over:
			return err
		case <-h.ended:
			return h.why
		case <-h.marked:
		case <-tick.C:
		}
	}
}

// hear hands what is told to the parties until the stream ends.
func (h *hearing) hear(stream hearStream) error {
	for {
		told, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = h.peer.apply(h, told)
		}
		if err != nil {
			return err
		}
	}
}
