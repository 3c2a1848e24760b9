package storagetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"parley/schemas/table"
)

// change draws a write of few rows, columns, times and values, so that most of them meet.
func change(in string) *rapid.Generator[table.Write] {
	return rapid.Custom(func(t *rapid.T) table.Write {
		k := person(in, rapid.Uint64Range(0, 3).Draw(t, "house"))
		w := write(k, rapid.Uint64Range(1, 4).Draw(t, "t"), nil)
		for _, column := range rapid.SliceOfNDistinct(rapid.Uint8Range(0, 2), 1, 3, rapid.ID).Draw(t, "columns") {
			value := rapid.SampledFrom([]string{"", "a", "ab", "b", "\x00", "\xff"}).Draw(t, "value")
			w.Cells = append(w.Cells, table.Cell{Column: column, Value: []byte(value)})
		}
		return w
	})
}

// fold is what the writes must end in.
func fold(writes []table.Write) map[string][]table.Value {
	rows := make(map[string][]table.Value)
	for _, w := range writes {
		row := rows[string(w.Cluster)]
		if row == nil {
			row = make([]table.Value, len(w.Table.Cells))
			rows[string(w.Cluster)] = row
		}
		for _, c := range w.Cells {
			old := row[c.Column]
			if w.T > old.T || w.T == old.T && bytes.Compare(c.Value, old.Value) > 0 {
				row[c.Column] = table.Value{Value: c.Value, T: w.T}
			}
		}
	}
	return rows
}

// anyOrder writes everything twice, shuffled, in batches of any size, and finds the rows that the model says.
func anyOrder(t *testing.T, open OpenStore) {
	s, run := open(), 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		in := fmt.Sprint("run", run)
		writes := rapid.SliceOfN(change(in), 1, 25).Draw(rt, "writes")
		for rest := rapid.Permutation(slices.Concat(writes, writes)).Draw(rt, "order"); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			if err := s.Write(t.Context(), rest[:n]); err != nil {
				rt.Fatal(err)
			}
			rest = rest[n:]
		}
		rows, err := s.Scan(t.Context(), table.Query{Table: People, Partition: town(in), Limit: 100})
		if err != nil {
			rt.Fatal(err)
		}
		want := fold(writes)
		if len(rows) != len(want) {
			rt.Fatalf("%d rows, want %d", len(rows), len(want))
		}
		for _, r := range rows {
			if got, want := text(r), text(table.Row{Cells: want[string(r.Cluster)]}); got != want {
				rt.Fatalf("row %x is %q, want %q", r.Cluster, got, want)
			}
		}
	})
}

// scanModel compares scans with sorted numbers.
func scanModel(t *testing.T, open OpenStore) {
	s, bucket := open(), uint64(0)
	rapid.Check(t, func(rt *rapid.T) {
		bucket++
		present := rapid.SliceOfNDistinct(rapid.Uint64Range(0, 20), 1, 15, rapid.ID).Draw(rt, "numbers")
		fillPlaces(t, s, bucket, present...)
		from, to := rapid.Uint64Range(0, 20).Draw(rt, "from"), rapid.Uint64Range(0, 20).Draw(rt, "to")
		q := table.Query{
			Table: Places, Partition: place(bucket, 0).Partition, From: place(bucket, from).Cluster, To: place(bucket, to).Cluster,
			Limit: rapid.IntRange(1, 10).Draw(rt, "limit"), Reverse: rapid.Bool().Draw(rt, "reverse"),
		}
		rows, err := s.Scan(t.Context(), q)
		if err != nil {
			rt.Fatal(err)
		}
		slices.Sort(present)
		want := slices.DeleteFunc(present, func(n uint64) bool { return n < from || n >= to })
		if q.Reverse {
			slices.Reverse(want)
		}
		want = want[:min(len(want), q.Limit)]
		if got := numbers(t, bucket, rows); !slices.Equal(got, want) {
			rt.Fatalf("%d..%d, limit %d, reverse %v: %v, want %v", from, to, q.Limit, q.Reverse, got, want)
		}
	})
}
