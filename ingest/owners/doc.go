// Package owners knows who owns what, and runs what this node owns: it routes commands and reads of streams to the shards of their
// partitions.
//
// The slot map (package control) says which partition holds a stream; the ring says which node owns a partition. The ring has one node so
// far: every partition of the map has its shard here, and Submit is a function call.
//
// What must hold:
//
//   - A stream always goes to the same partition under one version of the slot map.
//   - Every request is answered exactly once, also while the node starts and stops.
//   - One partition that is not ready stops nobody who does not need it.
package owners
