package router_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"parley/delivery/directory"
	"parley/domain"
	"parley/domain/conversation"
)

const groupStream = domain.StreamID("org#app/g/7")

// member is a session that subscribes as the gateway's do.
func (r *rig) member(u domain.UserID) (*session, *[]string) {
	var story []string
	s := r.attach(u, directory.Info{Resource: domain.Resource(u)})
	s.deliver = func(d *directory.Delivery) {
		switch d.Change {
		case directory.Joins:
			story = append(story, "joins")
			r.dir.Subscribe(d.Stream, s)
		case directory.Leaves:
			story = append(story, "leaves")
			r.dir.Unsubscribe(d.Stream, s)
		case directory.Ends:
			story = append(story, "ends")
		case directory.Shields:
			story = append(story, "shields")
		default:
			story = append(story, d.Event.Body.EventName())
		}
	}
	return s, &story
}

func entry(seq domain.Seq, body domain.Body) domain.Event {
	return domain.Event{T: domain.T(seq) << 12, Seq: seq, Body: body}
}

func said(from domain.UserID, seq domain.Seq) domain.Event {
	return entry(seq, conversation.MessageSent{From: from, SyncOwn: true, Body: []byte{8, 2}})
}

// Entries of a group go to who is subscribed; who is named joins before the next, leaves after the last, in time for what is in one commit.
func TestGroupEntries(t *testing.T) {
	r := newRig()
	_, ann := r.member("ann")
	_, bob := r.member("bob")
	_, eve := r.member("eve")
	joiner := func(u domain.UserID) conversation.Joiner { return conversation.Joiner{User: u, Incarnation: 1} }
	r.commit(groupStream,
		entry(1, conversation.GroupCreated{Owner: conversation.Person{User: "ann", Incarnation: 1}}),
		entry(2, conversation.MembersAdded{Members: []conversation.Joiner{joiner("bob"), joiner("away")}, How: conversation.JoinAdded, From: 2}))
	r.commit(groupStream, said("ann", 3))
	r.commit(groupStream, domain.Event{T: 4 << 12, Body: conversation.ShieldSet{User: "bob", On: true}})
	r.commit(groupStream, entry(4, conversation.MembersRemoved{Users: []domain.UserID{"bob"}, How: conversation.LeaveRemoved}))
	r.commit(groupStream, said("ann", 5))
	r.commit(groupStream, entry(6, conversation.GroupDestroyed{}))
	r.commit(groupStream, said("ann", 7))
	r.run(t)
	require.Equal(t, []string{"joins", "GroupCreated", "MembersAdded", "MessageSent", "MembersRemoved", "MessageSent", "ends"}, *ann)
	require.Equal(t, []string{"joins", "MembersAdded", "MessageSent", "shields", "leaves"}, *bob, "once as named, once as subscribed")
	require.Empty(t, *eve)
	require.Empty(t, r.dir.Subscribers(groupStream))
}

// What is named is encoded for them, the rest is the same bytes for all others.
func TestGroupForms(t *testing.T) {
	r := newRig()
	var forms [][]byte
	take := func(d *directory.Delivery) { forms = append(forms, d.Metas[0]) }
	for _, u := range []domain.UserID{"bob", "ann", "cid"} {
		s := r.attach(u, directory.Info{})
		s.deliver = take
		if u != "bob" {
			r.dir.Subscribe(groupStream, s)
		}
	}
	r.commit(groupStream, entry(2, conversation.MembersAdded{Members: []conversation.Joiner{{User: "bob", Incarnation: 1}}, How: conversation.JoinAdded}))
	r.run(t)
	require.Len(t, forms, 3)
	require.NotEqual(t, forms[0], forms[1])
	require.Same(t, &forms[1][0], &forms[2][0])
}

// That a member has read all is told to the member's other devices only.
func TestGroupReadIsVolatile(t *testing.T) {
	r := newRig()
	ann, pad, bob := r.attach("ann", directory.Info{Resource: "web"}), r.attach("ann", directory.Info{Resource: "pad"}), r.attach("bob", directory.Info{})
	r.dir.Subscribe(groupStream, bob)
	r.commit(groupStream, domain.Event{T: 1 << 12, Body: conversation.ConversationRead{By: "ann", ByResource: "web", Body: []byte{8, 7}}})
	r.run(t)
	require.Equal(t, []int{1, 1, 0}, []int{ann.volatile, pad.volatile, bob.volatile}, "sessions see for themselves")
}

func TestVolatileToGroup(t *testing.T) {
	r := newRig()
	ann, eve := r.attach("ann", directory.Info{}), r.attach("eve", directory.Info{})
	r.dir.Subscribe(groupStream, ann)
	ev := said("bob", 0)
	r.router.Volatile(groupStream, &ev)
	require.Equal(t, []int{1, 0}, []int{ann.volatile, eve.volatile})
}

// quiet is a session that costs nothing.
type quiet struct{ n int }

func (*quiet) Info() directory.Info                  { return directory.Info{} }
func (q *quiet) Deliver(*directory.Delivery)         { q.n++ }
func (q *quiet) DeliverVolatile(*directory.Delivery) { q.n++ }
func (*quiet) Kick(directory.KickReason, string)     {}

// groupOf is a group with n sessions there, and a message to it.
func groupOf(n int) (*rig, *domain.Commit) {
	r := newRig()
	for range n {
		r.dir.Subscribe(groupStream, &quiet{})
	}
	return r, &domain.Commit{Stream: groupStream, Events: []domain.Event{said("ann", 1)}}
}

// A receiver more costs no allocation more.
func TestRouteGroupAllocations(t *testing.T) {
	allocations := func(n int) float64 {
		r, c := groupOf(n)
		return testing.AllocsPerRun(200, func() { r.router.Route(c) })
	}
	few, many := allocations(1), allocations(1000)
	require.Equal(t, few, many)
}

func BenchmarkRouteGroup(b *testing.B) {
	const receivers = 1000
	r, c := groupOf(receivers)
	b.ReportAllocs()
	for b.Loop() {
		r.router.Route(c)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/receivers, "ns/receiver")
}
