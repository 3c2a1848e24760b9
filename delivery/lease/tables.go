package lease

import (
	"hash/fnv"

	"parley/domain"
	"parley/schemas/table"
)

// The tables of leases. They are rows, not events: a rebuild of the read models leaves them alone.
var (
	// Rows: the leases of one user each. A row has a number, which is free again when its user views nothing any more: rows are never
	// removed from a table, so rows named after users would pile up without bound, and every start reads them all. An empty cell is a free
	// row. The write timestamp is the time in µs, raised where it must be so that it grows from write to write.
	Rows = &table.Table{
		ID: 42, Name: "leases",
		Partition: []table.Field{{Name: "bucket", Type: table.Uint64}},
		Cluster:   []table.Field{{Name: "number", Type: table.Uint64}},
		Cells:     []table.Field{{Name: "leases", Type: table.Bytes}}, // see encodeUser
	}
	// The upper half of a row's number is that of the node that writes it, from 0.
	// Nodes: when a node last said that it lives; and, under names that begin with voidMark, until when a dead node's rows are void.
	Nodes = &table.Table{
		ID: 43, Name: "nodes",
		Partition: []table.Field{{Name: "kind", Type: table.Uint64}}, // 0
		Cluster:   []table.Field{{Name: "node", Type: table.String}},
		Cells:     []table.Field{{Name: "alive", Type: table.Uint64}}, // µs since 1970
	}
)

// numbersMost is the highest number of a node.
const numbersMost = 4095 - int(domain.FirstNode)

// Buckets is the number of partitions of Rows, fixed for ever.
const Buckets = 256

// Bucket returns the partition of a user's leases: FNV-1a of app, '/' and user, folded, mod Buckets. It is part of the stored format.
func Bucket(app domain.AppID, u domain.UserID) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(app))
	_, _ = h.Write([]byte{'/'})
	_, _ = h.Write([]byte(u))
	v := h.Sum64()
	return int((v ^ v>>32) % Buckets)
}

func bucketPartition(bucket int) table.Key { return table.Key(nil).Uint64(uint64(bucket)) }
func nodesPartition() table.Key            { return table.Key(nil).Uint64(0) }
