package rpc

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"parley/schemas/cluster/clusterpb"
)

// Operate implements clusterpb.IngestServer.
func (s *server) Operate(ctx context.Context, req *clusterpb.OperateRequest) (resp *clusterpb.OperateResponse, err error) {
	if len(req.GetBody()) > s.set.OperateBytes {
		return nil, status.Error(codes.ResourceExhausted, "the request is too large")
	}
	r, err := http.NewRequestWithContext(ctx, req.GetMethod(), req.GetPath(), bytes.NewReader(req.GetBody()))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	r.RequestURI, r.RemoteAddr = req.GetPath(), "cluster"
	w := &recorder{limit: s.set.OperateBytes, header: make(http.Header)}
	defer func() {
		if v := recover(); v != nil { // as an HTTP server does
			s.log.ErrorContext(ctx, "the admin API panicked", slog.String("path", r.URL.Path), slog.Any("panic", v))
			resp, err = nil, status.Error(codes.Internal, "the admin API panicked")
		}
	}()
	s.operator.ServeHTTP(w, r)
	if w.over {
		return nil, status.Error(codes.ResourceExhausted, errAnswer.Reason)
	}
	w.WriteHeader(http.StatusOK)
	return &clusterpb.OperateResponse{Status: uint32(w.status), Body: w.body.Bytes()}, nil
}

// recorder keeps a handler's answer, up to a limit.
type recorder struct {
	limit  int
	header http.Header
	status int
	body   bytes.Buffer
	over   bool // the answer was too large
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter: the first counts.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

// Write implements http.ResponseWriter. Over the limit it fails.
func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.over = w.over || w.body.Len()+len(b) > w.limit; w.over {
		return 0, errAnswer
	}
	return w.body.Write(b)
}
