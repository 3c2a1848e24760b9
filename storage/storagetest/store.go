package storagetest

import (
	"context"

	"parley/schemas/table"
)

// Store is what the suite asks of a store.
type Store interface {
	// Write applies the writes in order; the last one is not seen, nor there after a crash, without those before it.
	Write(ctx context.Context, writes []table.Write) error
	// Get returns one row per key, in the order of the keys.
	Get(ctx context.Context, t *table.Table, keys []table.RowKey) ([]table.Row, error)
	Scan(ctx context.Context, q table.Query) ([]table.Row, error)
	// Drop removes all rows of a table.
	Drop(ctx context.Context, t *table.Table) error
}

// OpenStore opens the store under test: the first call a new one, later calls the same again, after Close where the store has one.
type OpenStore func() Store

// Tables of the suite: stores that need a schema make it from them.
var (
	People = &table.Table{
		ID: 240, Name: "suite_people",
		Partition: []table.Field{{Name: "town", Type: table.String}},
		Cluster:   []table.Field{{Name: "house", Type: table.Uint64}, {Name: "name", Type: table.String}},
		Cells:     []table.Field{{Name: "a", Type: table.Bytes}, {Name: "b", Type: table.Bytes}, {Name: "c", Type: table.Bytes}},
	}
	Places = &table.Table{
		ID: 241, Name: "suite_places",
		Partition: []table.Field{{Name: "land", Type: table.String}, {Name: "bucket", Type: table.Uint64}},
		Cluster:   []table.Field{{Name: "n", Type: table.Uint64}},
		Cells:     []table.Field{{Name: "v", Type: table.Bytes}},
	}
)

// Tables are all tables of the suite.
var Tables = []*table.Table{People, Places}
