// Package owners knows who owns what, and runs what this node owns: it routes commands and reads of streams to the shards of their
// partitions, here or on other nodes.
//
// The slot map (package control) says which partition holds a stream; the ring says which node is to own a partition. A node without a ring
// owns every partition, and Submit is a function call.
//
// What must hold:
//
//   - A stream always goes to the same partition under one version of the slot map.
//   - Every request is answered exactly once, also while nodes start, stop and die.
//   - Commands of one caller to one stream are decided in the order in which they were submitted, also while the partition moves in order.
//   - One partition that is not ready stops nobody who does not need it.
package owners
