package cluster

import (
	"fmt"

	"parley/domain"
	"parley/schemas/cluster/clusterpb"
	"parley/schemas/state"
)

// EncodeRows returns the forms of rows, as many as have about limit bytes together, but at least one.
func EncodeRows(rows []domain.Row, limit int) []*clusterpb.Row {
	out := make([]*clusterpb.Row, 0, len(rows))
	for size := 0; len(out) < len(rows) && (size < limit || len(out) == 0); {
		row := &clusterpb.Row{}
		if r := rows[len(out)]; r != nil {
			row.There, row.Form = true, state.EncodeRow(nil, r)
		}
		out = append(out, row)
		size += len(row.GetForm()) + rowOverhead
	}
	return out
}

// rowOverhead is about what a row takes besides its form.
const rowOverhead = 8

// DecodeRow reads a row of a stream: nil when it is not there. The row aliases its form. The error is that of a malformed stream, or a
// *state.DecodeError.
func DecodeRow(stream domain.StreamID, part domain.PartID, r *clusterpb.Row) (domain.Row, error) {
	if !r.GetThere() {
		return nil, nil //nolint:nilnil // a row that is not there is nil
	}
	st, ok := stream.Parse()
	if !ok {
		return nil, fmt.Errorf("a row of the malformed stream %q", string(stream))
	}
	return state.DecodeRow(st.Kind, part, r.GetForm())
}
