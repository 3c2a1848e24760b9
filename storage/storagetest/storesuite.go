package storagetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"parley/schemas/table"
)

// RunStore runs the contract of stores. newStore is called once per case; the tables of the suite are empty then.
func RunStore(t *testing.T, newStore func(t *testing.T) OpenStore) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, open OpenStore)
	}{
		{"writes twice and shuffled end in the same rows", anyOrder},
		{"the higher t wins, ties go to the larger bytes", ties},
		{"cells win one by one", perCell},
		{"an empty value is a value", emptyValue},
		{"one cell twice in a write", cellTwice},
		{"get keeps the order of its keys", getOrder},
		{"scan bounds, limit, reverse", scanBounds},
		{"scans agree with a model", scanModel},
		{"partitions do not leak", partitionsApart},
		{"a dropped table is empty and can be filled again", dropped},
		{"opened again it has the same rows", storeReopened},
		{"many writes at once", manyWrites},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newStore(t)) })
	}
}

func town(name string) table.Key            { return table.Key{}.Text(name) }
func house(n uint64, name string) table.Key { return table.Key{}.Uint64(n).Text(name) }
func person(in string, n uint64) table.RowKey {
	return table.RowKey{Partition: town(in), Cluster: house(n, "x")}
}

func cells(column uint8, value string) []table.Cell {
	return []table.Cell{{Column: column, Value: []byte(value)}}
}

func write(k table.RowKey, at uint64, c []table.Cell) table.Write {
	return table.Write{Table: People, Partition: k.Partition, Cluster: k.Cluster, T: at, Cells: c}
}

func mustWrite(t testing.TB, s Store, writes ...table.Write) {
	t.Helper()
	if err := s.Write(t.Context(), writes); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func mustGet(t testing.TB, s Store, tab *table.Table, keys ...table.RowKey) []table.Row {
	t.Helper()
	rows, err := s.Get(t.Context(), tab, keys)
	if err != nil || len(rows) != len(keys) {
		t.Fatalf("get: %d rows for %d keys, %v", len(rows), len(keys), err)
	}
	return rows
}

func mustScan(t testing.TB, s Store, q table.Query) []table.Row {
	t.Helper()
	rows, err := s.Scan(t.Context(), q)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return rows
}

// text writes a row down: "a@1 - c@3", with the values of the cells that are there.
func text(r table.Row) string {
	if !r.Found() {
		return "none"
	}
	var b bytes.Buffer
	for i, c := range r.Cells {
		if i > 0 {
			b.WriteByte(' ')
		}
		if c.T == 0 {
			b.WriteByte('-')
			continue
		}
		fmt.Fprintf(&b, "%s@%d", c.Value, c.T)
	}
	return b.String()
}

func wantRow(t testing.TB, s Store, k table.RowKey, want string) {
	t.Helper()
	got := mustGet(t, s, People, k)[0]
	if text(got) != want {
		t.Errorf("get: row %q, want %q", text(got), want)
	}
	rows := mustScan(t, s, table.Query{Table: People, Partition: k.Partition, From: k.Cluster, To: k.Cluster.After(), Limit: 2})
	if want == "none" && len(rows) == 0 {
		return
	}
	if len(rows) != 1 || text(rows[0]) != want || !bytes.Equal(rows[0].Cluster, k.Cluster) {
		t.Errorf("scan: %d rows %v, want %q", len(rows), rows, want)
	}
}

func ties(t *testing.T, open OpenStore) {
	s, k := open(), person("ties", 1)
	for _, step := range []struct {
		at    uint64
		value string
		want  string
	}{
		{5, "m", "m@5"},
		{4, "z", "m@5"},
		{5, "a", "m@5"},
		{5, "ma", "ma@5"},
		{5, "n", "n@5"},
		{5, "", "n@5"},
		{6, "", "@6"},
		{6, "a", "a@6"},
		{7, "b", "b@7"},
		{1<<63 + 1, "late", "late@9223372036854775809"},
		{8, "c", "late@9223372036854775809"},
	} {
		if step.at>>63 != 0 && signedTimes(s) {
			continue
		}
		mustWrite(t, s, write(k, step.at, cells(0, step.value)))
		if signedTimes(s) && step.at == 8 {
			continue
		}
		wantRow(t, s, k, step.want+" - -")
	}
}

// signedTimes tells of a store whose write timestamps end at 63 bits, as Cassandra's do. No t of parley comes near.
func signedTimes(s Store) bool {
	m, ok := s.(interface{ SignedTimes() bool })
	return ok && m.SignedTimes()
}

func perCell(t *testing.T, open OpenStore) {
	s, k := open(), person("cells", 1)
	wantRow(t, s, k, "none")
	mustWrite(t, s, write(k, 3, []table.Cell{{Column: 0, Value: []byte("a3")}, {Column: 2, Value: []byte("c3")}}))
	wantRow(t, s, k, "a3@3 - c3@3")
	mustWrite(t, s, write(k, 2, []table.Cell{{Column: 1, Value: []byte("b2")}, {Column: 2, Value: []byte("c2")}}))
	wantRow(t, s, k, "a3@3 b2@2 c3@3")
	mustWrite(t, s, write(k, 4, []table.Cell{{Column: 2, Value: []byte("c4")}, {Column: 0, Value: []byte("a4")}}))
	wantRow(t, s, k, "a4@4 b2@2 c4@4")
}

func emptyValue(t *testing.T, open OpenStore) {
	s, k := open(), person("empty", 1)
	mustWrite(t, s, write(k, 1, cells(1, "body")))
	mustWrite(t, s, write(k, 2, cells(1, "")), write(k, 1, cells(1, "body")))
	wantRow(t, s, k, "- @2 -")
	if got := mustGet(t, s, People, k)[0]; !got.Found() || len(got.Cells) != len(People.Cells) {
		t.Errorf("a row with an empty cell: %+v", got)
	}
}

func cellTwice(t *testing.T, open OpenStore) {
	s := open()
	mustWrite(t, s, write(person("twice", 1), 1, append(cells(1, "a"), cells(1, "b")...)))
	mustWrite(t, s, write(person("twice", 2), 1, append(cells(1, "b"), cells(1, "a")...)))
	wantRow(t, s, person("twice", 1), "- b@1 -")
	wantRow(t, s, person("twice", 2), "- b@1 -")
}

func getOrder(t *testing.T, open OpenStore) {
	s := open()
	for i := range uint64(10) {
		mustWrite(t, s, write(person(fmt.Sprint("town", i%3), i), 1, cells(0, fmt.Sprint(i))))
	}
	keys := []table.RowKey{
		person("town2", 8), person("town0", 0), person("nowhere", 1), person("town1", 7), person("town0", 1), person("town2", 8),
	}
	want := []string{"8@1 - -", "0@1 - -", "none", "7@1 - -", "none", "8@1 - -"}
	for i, r := range mustGet(t, s, People, keys...) {
		if text(r) != want[i] {
			t.Errorf("row %d is %q, want %q", i, text(r), want[i])
		}
	}
	if rows := mustGet(t, s, People); len(rows) != 0 {
		t.Errorf("no keys gave %d rows", len(rows))
	}
}

// place is the key of row n of a bucket.
func place(bucket, n uint64) table.RowKey {
	return table.RowKey{Partition: table.Key{}.Text("land").Uint64(bucket), Cluster: table.Key{}.Uint64(n)}
}

func fillPlaces(t testing.TB, s Store, bucket uint64, numbers ...uint64) {
	t.Helper()
	var writes []table.Write
	for _, n := range numbers {
		k := place(bucket, n)
		writes = append(writes, table.Write{
			Table: Places, Partition: k.Partition, Cluster: k.Cluster, T: 1, Cells: cells(0, fmt.Sprint(bucket, "/", n)),
		})
	}
	mustWrite(t, s, writes...)
}

// numbers returns the cluster keys of a bucket's rows, and checks their values.
func numbers(t testing.TB, bucket uint64, rows []table.Row) []uint64 {
	t.Helper()
	out := []uint64{}
	for _, r := range rows {
		n, rest, err := r.Cluster.CutUint64()
		if err != nil || len(rest) != 0 {
			t.Fatalf("cluster key %x: %v", r.Cluster, err)
		}
		if want := fmt.Sprint(bucket, "/", n, "@1"); text(r) != want {
			t.Errorf("row %d of bucket %d is %q, want %q", n, bucket, text(r), want)
		}
		out = append(out, n)
	}
	return out
}

func scanBounds(t *testing.T, open OpenStore) {
	s := open()
	fillPlaces(t, s, 7, 0, 1, 2, 255, 256, 1<<40, 1<<63, 1<<64-1)
	fillPlaces(t, s, 6, 3)
	fillPlaces(t, s, 8, 4)
	at := func(n uint64) table.Key { return table.Key{}.Uint64(n) }
	for _, c := range []struct {
		name     string
		from, to table.Key
		limit    int
		reverse  bool
		want     []uint64
	}{
		{"all", nil, nil, 100, false, []uint64{0, 1, 2, 255, 256, 1 << 40, 1 << 63, 1<<64 - 1}},
		{"all, reverse", nil, nil, 100, true, []uint64{1<<64 - 1, 1 << 63, 1 << 40, 256, 255, 2, 1, 0}},
		{"limit", nil, nil, 2, false, []uint64{0, 1}},
		{"limit, reverse", nil, nil, 2, true, []uint64{1<<64 - 1, 1 << 63}},
		{"from", at(255), nil, 2, false, []uint64{255, 256}},
		{"from is not there", at(3), nil, 1, false, []uint64{255}},
		{"to is left out", at(1), at(255), 100, false, []uint64{1, 2}},
		{"to, reverse", nil, at(255), 2, true, []uint64{2, 1}},
		{"from and to, reverse", at(2), at(257), 100, true, []uint64{256, 255, 2}},
		{"empty", at(3), at(255), 100, false, []uint64{}},
		{"upside down", at(255), at(3), 100, false, []uint64{}},
	} {
		rows := mustScan(t, s, table.Query{
			Table: Places, Partition: place(7, 0).Partition, From: c.from, To: c.to, Limit: c.limit, Reverse: c.reverse,
		})
		if got := numbers(t, 7, rows); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if _, err := s.Scan(t.Context(), table.Query{Table: Places, Partition: place(7, 0).Partition}); err == nil {
		t.Error("a scan without a limit is not refused")
	}
}

func partitionsApart(t *testing.T, open OpenStore) {
	s := open()
	names := []string{"a", "a\x01", "ab", "b", "\xff", "\xff\xff"}
	for i, n := range names {
		mustWrite(t, s, write(table.RowKey{Partition: town(n), Cluster: house(uint64(i), n)}, 1, cells(0, n)))
	}
	fillPlaces(t, s, 1<<64-1, 1)
	for i, n := range names {
		for _, reverse := range []bool{false, true} {
			rows := mustScan(t, s, table.Query{Table: People, Partition: town(n), Limit: 10, Reverse: reverse})
			if len(rows) != 1 || !bytes.Equal(rows[0].Cluster, house(uint64(i), n)) {
				t.Errorf("partition %q, reverse %v: %v", n, reverse, rows)
			}
		}
	}
	if rows := mustScan(t, s, table.Query{Table: Places, Partition: place(1<<64-1, 0).Partition, Limit: 10}); len(rows) != 1 {
		t.Errorf("the last partition has %d rows", len(rows))
	}
	if rows := mustScan(t, s, table.Query{Table: People, Partition: town("aa"), Limit: 10}); len(rows) != 0 {
		t.Errorf("an empty partition has %d rows", len(rows))
	}
}

func dropped(t *testing.T, open OpenStore) {
	s := open()
	fillPlaces(t, s, 1, 1, 2, 3)
	mustWrite(t, s, write(person("stays", 1), 1, cells(0, "v")))
	if err := s.Drop(t.Context(), Places); err != nil {
		t.Fatal(err)
	}
	all := table.Query{Table: Places, Partition: place(1, 0).Partition, Limit: 10}
	if rows := mustScan(t, s, all); len(rows) != 0 {
		t.Errorf("a dropped table has %d rows", len(rows))
	}
	if mustGet(t, s, Places, place(1, 2))[0].Found() {
		t.Error("a dropped row is found")
	}
	fillPlaces(t, s, 1, 2)
	if got := numbers(t, 1, mustScan(t, s, all)); !slices.Equal(got, []uint64{2}) {
		t.Errorf("filled again: %v", got)
	}
	wantRow(t, s, person("stays", 1), "v@1 - -")
}

func storeReopened(t *testing.T, open OpenStore) {
	s := open()
	for round := range uint64(3) {
		mustWrite(t, s, write(person("again", round), round+1, cells(0, fmt.Sprint(round))))
		mustWrite(t, s, write(person("again", 100), round+1, cells(1, fmt.Sprint(round))))
		if c, ok := s.(closer); ok {
			if err := c.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
		}
		s = open()
		wantRow(t, s, person("again", 0), "0@1 - -")
		wantRow(t, s, person("again", round), fmt.Sprintf("%d@%d - -", round, round+1))
		wantRow(t, s, person("again", 100), fmt.Sprintf("- %d@%d -", round, round+1))
	}
}

func manyWrites(t *testing.T, open OpenStore) {
	s := open()
	const n = 5000
	var all []uint64
	for i := range uint64(n) {
		all = append(all, i)
	}
	fillPlaces(t, s, 3, all...)
	rows := mustScan(t, s, table.Query{Table: Places, Partition: place(3, 0).Partition, Limit: 2 * n})
	if got := numbers(t, 3, rows); !slices.Equal(got, all) {
		t.Errorf("%d rows, want %d in order", len(got), n)
	}
}
