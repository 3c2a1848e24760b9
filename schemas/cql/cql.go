// Package cql says how tables lie in Cassandra: their schema, and the statements that read and write them.
//
// Every table has the same form: its encoded partition key and cluster key, and one column a cell. Keys stay encoded
// because bytes order as their fields do, and a range of any keys is a range of bytes. A cell's write timestamp is its t.
package cql

import (
	"fmt"
	"strings"

	"parley/schemas/table"
)

// Keyspace makes a keyspace with so many replicas of each row in a datacentre.
func Keyspace(name, datacentre string, replicas int) string {
	return fmt.Sprintf(`CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d}`,
		name, datacentre, replicas)
}

// Table makes a table. Reads ask a second replica after 20 ms: until a dead one is noticed they would wait for it.
func Table(keyspace string, t *table.Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s.%s (partition_key blob, cluster_key blob", keyspace, t.Name)
	for _, f := range t.Cells {
		fmt.Fprintf(&b, ", %s blob", Column(f))
	}
	b.WriteString(", PRIMARY KEY (partition_key, cluster_key)) WITH compaction = {'class': 'UnifiedCompactionStrategy'} AND speculative_retry = '20ms'")
	return b.String()
}

// Column returns the name of a cell's column: quoted, because a name may be a word of CQL.
func Column(f table.Field) string { return `"` + f.Name + `"` }

// Insert writes the cells whose columns are set in the mask: both keys, the cells in their order, then the timestamp.
func Insert(keyspace string, t *table.Table, mask uint32) string {
	names, marks := "partition_key, cluster_key", "?, ?"
	for i, f := range t.Cells {
		if mask&(1<<i) != 0 {
			names += ", " + Column(f)
			marks += ", ?"
		}
	}
	return fmt.Sprintf("INSERT INTO %s.%s (%s) VALUES (%s) USING TIMESTAMP ?", keyspace, t.Name, names, marks)
}

// Get reads several rows of one partition: its key, and a list of cluster keys.
func Get(keyspace string, t *table.Table) string {
	return selection(keyspace, t) + " AND cluster_key IN ?"
}

// Scan reads rows of one partition in order: its key, the least and the bound above if there are, and the limit.
func Scan(keyspace string, t *table.Table, from, to, reverse bool) string {
	q := selection(keyspace, t)
	if from {
		q += " AND cluster_key >= ?"
	}
	if to {
		q += " AND cluster_key < ?"
	}
	if reverse {
		q += " ORDER BY cluster_key DESC"
	}
	return q + " LIMIT ?"
}

// selection reads the cluster key, then each cell and its timestamp.
func selection(keyspace string, t *table.Table) string {
	var columns strings.Builder
	for _, f := range t.Cells {
		fmt.Fprintf(&columns, ", %s, WRITETIME(%[1]s)", Column(f))
	}
	return fmt.Sprintf("SELECT cluster_key%s FROM %s.%s WHERE partition_key = ?", &columns, keyspace, t.Name)
}

// Truncate removes all rows of a table.
func Truncate(keyspace string, t *table.Table) string { return "TRUNCATE " + keyspace + "." + t.Name }
