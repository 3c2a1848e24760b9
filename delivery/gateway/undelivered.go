package gateway

import (
	"context"
	"fmt"

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
	count := 0
	for i := range members {
		from := max(acked[members[i].Stream]+1, members[i].From)
		for count < MaxUndelivered {
			events, err := g.cfg.Reads.Entries(ctx, members[i].Stream, from, ^domain.Seq(0), 200, g.cfg.Settings.PageBytes)
			if err != nil {
				return 0, fmt.Errorf("read entries: %w", err)
			}
			if len(events) == 0 {
				break
			}
			for j := range events {
				if m, ok := events[j].Body.(conversation.MessageSent); ok && m.To == u {
					count++
				}
			}
			from = events[len(events)-1].Seq + 1
		}
	}
	return min(count, MaxUndelivered), nil
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
