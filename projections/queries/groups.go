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
	MaxGroups    = 1000 // of a page; of rooms, too
	maxGroupLook = 5000 // lines of a list looked at for a page
	getRows      = 1000 // rows of one read by key
)

// GroupsOf returns the groups and rooms with the given streams, ended ones too; those that are not there (yet) are missing.
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
