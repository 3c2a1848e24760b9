package rpc

import (
	"google.golang.org/grpc"

	"parley/schemas/cluster/clusterpb"
)

const (
	batchBytes = 64 << 10 // told in one message, and one fact more
	maxFact    = 2 << 20  // bytes of a fact: with a batch before it, it fits into the 4 MiB that gRPC takes as one message
)

// batch gathers facts into messages. After an error it drops everything.
type batch struct {
	stream  grpc.BidiStreamingClient[clusterpb.TellRequest, clusterpb.TellResponse]
	metrics *metrics
	sent    func(facts, bytes int) // nil: nobody wants to know
	runs    []*clusterpb.Run
	facts   int
	bytes   int
	err     error
}

func (b *batch) add(t told) {
	if t.mark != 0 {
		b.mark(t.mark)
		return
	}
	if len(t.fact) > maxFact {
		b.metrics.tooLarge.Inc()
		if b.sent != nil {
			b.sent(1, len(t.fact))
		}
		return
	}
	if n := len(b.runs); n == 0 || b.runs[n-1].GetKind() != uint32(t.kind) {
		b.runs = append(b.runs, &clusterpb.Run{Kind: uint32(t.kind)})
	}
	run := b.runs[len(b.runs)-1]
	run.Facts = append(run.Facts, t.fact)
	b.facts++
	if b.bytes += len(t.fact); b.bytes >= batchBytes || b.facts >= batchBytes/16 {
		b.flush()
	}
}

// mark sends a mark after what is gathered.
func (b *batch) mark(number uint64) {
	b.flush()
	b.send(&clusterpb.TellRequest{Content: &clusterpb.TellRequest_Mark{Mark: &clusterpb.Mark{Number: number}}})
	b.sent(1, 0)
}

func (b *batch) send(r *clusterpb.TellRequest) {
	if b.err == nil {
		b.err = b.stream.Send(r)
	}
}

// flush sends what there is. It waits while the other node is slow.
func (b *batch) flush() {
	if b.facts == 0 {
		return
	}
	b.send(&clusterpb.TellRequest{Content: &clusterpb.TellRequest_Facts{Facts: &clusterpb.Facts{Runs: b.runs}}})
	if b.err == nil {
		for _, r := range b.runs {
			b.metrics.told.of(Kind(r.GetKind())).Add(float64(len(r.GetFacts())))
		}
	}
	if b.sent != nil {
		b.sent(b.facts, b.bytes)
	}
	b.runs, b.facts, b.bytes = nil, 0, 0
}
