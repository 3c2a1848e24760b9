// Package cassandra keeps state and read models in Apache Cassandra.
//
// What must hold:
//
//   - Every statement is idempotent: a write says its timestamp, so that it may come twice, late, and in any order. Whatever fails is tried
//     again on the next node, until the caller's patience ends.
//   - The last write of a call is sent when all others have been acknowledged by a quorum: a checkpoint is never there without its rows.
//   - Writes of one partition travel in one batch, which that partition's replicas apply; nothing is ever deleted but whole tables.
package cassandra
