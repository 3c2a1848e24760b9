// Package shard is the single writer of one partition: it decides commands, appends what follows to the log, acknowledges, and keeps the
// streams' state.
//
// One goroutine, the loop, owns everything that changes; it does no I/O and never waits for one. It drives fence.Owner, whose reads and
// appends run beside it, as do loads of rows and the flush. Only the acknowledged versions of rows can be seen from outside the loop.
//
// What must hold:
//
//   - Nothing is answered before the commits that the answer rests on are acknowledged and the fence holds, refusals and repeats included.
//   - A row that is flushed, or shown to a reader, holds acknowledged commits only. The speculative version beside it is what Decide sees.
//   - The checkpoint passes a commit only when every row that it changed is in the store.
//   - A row in the cache is the store's row and the stream's tail, folded; a row leaves the cache only when the store has it.
//   - Commands of one stream are decided in the order in which they came, whatever has to be loaded.
//   - Every command is answered exactly once.
//
// Bounds: undecided commands (Settings.Mailbox), one batch in flight and one that forms (Settings.BatchCommits, BatchBytes), the tail of
// commits after the checkpoint (Settings.TailCommits, TailBytes), rows in the cache (Settings.CacheRows). A full mailbox or tail refuses
// commands as busy, with a named reason.
package shard
