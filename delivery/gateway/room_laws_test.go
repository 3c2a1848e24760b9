package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/delivery/gateway"
	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/msync"
)

// Whatever sockets and REST do at the same time, in the end a device that is shown a room has a lease of it, nothing is shown that nobody
// counts, and who has a lease may speak.
func TestRoomLeasesAndViewsAgree(t *testing.T) {
	const users, calls = 3, 40
	r := newRig(t)
	r.register("ann")
	stream := r.room("97", "ann")
	var names []string
	for i := range users {
		names = append(names, fmt.Sprintf("v%d", i))
	}
	r.register(names...)
	var mu sync.Mutex
	var sockets []*device
	var wg sync.WaitGroup
	for _, name := range names {
		for _, resource := range []string{"web", "web", "pad"} { // two tabs and another device
			wg.Go(func() {
				d := r.wander(name, resource, calls)
				mu.Lock()
				sockets = append(sockets, d)
				mu.Unlock()
			})
		}
		wg.Go(func() { r.meddle(name, calls) })
	}
	wg.Wait()
	r.broadcast(stream, "ann", "the end")
	var shown []string
	eventually(t, func() bool {
		shown = nil
		for _, d := range sockets {
			if slices.Contains(d.heard(), "the end") {
				shown = append(shown, d.user+" "+d.resource)
			}
		}
		return len(shown) == r.rooms.Viewers(stream)
	}, func() string { return fmt.Sprintf("%q are shown the room, of %d", shown, r.rooms.Viewers(stream)) })
	var leased []string
	for _, le := range r.leases.Roster(stream, "", 100) {
		for _, resource := range le.Devices {
			leased = append(leased, string(le.User)+" "+string(resource))
		}
	}
	for _, device := range shown {
		require.Contains(t, leased, device, "it is shown a room of which it has no lease")
	}
	for _, d := range sockets {
		ack, err := d.SendRoom(within(t), "97", "mine", conversation.PriorityHigh)
		require.NoError(t, err)
		require.Equal(t, r.leases.Viewing(stream, domain.UserID(d.user)), ack.Code == msync.Status_OK, ack.Reason)
	}
}

// wander joins, leaves, speaks, is cut and comes back, and returns the socket that it has in the end.
func (r *rig) wander(name, resource string, calls int) *device {
	d := r.dials(name, resource)
	for range calls {
		switch rand.IntN(8) {
		case 0, 1, 2:
			_, _, err := d.JoinRoom(context.Background(), "97", "")
			r.check(err)
		case 3, 4:
			_, err := d.LeaveRoom(context.Background(), "97")
			r.check(err)
		case 5:
			d.Cut()
			d = r.dials(name, resource)
		default:
			_, err := d.SendRoom(context.Background(), "97", "x", conversation.PriorityHigh)
			r.check(err)
		}
	}
	return d
}

func (r *rig) dials(name, resource string) *device {
	d, err := r.tryDial(name, resource)
	if err != nil {
		panic(err)
	}
	r.t.Cleanup(func() { d.Cut() })
	return d
}

// meddle adds and removes a user over REST.
func (r *rig) meddle(name string, calls int) {
	inc := r.account(name).Incarnation
	for range calls {
		switch rand.IntN(3) {
		case 0:
			_, err := r.gateway.JoinRoom(context.Background(), gateway.RoomJoin{App: r.app, User: domain.UserID(name), Incarnation: inc, Room: "97"})
			r.check(err)
		case 1:
			_ = r.gateway.LeaveRoom(context.Background(), r.app, domain.UserID(name), "97") // refused when there is nothing to leave
		default:
			_, err := r.gateway.RemoveFromRoom(context.Background(), r.app, "97", []domain.UserID{domain.UserID(name)}, conversation.Doer{})
			r.check(err)
		}
	}
}

// check is for goroutines, which cannot end a test.
func (r *rig) check(err error) {
	if err != nil {
		r.t.Error(err)
	}
}
