// Package feed carries the accepted commits of one partition to everybody in the process who consumes them: one decode a partition, not one
// a consumer.
//
// What must hold:
//
//   - The ring holds a dense run of indexes. Commits enter it in index order, once; they are shared and never changed.
//   - A Reader sees every accepted commit after its position, in index order, exactly once. What the ring no longer (or not yet) has, it
//     reads from the log by the reader rule, until the two meet.
//   - Nothing is skipped: a record that cannot be decoded, a gap, or a log that starts above the position ends the reader with an error. A log
//     that does not answer is asked again, backing off.
//   - A feed is filled by the shard (Publish) when it is in this process, otherwise by Follow. Both at once are harmless: repeats are
//     dropped by index.
package feed
