package cql

import (
	"testing"

	"github.com/stretchr/testify/require"

	"parley/schemas/table"
)

func TestStatements(t *testing.T) {
	tab := &table.Table{
		Name: "things", Partition: []table.Field{{Name: "x", Type: table.String}}, Cluster: []table.Field{{Name: "y", Type: table.Uint64}},
		Cells: []table.Field{{Name: "a", Type: table.Bytes}, {Name: "token", Type: table.Bytes}},
	}
	require.Equal(t, `CREATE TABLE IF NOT EXISTS k.things (partition_key blob, cluster_key blob, "a" blob, "token" blob, PRIMARY KEY (partition_key, cluster_key))`+
		` WITH compaction = {'class': 'UnifiedCompactionStrategy'} AND speculative_retry = '20ms'`, Table("k", tab))
	require.Equal(t, `INSERT INTO k.things (partition_key, cluster_key, "token") VALUES (?, ?, ?) USING TIMESTAMP ?`, Insert("k", tab, 2))
	require.Equal(t, `INSERT INTO k.things (partition_key, cluster_key, "a", "token") VALUES (?, ?, ?, ?) USING TIMESTAMP ?`, Insert("k", tab, 3))
	const selected = `SELECT cluster_key, "a", WRITETIME("a"), "token", WRITETIME("token") FROM k.things WHERE partition_key = ?`
	require.Equal(t, selected+` AND cluster_key IN ?`, Get("k", tab))
	require.Equal(t, selected+` LIMIT ?`, Scan("k", tab, false, false, false))
	require.Equal(t, selected+` AND cluster_key >= ? AND cluster_key < ? ORDER BY cluster_key DESC LIMIT ?`, Scan("k", tab, true, true, true))
	require.Equal(t, `TRUNCATE k.things`, Truncate("k", tab))
	require.Equal(t, `CREATE KEYSPACE IF NOT EXISTS k WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}`, Keyspace("k", "dc1", 3))
}
