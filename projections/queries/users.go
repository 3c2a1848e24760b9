package queries

import (
	"context"
	"encoding/base64"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/memberships"
	"parley/projections/profiles"
	"parley/schemas/table"
)

// Bounds of what is read of users.
const (
	MaxMemberships = 20000 // of one user, in one answer
	MaxUsers       = 1000  // of a page
	scanRows       = 1000  // rows of one read
	maxDays        = 100   // days looked at for a page
)

// Memberships returns the conversations of one incarnation of a user: at most MaxMemberships, in the order of their ids. Those that the user
// has left are among them (Until). That a group has ended is not in them, so that they are one read: its head knows (Closed), and Membership.
func (q *Queries) Memberships(
	ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation,
) ([]conversation.Membership, error) {
	p := q.memberships()
	scan := table.Query{Table: memberships.Table.Of(p.Version()), Partition: p.Partition(app, u), Limit: scanRows}
	var out []conversation.Membership
	for len(out) < MaxMemberships {
		rows, err := q.store.Scan(ctx, scan)
		if err != nil {
			return nil, fmt.Errorf("read memberships: %w", err)
		}
		for _, row := range rows {
			m, ok, err := p.Membership(row, inc)
			if err != nil {
				return nil, fmt.Errorf("read memberships: %w", err)
			}
			if ok {
				out = append(out, m)
			}
		}
		if len(rows) < scan.Limit {
			break
		}
		scan.From = rows[len(rows)-1].Cluster.After()
	}
	return out, nil
}

// Membership returns one conversation of an incarnation of a user; ok is false when the user has no part in it, and never had. In a group
// that has ended, those who were members until then have its last entry as Until.
func (q *Queries) Membership(
	ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation, stream domain.StreamID,
) (m conversation.Membership, ok bool, err error) {
	p := q.memberships()
	rows, err := q.store.Get(ctx, memberships.Table.Of(p.Version()), []table.RowKey{p.Key(app, u, stream)})
	if err != nil {
		return m, false, fmt.Errorf("read membership: %w", err)
	}
	rows[0].Cluster = p.Key(app, u, stream).Cluster
	m, ok, err = p.Membership(rows[0], inc)
	if err != nil || !ok || m.Joined == 0 || m.Until != 0 {
		return m, ok, err
	}
	all, err := q.GroupsOf(ctx, []domain.StreamID{stream})
	if err != nil {
		return m, false, err
	}
	if g := all[stream]; g.Ended != 0 {
		m.Until, m.T = g.Ended, g.Changed
	}
	return m, true, nil
}

// Users returns a page of an app's users in the order of their registration, without deleted ones, and the cursor of the next page. An
// empty cursor asks for the first page and tells of the last. A page may be short without being the last.
func (q *Queries) Users(ctx context.Context, app domain.AppID, cursor string, limit int) (page []profiles.Profile, next string, err error) {
	p := q.profiles()
	from, day, err := readCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	limit = min(max(limit, 1), MaxUsers)
	days, err := q.store.Scan(ctx, table.Query{
		Table: profiles.Days.Of(p.Version()), Partition: p.DaysPartition(app), From: table.Key(nil).Uint64(day), Limit: maxDays,
	})
	if err != nil {
		return nil, "", fmt.Errorf("read users: %w", err)
	}
	for i, row := range days {
		if day, _, err = row.Cluster.CutUint64(); err != nil {
			return nil, "", fmt.Errorf("read users: %w", err)
		}
		var last table.Key
		if page, last, err = q.usersOf(ctx, p, app, day, from, page, limit); err != nil {
			return nil, "", fmt.Errorf("read users: %w", err)
		}
		if last != nil {
			return page, writeCursor(last), nil
		}
		if i == maxDays-1 {
			return page, writeCursor(table.Key(nil).Uint64(profiles.DayStart(day + 1))), nil
		}
	}
	return page, "", nil
}

// usersOf adds a day's users to the page. last is where the next page goes on, nil when the day has no more.
func (q *Queries) usersOf(
	ctx context.Context, p *profiles.Projection, app domain.AppID, day uint64, from table.Key, page []profiles.Profile, limit int,
) (out []profiles.Profile, last table.Key, err error) {
	// One row more than wanted tells whether there is more; deleted ones in between make a short page.
	want := limit - len(page)
	rows, err := q.store.Scan(ctx, table.Query{
		Table: profiles.Table.Of(p.Version()), Partition: p.Partition(app, day), From: from, Limit: want + 1,
	})
	if err != nil {
		return nil, nil, err
	}
	for i, row := range rows {
		if i == want {
			return page, row.Cluster, nil
		}
		profile, ok, err := p.Profile(app, row)
		if err != nil {
			return nil, nil, err
		}
		if ok && !profile.Deleted {
			page = append(page, profile)
		}
	}
	return page, nil, nil
}

// writeCursor makes a cursor of the first cluster key of the next page.
func writeCursor(from table.Key) string { return base64.RawURLEncoding.EncodeToString(from) }

// maxCursor bounds a cursor that a client sends back: a number and a user id.
const maxCursor = 128

func readCursor(cursor string) (from table.Key, day uint64, err error) {
	if cursor == "" {
		return nil, 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 8 || len(cursor) > maxCursor {
		return nil, 0, domain.Refuse(domain.BadRequest, "cursor is not one of ours")
	}
	registered, _, err := table.Key(b).CutUint64()
	return b, profiles.Day(domain.T(registered)), err
}
