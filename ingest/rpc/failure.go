package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parley/domain"
)

// Errors of Wait, here and at the node that is asked.
var (
	ErrLate    = errors.New("the read models have not come so far in time")
	ErrNotHere = errors.New("the partition does not run on that node")
)

// Refusals by this package. Those with the code Busy were not done.
var (
	errMoved      = domain.Refuse(domain.Unknown, "moved")
	errUnanswered = domain.Refuse(domain.Unknown, "no answer in time")
	errFull       = domain.Refuse(domain.Busy, "too many commands for another node")
	errReadsFull  = domain.Refuse(domain.Busy, "too many reads for another node")
	errExpired    = domain.Refuse(domain.Busy, "waited too long")
	errStopping   = domain.Refuse(domain.Stopping, "the node stops")
	errTooLarge   = domain.Refuse(domain.TooLarge, "the command is too large")
	errNoCall     = domain.Refuse(domain.Busy, "another node asks for what this one does not know")
	errAnswer     = domain.Refuse(domain.TooLarge, "the answer is too large")
)

// ofStatus returns what the error of a gRPC call means to who called: the context's own end, or a domain error.
func ofStatus(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Unimplemented:
		return domain.Fail(domain.Unsupported, err)
	case codes.ResourceExhausted:
		return domain.Fail(domain.TooLarge, err)
	default:
		return &domain.Error{Code: errMoved.Code, Reason: errMoved.Reason, Err: err}
	}
}
