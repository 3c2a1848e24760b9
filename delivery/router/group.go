package router

import (
	"parley/delivery/directory"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// group hands an event of a group to those it is for.
//
// An entry goes to the sessions that are subscribed. One that makes users members, or members no more, goes first to all sessions of these
// users, in the form for them: those of new members subscribe before the next entry is routed, and to the others it is their last.
func (r *Router) group(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	if ev.Seq == 0 {
		r.groupAside(id, st, ev)
		return
	}
	r.age(ev)
	e := groupEntry{router: r, id: id, st: st, ev: ev}
	switch b := ev.Body.(type) {
	case conversation.GroupCreated:
		e.named(b.Owner.User, directory.Joins)
	case conversation.MembersAdded:
		for i := range b.Members {
			e.named(b.Members[i].User, directory.Joins)
		}
	case conversation.MembersRemoved:
		for _, u := range b.Users {
			e.named(u, directory.Leaves)
		}
	case conversation.GroupDestroyed:
		e.change = directory.Ends
	}
	e.subscribers()
	if e.change == directory.Ends {
		r.dir.UnsubscribeAll(id)
	}
	if e.reached {
		r.metrics.online.Inc()
	} else {
		r.metrics.offline.Inc()
	}
}

// groupEntry is an entry of a group on its way: encoded at most once a form, and only when somebody is there.
type groupEntry struct {
	router  *Router
	id      domain.StreamID
	st      domain.Stream
	ev      *domain.Event
	change  directory.Change // for those who are subscribed
	toNamed *directory.Delivery
	reached bool
}

func (e *groupEntry) delivery(form msync.Form, change directory.Change) *directory.Delivery {
	e.reached = true
	d := newDelivery(e.id, e.st, e.ev, form)
	d.Change = change
	return d
}

// named hands the entry to the sessions of a user whom it names.
func (e *groupEntry) named(u domain.UserID, change directory.Change) {
	sessions := e.router.dir.Sessions(directory.Key{App: e.st.App, User: u})
	if len(sessions) == 0 {
		return
	}
	if e.toNamed == nil {
		e.toNamed = e.delivery(msync.FormOf(e.ev, u), change)
	}
	for _, s := range sessions {
		s.Deliver(e.toNamed)
	}
}

// subscribers hands the entry to all who are subscribed. Those who had it already as named pass over it.
func (e *groupEntry) subscribers() {
	sessions := e.router.dir.Subscribers(e.id)
	if len(sessions) == 0 {
		return
	}
	d := e.delivery(msync.FormAll, e.change)
	for _, s := range sessions {
		s.Deliver(d)
	}
}

// groupAside hands on what has no place in the order: that a member shields the group, to the member's sessions, and that a member has read
// all, to the member's other devices.
func (r *Router) groupAside(id domain.StreamID, st domain.Stream, ev *domain.Event) {
	switch b := ev.Body.(type) {
	case conversation.ShieldSet:
		d := directory.NewDelivery(id, st, ev, nil)
		d.Change = directory.Shields
		for _, s := range r.dir.Sessions(directory.Key{App: st.App, User: b.User}) {
			s.Deliver(d)
		}
	case conversation.ConversationRead:
		k := directory.Key{App: st.App, User: b.By}
		sessions := r.dir.Sessions(k)
		if len(sessions) == 0 || len(sessions) == 1 && !r.dir.Elsewhere(k) {
			return // nobody, or whoever read it
		}
		d := newDelivery(id, st, ev, msync.FormAll)
		for _, s := range sessions {
			s.DeliverVolatile(d)
		}
	}
}

// newDelivery encodes an event in one form. Without a wire form it only moves the seq on.
func newDelivery(id domain.StreamID, st domain.Stream, ev *domain.Event, form msync.Form) *directory.Delivery {
	meta, ok := msync.MetaOfEntry(nil, st, ev, form, nil)
	if !ok {
		meta = nil
	}
	return directory.NewDelivery(id, st, ev, meta)
}
