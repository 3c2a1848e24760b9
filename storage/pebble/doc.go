// Package pebble keeps the log and the rows of one node in two folders, each a Pebble database of its own.
//
// Log is the embedded default of the log: every append is synced before it is answered, and all partitions share the syncs. Store is
// the embedded default of state and read models: its writes are not synced, because the log replays what a crash takes away.
//
// # When the disk fails
//
// Pebble v2 gives up at the first failed write or sync of its write-ahead log: the writer keeps the error for ever, DB.Apply hands it to
// Logger.Fatalf, a batch whose sync failed stays visible in memory though it is not on the disk, and later commits panic with the commit
// lock held. A failed write of its MANIFEST is fatal too. A failed flush or compaction alone is tried again. So:
//
//   - A write that finds fewer free bytes than Options.Reserve is refused with ErrFull before anything is written. Reads go on, and writes
//     go on by themselves when there is room.
//   - When the disk is full nevertheless (somebody else took the reserve), the layer under Pebble holds the failing write until there is room
//     and does the rest of it then: Pebble never sees the error. Meanwhile new writes are refused with ErrFull, and a caller who stops waiting
//     has an unknown outcome.
//   - Any other error of the write-ahead log, of the MANIFEST or of the folder (a failed sync above all: nobody knows then what is on the disk) ends
//     the database: writes return ErrFailed, Failed is closed. Pebble never sees that error either, because it would end the process (a failed
//     rotation of the log panics while it holds a lock that it has just released, which cannot be recovered): the goroutine that met
//     the error is parked for ever. Only opening the folder again tells what is there; the process should stop and be started again. What was
//     acknowledged is there, and a batch is there whole or not at all.
//   - Pebble's own complaints about broken invariants, in its own goroutines, end the process with a panic, as it asks.
//
// Readers of the log never see a record before it is synced: a crash cannot take back what somebody has read.
package pebble
