package owners

import "parley/domain"

// maxHops is through how many nodes a command may come before it is given back: rings differ for moments only.
const maxHops = 3

// Submit routes a command to the owner of its stream: here, or on another node. It never blocks. A command whose owner moves before it answers
// gets code Unknown, and may be submitted again.
func (o *Owners) Submit(req domain.Request) {
	t, err := o.tenure(req.Stream)
	if err != nil {
		req.Done(domain.Result{Err: err})
		return
	}
	if o.peers == nil {
		if !t.submit(req) {
			req.Done(domain.Result{Err: errStopping})
		}
		return
	}
	if node, ok := o.routes.follow(req.Stream); ok {
		o.send(node, req)
		return
	}
	if t.submit(req) {
		return
	}
	node, ok := o.ring.Owner(t.p)
	if !ok || node == o.name {
		req.Done(domain.Result{Err: errMoved})
		return
	}
	o.send(o.routes.begin(req.Stream, node), req)
}

// send hands a command to another node; the stream's route is counted.
func (o *Owners) send(node domain.NodeName, req domain.Request) {
	done, stream := req.Done, req.Stream
	req.Done = func(r domain.Result) {
		o.routes.end(stream)
		done(r)
	}
	o.peers.Submit(node, req, 0)
}

// SubmitHere takes a command that came from another node: to the shard that is here, or on to the node that has it.
func (o *Owners) SubmitHere(req domain.Request, hops int) {
	t, err := o.tenure(req.Stream)
	if err != nil {
		req.Done(domain.Result{Err: err})
		return
	}
	if !t.submit(req) {
		o.forward(t.p, req, hops)
	}
}

// forward sends a command on to the node that the ring names.
func (o *Owners) forward(p domain.Partition, req domain.Request, hops int) {
	node, ok := o.ring.Owner(p)
	if !ok || node == o.name || hops >= maxHops {
		req.Done(domain.Result{Err: errMoved})
		return
	}
	o.peers.Submit(node, req, hops+1)
}
