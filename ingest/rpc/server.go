package rpc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"parley/domain"
	"parley/schemas/cluster"
	"parley/schemas/cluster/clusterpb"
)

// Owners are what this node owns.
type Owners interface {
	// SubmitHere takes a command that another node forwarded; hops is how often that was done. It never blocks, and Done is called as
	// domain.Request says, or at once by the caller's goroutine.
	SubmitHere(req domain.Request, hops int)
	// HeadsHere returns head rows of streams, nil for those that are not there, in order.
	HeadsHere(ctx context.Context, ids []domain.StreamID) ([]domain.Row, error)
	// RowsHere returns rows of one stream, nil for those that are not there, in order.
	RowsHere(ctx context.Context, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error)
	// Release hands a partition over: it returns when nothing is decided here any more and what was sent is settled.
	Release(ctx context.Context, p domain.Partition) error
}

// Projections are the read models that this node runs.
type Projections interface {
	// WaitHere returns when the named read models (none: all) have passed the positions. ErrLate and ErrNotHere, of this package, may be in
	// the chain of its error.
	WaitHere(ctx context.Context, positions map[domain.Partition]domain.Index, names []string) error
}

// Operator is the node's admin API.
type Operator http.Handler

// ServerConfig says what a node offers to the others. Owners, Projections and Operator must be set.
type ServerConfig struct {
	Owners      Owners
	Projections Projections
	Operator    Operator
	Settings    Settings
	Logger      *slog.Logger          // nil: none
	Registerer  prometheus.Registerer // nil: none
}

// Register offers this node's part of the write side on a gRPC server, which must accept messages of MessageBytes (gRPC's default) and must
// know who calls: whoever can call may do everything. Streams end with the connections: GracefulStop waits for the other nodes to go, Stop
// does not.
func Register(s grpc.ServiceRegistrar, cfg ServerConfig) {
	clusterpb.RegisterIngestServer(s, &server{
		owners: cfg.Owners, projections: cfg.Projections, operator: cfg.Operator, set: cfg.Settings.withDefaults(),
		log: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)), metrics: newServerMetrics(cfg.Registerer),
		turns: turns{of: make(map[string]*turn)},
	})
}

// server is the far side.
type server struct {
	clusterpb.UnimplementedIngestServer
	owners      Owners
	projections Projections
	operator    Operator
	set         Settings
	log         *slog.Logger
	metrics     *serverMetrics
	turns       turns
}

// Release implements clusterpb.IngestServer.
func (s *server) Release(ctx context.Context, req *clusterpb.ReleaseRequest) (*clusterpb.ReleaseResponse, error) {
	p, ok := partition(req.GetPartition())
	if !ok {
		return &clusterpb.ReleaseResponse{Failure: cluster.EncodeFailure(errNoCall)}, nil
	}
	err := s.owners.Release(ctx, p)
	if err != nil && ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return &clusterpb.ReleaseResponse{Failure: cluster.EncodeFailure(err)}, nil
}

// Wait implements clusterpb.IngestServer.
func (s *server) Wait(ctx context.Context, req *clusterpb.WaitRequest) (*clusterpb.WaitResponse, error) {
	positions := make(map[domain.Partition]domain.Index, len(req.GetPositions()))
	for _, at := range req.GetPositions() {
		p, ok := partition(at.GetPartition())
		if !ok {
			return &clusterpb.WaitResponse{Failure: cluster.EncodeFailure(errNoCall)}, nil
		}
		positions[p] = max(positions[p], domain.Index(at.GetIndex()))
	}
	switch err := s.projections.WaitHere(ctx, positions, req.GetNames()); {
	case err == nil:
		return &clusterpb.WaitResponse{Outcome: clusterpb.WaitResponse_OUTCOME_PASSED}, nil
	case errors.Is(err, ErrLate):
		return &clusterpb.WaitResponse{Outcome: clusterpb.WaitResponse_OUTCOME_LATE}, nil
	case errors.Is(err, ErrNotHere):
		return &clusterpb.WaitResponse{Outcome: clusterpb.WaitResponse_OUTCOME_NOT_HERE}, nil
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	default:
		return &clusterpb.WaitResponse{Failure: cluster.EncodeFailure(err)}, nil
	}
}

func partition(n uint32) (domain.Partition, bool) {
	return domain.Partition(n), n <= math.MaxUint16
}
