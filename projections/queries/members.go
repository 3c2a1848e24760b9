package queries

import (
	"context"
	"fmt"

	"parley/domain"
	"parley/projections/members"
	"parley/schemas/table"
)

// Bounds of what is read of members.
const (
	MaxMembers     = 1000    // of a page, newest first
	MaxNames       = 5000    // of a page, by name
	maxMemberSkip  = 200_000 // an offset
	maxMemberLook  = 250_000 // lines looked at for a page: those who joined and left again count
	firstMemberGet = 64      // lines read at first; more as more is needed, up to getRows
)

// Members returns a page of a group's members, those who joined last first, and the cursor of the next page. An empty cursor asks for the
// first page and tells of the last. skip leaves out so many members after the cursor, for those who page by number. A page may be short
// without being the last, where very many have left.
func (q *Queries) Members(
	ctx context.Context, stream domain.StreamID, cursor string, skip, limit int,
) (page []members.Member, next string, err error) {
	to, _, err := readListCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	if skip < 0 || skip > maxMemberSkip {
		return nil, "", domain.Refuse(domain.BadRequest, "the page is too far on")
	}
	w := memberWalk{q: q, p: q.members(), stream: stream, to: to, skip: skip, limit: min(max(limit, 1), MaxMembers)}
	for chunk := max(firstMemberGet, w.limit+1); ; chunk = getRows {
		more, err := w.step(ctx, min(chunk, getRows))
		if err != nil {
			return nil, "", fmt.Errorf("read members: %w", err)
		}
		switch {
		case !more:
			return w.page, "", nil
		case w.full || w.looked >= maxMemberLook:
			return w.page, writeCursor(w.to), nil
		}
	}
}

// memberWalk is the work of one call of Members.
type memberWalk struct {
	q      *Queries
	p      *members.Projection
	stream domain.StreamID
	to     table.Key // lines below it are left to look at; empty: all
	skip   int
	limit  int
	looked int
	page   []members.Member
	full   bool // there is a member below to
}

// step looks at the next lines; more says that there are others.
func (w *memberWalk) step(ctx context.Context, n int) (more bool, err error) {
	lines, err := w.q.store.Scan(ctx, table.Query{
		Table: members.Joins.Of(w.p.Version()), Partition: w.p.Partition(w.stream), To: w.to, Limit: n, Reverse: true,
	})
	if err != nil {
		return false, err
	}
	keys, joined := make([]table.RowKey, len(lines)), make([]domain.T, len(lines))
	for i, line := range lines {
		var u domain.UserID
		if joined[i], u, err = w.p.Join(line); err != nil {
			return false, err
		}
		keys[i] = w.p.Key(w.stream, u)
	}
	rows, err := w.q.store.Get(ctx, members.Table.Of(w.p.Version()), keys)
	if err != nil {
		return false, err
	}
	for i, row := range rows {
		row.Cluster = keys[i].Cluster
		m, ok, err := w.p.Member(row)
		if err != nil {
			return false, err
		}
		if ok = ok && m.Until == 0 && m.Joined == joined[i]; ok && w.skip == 0 && len(w.page) == w.limit {
			w.full = true
			return true, nil
		}
		w.looked++
		w.to = lines[i].Cluster
		switch {
		case ok && w.skip > 0:
			w.skip--
		case ok:
			w.page = append(w.page, m)
		}
	}
	return len(lines) == n, nil
}

// Member returns a user's row of a group: Until tells whether the user is a member still. ok is false when the user never was one.
func (q *Queries) Member(ctx context.Context, stream domain.StreamID, u domain.UserID) (m members.Member, ok bool, err error) {
	p := q.members()
	key := p.Key(stream, u)
	rows, err := q.store.Get(ctx, members.Table.Of(p.Version()), []table.RowKey{key})
	if err != nil {
		return m, false, fmt.Errorf("read member: %w", err)
	}
	rows[0].Cluster = key.Cluster
	m, ok, err = p.Member(rows[0])
	if err != nil {
		return m, false, fmt.Errorf("read member: %w", err)
	}
	return m, ok, nil
}

// MembersByName returns a group's members with names after a name, in the order of their names, at most limit (at most MaxNames). next is the
// name to go on after, empty when there are no more. A page may be short without being the last.
func (q *Queries) MembersByName(
	ctx context.Context, stream domain.StreamID, after domain.UserID, limit int,
) (page []members.Member, next domain.UserID, err error) {
	p := q.members()
	scan := table.Query{
		Table: members.Table.Of(p.Version()), Partition: p.Partition(stream), Limit: min(max(limit, 1), MaxNames),
	}
	if after != "" {
		scan.From = p.Key(stream, after).Cluster.After()
	}
	rows, err := q.store.Scan(ctx, scan)
	if err != nil {
		return nil, "", fmt.Errorf("read members: %w", err)
	}
	for _, row := range rows {
		m, ok, err := p.Member(row)
		if err != nil {
			return nil, "", fmt.Errorf("read members: %w", err)
		}
		if ok && m.Until == 0 {
			page = append(page, m)
		}
		if len(rows) == scan.Limit {
			name, _, err := row.Cluster.CutString()
			if err != nil {
				return nil, "", fmt.Errorf("read members: %w", err)
			}
			next = domain.UserID(name)
		}
	}
	return page, next, nil
}
