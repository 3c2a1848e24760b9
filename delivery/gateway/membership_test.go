package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
	"parley/domain/conversation"
)

// What was routed and what the read model says make one membership, whichever is ahead.
func TestMembershipReads(t *testing.T) {
	spans := []conversation.Span{{From: 1, Until: 4}}
	for _, c := range []struct {
		name   string
		routed membership
		row    conversation.Membership
		closed domain.Seq
		want   membership
	}{
		{"nothing routed", membership{}, conversation.Membership{From: 8, Earlier: spans}, 0, membership{from: 8, earlier: spans}},
		{"left, the row knows", membership{until: 9}, conversation.Membership{From: 8, Until: 9}, 0, membership{from: 8, until: 9}},
		{"left, the row does not know", membership{until: 9}, conversation.Membership{From: 8}, 0, membership{from: 8, until: 9}},
		{"left, and joined again in the row", membership{until: 4}, conversation.Membership{From: 8, Earlier: spans}, 0, membership{from: 8, earlier: spans}},
		{"joined, the row does not know", membership{from: 8, earlier: spans}, conversation.Membership{From: 1, Until: 4}, 0, membership{from: 8, earlier: spans}},
		{"joined, and left in the row", membership{from: 8, earlier: spans}, conversation.Membership{From: 8, Until: 9}, 0, membership{from: 8, until: 9, earlier: spans}},
		{"joined and left, the row knows the first", membership{from: 8, until: 9}, conversation.Membership{From: 8}, 0, membership{from: 8, until: 9}},
		{"the group has ended", membership{}, conversation.Membership{From: 8}, 12, membership{from: 8, until: 12}},
		{"left before the group ended", membership{}, conversation.Membership{From: 8, Until: 9}, 12, membership{from: 8, until: 9}},
		{"shielded in the row", membership{shieldT: 5}, conversation.Membership{From: 8, Shield: true, T: 6}, 0, membership{from: 8, shield: true, shieldT: 5}},
		{"shielded since", membership{shield: true, shieldT: 7}, conversation.Membership{From: 8, T: 6}, 0, membership{from: 8, shield: true, shieldT: 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.routed.read(&c.row, c.closed)
			require.Equal(t, c.want, c.routed)
		})
	}
}

func TestMembershipBounds(t *testing.T) {
	m := &membership{from: 8, until: 11, earlier: []conversation.Span{{From: 2, Until: 4}, {From: 6, Until: 6}}}
	var covered []domain.Seq
	for seq := domain.Seq(1); seq < 14; seq++ {
		if m.covers(seq) {
			covered = append(covered, seq)
		}
		require.Equal(t, seq > 11, m.over(seq))
	}
	require.Equal(t, []domain.Seq{2, 3, 4, 6, 8, 9, 10, 11}, covered)
	require.Equal(t, domain.Seq(2), m.first())
	require.Equal(t, domain.Seq(11), m.end(20))
	require.Equal(t, domain.Seq(9), m.end(9))
	var none *membership
	require.True(t, none.covers(1))
	require.False(t, none.over(1))
	require.Nil(t, none.copy())
}

// A page tells that the user left: only by what came since the span began.
func TestPageTellsOfLeaving(t *testing.T) {
	removed := func(seq domain.Seq, users ...domain.UserID) domain.Event {
		return domain.Event{Seq: seq, Body: conversation.MembersRemoved{Users: users}}
	}
	for _, c := range []struct {
		name   string
		m      *membership
		events []domain.Event
		want   domain.Seq
	}{
		{"removed", &membership{from: 3}, []domain.Event{removed(4, "eve"), removed(5, "eve", "bob"), removed(6, "bob")}, 5},
		{"somebody else", &membership{from: 3}, []domain.Event{removed(4, "eve")}, 0},
		{"before the span", &membership{from: 5}, []domain.Event{removed(4, "bob"), {Seq: 5}}, 0},
		{"known", &membership{from: 3, until: 4}, []domain.Event{removed(4, "bob")}, 0},
		{"the end", &membership{from: 3}, []domain.Event{{Seq: 4}, {Seq: 5, Body: conversation.GroupDestroyed{}}}, 5},
		{"no group", nil, []domain.Event{removed(4, "bob")}, 0},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.m.leaves(c.events, "bob")) })
	}
}
