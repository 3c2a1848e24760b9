package owners

import "parley/domain"

// maxHops is through how many nodes a command may come before it is given back: rings differ for moments only.
const maxHops = 4

// Submit routes a command to the owner of its stream: here, or on another node. It never blocks. A command whose owner moves before it answers
// gets code Unknown, and may be submitted again.
func (o *Owners) Submit(req domain.Request) {
	if o.peers != nil {
		o.submitFresh(req, 0)
		return
	}
	t, err := o.tenure(req.Stream)
	switch {
	case err != nil:
		req.Done(domain.Result{Err: err})
	case !t.submit(req):
		req.Done(domain.Result{Err: errStopping})
	}
}

// SubmitHere takes a command that came from another node: to the shard that is here, or on to the node that has it.
func (o *Owners) SubmitHere(req domain.Request, hops int) {
	if hops == 0 {
		o.submitFresh(req, 1)
		return
	}
	t, err := o.tenure(req.Stream)
	switch {
	case err != nil:
		req.Done(domain.Result{Err: err})
	case !t.submit(req):
		o.sendOn(t.p, req, hops+1)
	}
}

// submitFresh takes a command that nobody has sent on yet, behind those of its stream that are under way. hops is what another node is told.
func (o *Owners) submitFresh(req domain.Request, hops int) {
	t, err := o.tenure(req.Stream)
	switch {
	case err != nil:
		req.Done(domain.Result{Err: err})
	case t.submitFresh(req, hops):
	default:
		o.forward(t.p, req, hops)
	}
}

// sendAfter sends a command after those of its stream that are under way to another node, if there are such. Call with the tenure's mu held, so that what
// the partition's hand-over sends is on its way whole.
func (o *Owners) sendAfter(req domain.Request, hops int) bool {
	node, ok := o.routes.follow(req.Stream)
	if ok {
		o.send(node, req, hops)
	}
	return ok
}

// forward sends a command to the node that the ring names, or after those of its stream that are under way.
func (o *Owners) forward(p domain.Partition, req domain.Request, hops int) {
	node, ok := o.routes.follow(req.Stream)
	if !ok {
		if node, ok = o.ring.Owner(p); !ok || node == o.name {
			req.Done(domain.Result{Err: errMoved})
			return
		}
		node = o.routes.begin(req.Stream, node)
	}
	o.send(node, req, hops)
}

// sendOn sends a command that another node has sent on to the node that the ring names. It follows no other: those that are under way from here may
// be waiting for it.
func (o *Owners) sendOn(p domain.Partition, req domain.Request, hops int) {
	node, ok := o.ring.Owner(p)
	if !ok || node == o.name || hops > maxHops {
		req.Done(domain.Result{Err: errMoved})
		return
	}
	o.routes.begin(req.Stream, node)
	o.send(node, req, hops)
}

// send hands a command to another node. It is counted among those of its stream that are under way until its sender has its answer: who must send it
// again knows so before a later one can take another way.
func (o *Owners) send(node domain.NodeName, req domain.Request, hops int) {
	done, stream := req.Done, req.Stream
	req.Done = func(r domain.Result) {
		done(r)
		o.routes.end(stream)
	}
	o.peers.Submit(node, req, hops)
}
