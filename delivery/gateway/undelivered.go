package gateway

import (
	"context"
	"fmt"
	"slices"

	"parley/domain"
	"parley/domain/conversation"
	"parley/schemas/table"
)

// MaxUndelivered is where Undelivered stops counting: as many messages wait for a user at most, as its SDKs document.
const MaxUndelivered = 500

// Undelivered counts the messages that no device of the user has acknowledged, up to MaxUndelivered.
func (g *Gateway) Undelivered(ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation) (int, error) {
	acked, err := g.acked(ctx, app, u, inc)
	if err != nil {
		return 0, err
	}
	members, err := g.cfg.Reads.Memberships(ctx, app, u, inc)
	if err != nil {
		return 0, fmt.Errorf("read memberships: %w", err)
	}
	ids := make([]domain.StreamID, len(members))
	for i := range members {
		ids[i] = members[i].Stream
	}
	heads, err := g.cfg.Owners.Heads(ctx, ids)
	if err != nil {
		return 0, fmt.Errorf("read heads: %w", err)
	}
	count := 0
	for i := range members {
		head := conversation.HeadOf(heads[i])
		if head == nil || count >= MaxUndelivered {
			continue
		}
		n, err := g.undelivered(ctx, &members[i], u, acked[members[i].Stream], head.Seq, MaxUndelivered-count)
		if err != nil {
			return 0, err
		}
		count += n
	}
	return min(count, MaxUndelivered), nil
}

// undelivered counts the messages to a user above acked in one conversation, up to about limit.
func (g *Gateway) undelivered(
	ctx context.Context, m *conversation.Membership, u domain.UserID, acked, head domain.Seq, limit int,
) (count int, err error) {
	st, ok := m.Stream.Parse()
	if !ok {
		return 0, nil
	}
	from := max(acked+1, m.From)
	if m.Until != 0 {
		head = min(head, m.Until)
	}
	for count < limit && from <= head {
		events, err := g.cfg.Reads.Entries(ctx, m.Stream, from, head, 200, g.cfg.Settings.PageBytes)
		if err != nil {
			return 0, fmt.Errorf("read entries: %w", err)
		}
		if len(events) == 0 {
			break
		}
		for j := range events {
			if b, ok := events[j].Body.(conversation.MessageSent); ok && addressed(st, &b, u) {
				count++
			}
		}
		from = events[len(events)-1].Seq + 1
	}
	return count, nil
}

// addressed tells whether a message is for a user, and not only a copy of what the user has sent.
func addressed(st domain.Stream, m *conversation.MessageSent, u domain.UserID) bool {
	if st.Kind != domain.KindGroup {
		return m.To == u
	}
	return m.From != u && (len(m.Audience) == 0 || slices.Contains(m.Audience, u))
}

// Delivered tells whether any device of the user has acknowledged an entry.
func (g *Gateway) Delivered(
	ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation, stream domain.StreamID, seq domain.Seq,
) (bool, error) {
	acked, err := g.acked(ctx, app, u, inc)
	return acked[stream] >= seq && seq > 0, err
}

// acked returns the highest acknowledged seq of each conversation over all devices of a user, unwritten marks included.
func (g *Gateway) acked(ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation) (map[domain.StreamID]domain.Seq, error) {
	marks := g.devices.unwritten(app, u, inc)
	err := g.devices.eachCursor(ctx, table.Query{Table: Cursors, Partition: userPartition(app, u, inc)}, func(stream domain.StreamID, m mark) {
		marks[stream] = marks[stream].max(m)
	})
	out := make(map[domain.StreamID]domain.Seq, len(marks))
	for stream, m := range marks {
		out[stream] = m.acked
	}
	return out, err
}

// unwritten returns the marks of a user's devices that are not in the store yet.
func (ds *devices) unwritten(app domain.AppID, u domain.UserID, inc domain.Incarnation) map[domain.StreamID]mark {
	out := map[domain.StreamID]mark{}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for _, d := range ds.unsaved {
		if d.key.app == app && d.key.user == u && d.key.incarnation == inc {
			d.unwritten(out)
		}
	}
	return out
}
