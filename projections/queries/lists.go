package queries

import (
	"context"
	"fmt"

	"parley/domain"
	"parley/projections/groups"
	"parley/schemas/table"
)

// Groups returns a page of a list of an app's groups, without ended ones, and the cursor of the next page: all groups in the order in which
// they were made, or the public ones in the order in which they became so. An empty cursor asks for the first page and tells of the last. A
// page may be short without being the last.
func (q *Queries) Groups(
	ctx context.Context, app domain.AppID, list groups.List, cursor string, limit int,
) (page []groups.Group, next string, err error) {
	return q.list(ctx, &listWalk{app: app, list: list, limit: limit}, cursor)
}

// Rooms returns a page of an app's rooms, those that were made last first, and the cursor of the next page, as Groups does.
func (q *Queries) Rooms(ctx context.Context, app domain.AppID, cursor string, limit int) (page []groups.Group, next string, err error) {
	return q.list(ctx, &listWalk{app: app, list: groups.Rooms, newest: true, limit: limit}, cursor)
}

// list walks over the days of a list.
func (q *Queries) list(ctx context.Context, w *listWalk, cursor string) (page []groups.Group, next string, err error) {
	at, t, err := readListCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	w.q, w.p, w.at, w.limit = q, q.groups(), at, min(max(w.limit, 1), MaxGroups)
	days, err := q.store.Scan(ctx, w.days(t))
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", w.what(), err)
	}
	for i, row := range days {
		day, _, err := row.Cluster.CutUint64()
		if err != nil {
			return nil, "", fmt.Errorf("read %s: %w", w.what(), err)
		}
		full, err := w.day(ctx, day)
		switch {
		case err != nil:
			return nil, "", fmt.Errorf("read %s: %w", w.what(), err)
		case full:
			return w.page, writeCursor(w.at), nil
		case i == maxDays-1:
			return w.page, writeCursor(w.behind(day)), nil
		}
	}
	return w.page, "", nil
}

// listWalk is the work of one call of Groups or Rooms.
type listWalk struct {
	q      *Queries
	p      *groups.Projection
	app    domain.AppID
	list   groups.List
	newest bool      // from the newest to the oldest
	at     table.Key // the first line to look at, of the newest first the first not to look at; empty: all
	limit  int
	looked int
	page   []groups.Group
}

func (w *listWalk) what() string {
	if w.list == groups.Rooms {
		return "rooms"
	}
	return "groups"
}

// days asks for the days to look at, from that of an instant on when the walk goes on.
func (w *listWalk) days(t domain.T) table.Query {
	query := table.Query{
		Table: groups.Days.Of(w.p.Version()), Partition: w.p.DaysPartition(w.app, w.list), Limit: maxDays, Reverse: w.newest,
	}
	switch {
	case !w.newest:
		query.From = table.Key(nil).Uint64(groups.Day(t))
	case len(w.at) > 0:
		query.To = table.Key(nil).Uint64(groups.Day(t) + 1)
	}
	return query
}

// lines asks for the next lines of a day.
func (w *listWalk) lines(day uint64, limit int) table.Query {
	query := table.Query{
		Table: groups.Lists.Of(w.p.Version()), Partition: w.p.ListPartition(w.app, w.list, day), Limit: limit, Reverse: w.newest,
	}
	if w.newest {
		query.To = w.at
	} else {
		query.From = w.at
	}
	return query
}

// behind is where the next page goes on after a day that has no more.
func (w *listWalk) behind(day uint64) table.Key {
	if w.newest {
		return table.Key(nil).Uint64(groups.DayStart(day))
	}
	return table.Key(nil).Uint64(groups.DayStart(day + 1))
}

// day adds a day's groups to the page; full says that the next page goes on at w.at.
func (w *listWalk) day(ctx context.Context, day uint64) (full bool, err error) {
	for {
		// One line more than wanted tells whether there is more.
		want := w.limit - len(w.page) + 1
		rows, err := w.q.store.Scan(ctx, w.lines(day, want))
		if err != nil {
			return false, err
		}
		if full, err := w.take(ctx, rows); full || err != nil {
			return full, err
		}
		if len(rows) < want {
			return false, nil
		}
		if w.looked >= maxGroupLook {
			return true, nil
		}
	}
}

// take adds those of the lines that count.
func (w *listWalk) take(ctx context.Context, rows []table.Row) (full bool, err error) {
	streams, since := make([]domain.StreamID, len(rows)), make([]domain.T, len(rows))
	for i, row := range rows {
		var id string
		if since[i], id, err = w.p.Line(row); err != nil {
			return false, err
		}
		streams[i] = w.list.Stream(w.app, id)
	}
	all, err := w.q.GroupsOf(ctx, streams)
	if err != nil {
		return false, err
	}
	for i, row := range rows {
		if len(w.page) == w.limit {
			return true, nil
		}
		w.looked++
		if w.at = row.Cluster; !w.newest {
			w.at = row.Cluster.After()
		}
		if g, ok := all[streams[i]]; ok && g.Listed(w.list, since[i]) {
			w.page = append(w.page, g)
		}
	}
	return false, nil
}
