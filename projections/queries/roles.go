package queries

import (
	"context"
	"fmt"

	"parley/domain"
	"parley/domain/conversation"
	"parley/projections/memberships"
	"parley/projections/roles"
	"parley/schemas/table"
)

// RolesOf returns a page of the roles that a user has in rooms, in the order of the rooms' ids, from behind a room on, and the room to go on
// behind; empty: there are no more. Rooms that have ended are among them. A page may be short without being the last.
func (q *Queries) RolesOf(
	ctx context.Context, app domain.AppID, u domain.UserID, after domain.StreamID,
) (page []roles.Role, next domain.StreamID, err error) {
	p := q.roles()
	scan := table.Query{Table: roles.Table.Of(p.Version()), Partition: p.Partition(app, u), Limit: scanRows}
	if after != "" {
		scan.From = p.Key(app, u, after).Cluster.After()
	}
	rows, err := q.store.Scan(ctx, scan)
	if err != nil {
		return nil, "", fmt.Errorf("read roles: %w", err)
	}
	for _, row := range rows {
		r, err := p.Role(row)
		if err != nil {
			return nil, "", fmt.Errorf("read roles: %w", err)
		}
		if r.Owner != 0 || r.Allowed != 0 {
			page = append(page, r)
		}
		if len(rows) == scan.Limit {
			next = r.Room
		}
	}
	return page, next, nil
}

// GroupsIn returns a page of the groups that an incarnation of a user is a member of, in the order of their ids, as RolesOf does. Groups that
// have ended are among them.
func (q *Queries) GroupsIn(
	ctx context.Context, app domain.AppID, u domain.UserID, inc domain.Incarnation, after domain.StreamID,
) (page []domain.StreamID, next domain.StreamID, err error) {
	p := q.memberships()
	all := table.Key(domain.GroupStream(app, ""))
	scan := table.Query{
		Table: memberships.Table.Of(p.Version()), Partition: p.Partition(app, u), From: all, To: all.After(), Limit: scanRows,
	}
	if after != "" {
		scan.From = p.Key(app, u, after).Cluster.After()
	}
	rows, err := q.store.Scan(ctx, scan)
	if err != nil {
		return nil, "", fmt.Errorf("read memberships: %w", err)
	}
	for i, row := range rows {
		var m conversation.Membership
		var ok bool
		if m, ok, err = p.Membership(row, inc); err != nil {
			return nil, "", fmt.Errorf("read memberships: %w", err)
		}
		if ok && m.Until == 0 {
			page = append(page, m.Stream)
		}
		if i == scan.Limit-1 {
			stream, _, err := row.Cluster.CutString()
			if err != nil {
				return nil, "", fmt.Errorf("read memberships: %w", err)
			}
			next = domain.StreamID(stream)
		}
	}
	return page, next, nil
}

// Gone returns the last incarnations of those of the names whose accounts were ever deleted.
func (q *Queries) Gone(ctx context.Context, app domain.AppID, users []domain.UserID) (map[domain.UserID]domain.Incarnation, error) {
	p := q.roles()
	out := make(map[domain.UserID]domain.Incarnation)
	for len(users) > 0 {
		n := min(len(users), getRows)
		keys := make([]table.RowKey, n)
		for i, u := range users[:n] {
			keys[i].Partition = p.Partition(app, u)
		}
		rows, err := q.store.Get(ctx, roles.Gone.Of(p.Version()), keys)
		if err != nil {
			return nil, fmt.Errorf("read deleted users: %w", err)
		}
		for i, row := range rows {
			inc, err := p.Last(row)
			if err != nil {
				return nil, fmt.Errorf("read deleted users: %w", err)
			}
			if inc != 0 {
				out[users[i]] = inc
			}
		}
		users = users[n:]
	}
	return out, nil
}
