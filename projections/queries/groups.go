package queries

import (
	"context"
	"encoding/base64"
	"fmt"

	"parley/domain"
	"parley/projections/groups"
	"parley/schemas/table"
)

// Bounds of what is read of groups.
const (
	MaxGroups    = 1000 // of a page
	maxGroupLook = 5000 // lines of a list looked at for a page
	getRows      = 1000 // rows of one read by key
)

// GroupsOf returns the groups with the given streams, ended ones too; those that are not there (yet) are missing.
func (q *Queries) GroupsOf(ctx context.Context, streams []domain.StreamID) (map[domain.StreamID]groups.Group, error) {
	p := q.groups()
	out := make(map[domain.StreamID]groups.Group, len(streams))
	for len(streams) > 0 {
		n := min(len(streams), getRows)
		keys := make([]table.RowKey, n)
		for i, stream := range streams[:n] {
			keys[i] = p.Key(stream)
		}
		rows, err := q.store.Get(ctx, groups.Table.Of(p.Version()), keys)
		if err != nil {
			return nil, fmt.Errorf("read groups: %w", err)
		}
		for i, row := range rows {
			st, _ := streams[i].Parse()
			g, ok, err := p.Group(st.A, row)
			if err != nil {
				return nil, fmt.Errorf("read groups: %w", err)
			}
			if ok {
				out[streams[i]] = g
			}
		}
		streams = streams[n:]
	}
	return out, nil
}

// Groups returns a page of a list of an app's groups, without ended ones, and the cursor of the next page: all groups in the order in which
// they were made, or the public ones in the order in which they became so. An empty cursor asks for the first page and tells of the last. A
// page may be short without being the last.
func (q *Queries) Groups(
	ctx context.Context, app domain.AppID, list groups.List, cursor string, limit int,
) (page []groups.Group, next string, err error) {
	from, t, err := readListCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	w := groupWalk{q: q, p: q.groups(), app: app, list: list, from: from, limit: min(max(limit, 1), MaxGroups)}
	days, err := q.store.Scan(ctx, table.Query{
		Table: groups.Days.Of(w.p.Version()), Partition: w.p.DaysPartition(app, list), From: table.Key(nil).Uint64(groups.Day(t)), Limit: maxDays,
	})
	if err != nil {
		return nil, "", fmt.Errorf("read groups: %w", err)
	}
	for i, row := range days {
		day, _, err := row.Cluster.CutUint64()
		if err != nil {
			return nil, "", fmt.Errorf("read groups: %w", err)
		}
		full, err := w.day(ctx, day)
		switch {
		case err != nil:
			return nil, "", fmt.Errorf("read groups: %w", err)
		case full:
			return w.page, writeCursor(w.from), nil
		case i == maxDays-1:
			return w.page, writeCursor(table.Key(nil).Uint64(groups.DayStart(day + 1))), nil
		}
	}
	return w.page, "", nil
}

// groupWalk is the work of one call of Groups.
type groupWalk struct {
	q      *Queries
	p      *groups.Projection
	app    domain.AppID
	list   groups.List
	from   table.Key // the first line to look at
	limit  int
	looked int
	page   []groups.Group
}

// day adds a day's groups to the page; full says that the next page goes on at from.
func (w *groupWalk) day(ctx context.Context, day uint64) (full bool, err error) {
	for {
		// One line more than wanted tells whether there is more.
		scan := table.Query{
			Table: groups.Lists.Of(w.p.Version()), Partition: w.p.ListPartition(w.app, w.list, day), From: w.from, Limit: w.limit - len(w.page) + 1,
		}
		rows, err := w.q.store.Scan(ctx, scan)
		if err != nil {
			return false, err
		}
		if full, err := w.take(ctx, rows); full || err != nil {
			return full, err
		}
		if len(rows) < scan.Limit {
			return false, nil
		}
		if w.looked >= maxGroupLook {
			return true, nil
		}
	}
}

// take adds those of the lines that count.
func (w *groupWalk) take(ctx context.Context, rows []table.Row) (full bool, err error) {
	streams, since := make([]domain.StreamID, len(rows)), make([]domain.T, len(rows))
	for i, row := range rows {
		var id string
		if since[i], id, err = w.p.Line(row); err != nil {
			return false, err
		}
		streams[i] = domain.GroupStream(w.app, id)
	}
	all, err := w.q.GroupsOf(ctx, streams)
	if err != nil {
		return false, err
	}
	for i, row := range rows {
		if len(w.page) == w.limit {
			w.from = row.Cluster
			return true, nil
		}
		w.looked++
		w.from = row.Cluster.After()
		if g, ok := all[streams[i]]; ok && g.Listed(w.list, since[i]) {
			w.page = append(w.page, g)
		}
	}
	return false, nil
}

// readListCursor reads a cursor as writeCursor makes it: a key that begins with a time.
func readListCursor(cursor string) (from table.Key, t domain.T, err error) {
	if cursor == "" {
		return nil, 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 8 || len(cursor) > maxCursor {
		return nil, 0, domain.Refuse(domain.BadRequest, "cursor is not one of ours")
	}
	at, _, err := table.Key(b).CutUint64()
	return b, domain.T(at), err
}
