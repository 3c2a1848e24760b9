// Package ring knows which nodes there are and which of them is to own each partition.
//
// Nodes find each other by gossip (memberlist; it is known here alone), encrypted with the cluster's key. Each tells its life, its number, the address
// of its gRPC and its state. Owners are the Serving nodes, chosen by rendezvous hashing: all nodes that see the same members name the same
// owner, and a node that comes or goes moves only what is its own.
//
// The ring decides only who tries. It may be wrong, late, and different on each node, as long as a cut or a stall lasts: the log's fence
// keeps the partitions safe, and lets who has lost one claim it again only after a while, so that two sides of a split take turns (domain/fence).
//
// What must hold:
//
//   - Standing is NotNamed for every partition whose Owner is another node.
//   - Standing is NamedAtOnce only if nobody is known to hold the partition: who was named before is dead, has left or has handed over, or
//     the node has nobody to join. A process that starts again under the same name is another life: the one before is dead.
//   - From names a living node other than this one, and only while Standing is Named.
//   - A member that dies is tried again for as long as this process lives: the two sides of a cut find each other when it heals.
//   - Owner, Standing, Member and Members read one snapshot without a lock: they are asked for every command.
//   - What is told of this node's own name by others never changes what the node knows of itself.
//
// The rules (board) are apart from the gossip: members in, standings out, no clock and no network.
package ring
