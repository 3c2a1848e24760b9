package router

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"parley/delivery/directory"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/cluster/clusterpb"
	"parley/schemas/event"
	"parley/schemas/msync"
)

// Volatile hands what is not logged to the sessions that are to see it, now or never: those of both users of a direct conversation, of the
// members of a group, or of those who view a room. Other nodes are told, if they may have such sessions.
func (r *Router) Volatile(id domain.StreamID, ev *domain.Event) {
	st, ok := id.Parse()
	if !ok {
		r.metrics.dropped.WithLabelValues("bad_stream").Inc()
		return
	}
	if r.tell != nil && r.elsewhere(st) {
		r.tell(volatileFact(id, ev))
		r.metrics.told.Inc()
	}
	r.volatile(id, st, ev)
}

// elsewhere tells whether somebody on another node may see what happens in a stream. Who is subscribed to a group there, or views a room, is
// known there.
func (r *Router) elsewhere(st domain.Stream) bool {
	switch st.Kind {
	case domain.KindGroup, domain.KindRoom:
		return true
	default:
		return r.dir.Elsewhere(directory.Key{App: st.App, User: domain.UserID(st.A)}) || r.dir.Elsewhere(directory.Key{App: st.App, User: st.B})
	}
}

// Notify hands a Meta to those of some users who view a room, in order with what is told of leases.
func (r *Router) Notify(id domain.StreamID, users []domain.UserID, meta []byte) {
	st, ok := id.Parse()
	if ok && r.tell != nil && slices.ContainsFunc(users, func(u domain.UserID) bool { return r.dir.Elsewhere(directory.Key{App: st.App, User: u}) }) {
		r.tell(noticeFact(id, users, meta))
		r.metrics.told.Inc()
	}
	r.rooms.Tell(id, users, meta)
}

// volatile hands what is not logged to the sessions here.
func (r *Router) volatile(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	switch st.Kind {
	case domain.KindGroup:
		r.volatileToGroup(id, st, ev)
	case domain.KindRoom:
		r.rooms.Volatile(id, st, ev)
		r.metrics.volatile.Inc()
	default:
		r.volatileToUsers(id, st, ev)
	}
}

// volatileToUsers hands it to those sessions of both users that see it.
func (r *Router) volatileToUsers(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	meta, ok := msync.MetaOfEntry(nil, st, ev, msync.FormAll, nil)
	if !ok {
		r.metrics.dropped.WithLabelValues("no_wire_form").Inc()
		return
	}
	d := directory.NewDelivery(id, st, ev, meta)
	users := []domain.UserID{domain.UserID(st.A)}
	if st.B != users[0] {
		users = append(users, st.B)
	}
	for _, u := range users {
		for _, s := range r.dir.Sessions(directory.Key{App: st.App, User: u}) {
			if conversation.Sees(st, ev, u, s.Info().Resource) {
				s.DeliverVolatile(d)
			}
		}
	}
	r.metrics.volatile.Inc()
}

// volatileToGroup hands it to those who are subscribed; each sees for itself whether it shows it.
func (r *Router) volatileToGroup(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	sessions := r.dir.Subscribers(id)
	if len(sessions) == 0 {
		return
	}
	d := newDelivery(id, st, ev, msync.FormAll)
	for _, s := range sessions {
		s.DeliverVolatile(d)
	}
	r.metrics.volatile.Inc()
}

// A Router is a party of the links between nodes. It has nothing to tell that lasts: a snapshot is empty, and a node that is gone leaves nothing.

func volatileFact(id domain.StreamID, ev *domain.Event) []byte {
	return encode(&clusterpb.VolatileFact{Stream: []byte(id), Event: event.AppendEvent(nil, ev)})
}

func noticeFact(id domain.StreamID, users []domain.UserID, meta []byte) []byte {
	f := &clusterpb.VolatileFact{Stream: []byte(id), Notice: meta, Users: make([][]byte, len(users))}
	for i, u := range users {
		f.Users[i] = []byte(u)
	}
	return encode(f)
}

func encode(f *clusterpb.VolatileFact) []byte {
	b, err := proto.Marshal(f)
	if err != nil {
		panic(fmt.Sprintf("router: encode a fact: %v", err)) // it has no texts that could be malformed
	}
	return b
}

var errStream = errors.New("not a stream")

// Apply hands what another node tells to the sessions here.
func (r *Router) Apply(_ domain.Node, fact []byte) error {
	var f clusterpb.VolatileFact
	if err := proto.Unmarshal(fact, &f); err != nil {
		return fmt.Errorf("decode what is not logged: %w", err)
	}
	id := domain.StreamID(f.GetStream())
	st, ok := id.Parse()
	if !ok {
		return errStream
	}
	if len(f.GetNotice()) > 0 {
		users := make([]domain.UserID, len(f.GetUsers()))
		for i, u := range f.GetUsers() {
			users[i] = domain.UserID(u)
		}
		r.rooms.Tell(id, users, f.GetNotice())
		return nil
	}
	ev, err := event.DecodeEvent(f.GetEvent())
	if err != nil {
		return fmt.Errorf("decode what is not logged: %w", err)
	}
	r.volatile(id, st, &ev)
	return nil
}

// Snapshot tells nothing.
func (r *Router) Snapshot(func(fact []byte)) {}

// Begin does nothing.
func (r *Router) Begin(domain.Node) {}

// End does nothing.
func (r *Router) End(domain.Node) {}

// Gone does nothing.
func (r *Router) Gone(domain.Node) {}
