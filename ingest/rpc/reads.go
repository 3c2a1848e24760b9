package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"parley/domain"
	"parley/schemas/cluster"
	"parley/schemas/cluster/clusterpb"
)

// Heads returns the acknowledged head rows of streams that a node owns, nil for a stream that has none, in the order of ids. Errors are the
// context's or carry a domain code: Unknown ("moved") when the node does not answer.
func (p *Peers) Heads(ctx context.Context, node domain.NodeName, ids []domain.StreamID) ([]domain.Row, error) {
	out := make([]domain.Row, 0, len(ids))
	for len(out) < len(ids) {
		rest := ids[len(out):min(len(ids), len(out)+p.set.ReadRows)]
		rows, err := p.read(ctx, node, &clusterpb.Read{Heads: texts(rest)}, len(rest))
		if err != nil {
			return nil, fmt.Errorf("heads from node %s: %w", node, err)
		}
		for i, r := range rows {
			row, err := cluster.DecodeRow(rest[i], domain.PartHead, r)
			if err != nil {
				return nil, fmt.Errorf("heads from node %s: %w", node, err)
			}
			out = append(out, row)
		}
	}
	return out, nil
}

// Rows returns acknowledged rows of one stream that a node owns, nil for those that are not there. Errors as with Heads.
func (p *Peers) Rows(ctx context.Context, node domain.NodeName, stream domain.StreamID, parts []domain.PartID) ([]domain.Row, error) {
	out := make([]domain.Row, 0, len(parts))
	for len(out) < len(parts) {
		rest := parts[len(out):min(len(parts), len(out)+p.set.ReadRows)]
		rows, err := p.read(ctx, node, &clusterpb.Read{Stream: []byte(stream), Parts: texts(rest)}, len(rest))
		if err != nil {
			return nil, fmt.Errorf("rows from node %s: %w", node, err)
		}
		for i, r := range rows {
			row, err := cluster.DecodeRow(stream, rest[i], r)
			if err != nil {
				return nil, fmt.Errorf("rows from node %s: %w", node, err)
			}
			out = append(out, row)
		}
	}
	return out, nil
}

func texts[S ~string](in []S) [][]byte {
	out := make([][]byte, len(in))
	for i, s := range in {
		out[i] = []byte(s)
	}
	return out
}

// answered is how a read ended.
type answered struct {
	answer *clusterpb.Answer
	err    error
}

// read asks for rows and returns the forms of the first of them, at least one and at most want.
func (p *Peers) read(ctx context.Context, node domain.NodeName, what *clusterpb.Read, want int) ([]*clusterpb.Row, error) {
	c := &call{what: readCall, size: proto.Size(what) + callOverhead, at: time.Now()}
	c.deadline, _ = ctx.Deadline()
	c.want = &clusterpb.Call{Want: &clusterpb.Call_Read{Read: what}}
	end := make(chan answered, 1)
	c.done = func(a *clusterpb.Answer, err error) { end <- answered{a, err} }
	l, err := p.put(node, c)
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		l.forget(c)
		return nil, ctx.Err()
	case e := <-end:
		if e.err == nil {
			e.err = cluster.DecodeFailure(e.answer.GetFailure())
		}
		if rows := e.answer.GetRows(); e.err != nil || len(rows) > 0 && len(rows) <= want {
			return rows, e.err
		}
		return nil, errors.New("the answer has too few rows, or too many")
	}
}

// Release asks a node to hand a partition over, and returns when it decides nothing there any more.
func (p *Peers) Release(ctx context.Context, node domain.NodeName, partition domain.Partition) error {
	client, err := p.client(node)
	if err != nil {
		return fmt.Errorf("release by node %s: %w", node, err)
	}
	resp, err := client.Release(ctx, &clusterpb.ReleaseRequest{Partition: uint32(partition)})
	if err != nil {
		err = ofStatus(ctx, err)
	} else {
		err = cluster.DecodeFailure(resp.GetFailure())
	}
	if err != nil {
		return fmt.Errorf("release by node %s: %w", node, err)
	}
	return nil
}

// Wait returns when read models of a node (all when none is named) have passed positions. ErrLate: not in time; ErrNotHere: one of the
// partitions does not run there.
func (p *Peers) Wait(ctx context.Context, node domain.NodeName, positions map[domain.Partition]domain.Index, names []string) error {
	client, err := p.client(node)
	if err != nil {
		return fmt.Errorf("wait for node %s: %w", node, err)
	}
	req := &clusterpb.WaitRequest{Names: names}
	for at, index := range positions {
		req.Positions = append(req.Positions, &clusterpb.Reached{Partition: uint32(at), Index: uint64(index)})
	}
	resp, err := client.Wait(ctx, req)
	switch {
	case err != nil:
		err = ofStatus(ctx, err)
	case resp.GetOutcome() == clusterpb.WaitResponse_OUTCOME_PASSED:
		return nil
	case resp.GetOutcome() == clusterpb.WaitResponse_OUTCOME_LATE:
		err = ErrLate
	case resp.GetOutcome() == clusterpb.WaitResponse_OUTCOME_NOT_HERE:
		err = ErrNotHere
	case resp.GetFailure() == nil:
		err = errors.New("the answer says nothing")
	default:
		err = cluster.DecodeFailure(resp.GetFailure())
	}
	return fmt.Errorf("wait for node %s: %w", node, err)
}

// Operate runs one request against the admin API of a node. path may have a query.
func (p *Peers) Operate(ctx context.Context, node domain.NodeName, method, path string, body []byte) (status int, answer []byte, err error) {
	client, err := p.client(node)
	if err != nil {
		return 0, nil, fmt.Errorf("operate node %s: %w", node, err)
	}
	if len(body) > p.set.OperateBytes {
		return 0, nil, fmt.Errorf("operate node %s: %w", node, errTooLarge)
	}
	resp, err := client.Operate(ctx, &clusterpb.OperateRequest{Method: method, Path: path, Body: body})
	if err != nil {
		return 0, nil, fmt.Errorf("operate node %s: %w", node, ofStatus(ctx, err))
	}
	return int(resp.GetStatus()), resp.GetBody(), nil
}

// client returns the calls of a node that are not part of its link.
func (p *Peers) client(node domain.NodeName) (clusterpb.IngestClient, error) {
	conn, err := p.dial(node)
	if err != nil {
		return nil, &domain.Error{Code: errMoved.Code, Reason: errMoved.Reason, Err: err}
	}
	return clusterpb.NewIngestClient(conn), nil
}
