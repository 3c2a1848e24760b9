// Package storagetest holds the contracts that every log and every store of parley must keep, as test suites.
//
// A log or store passes its suite against the real thing, never against a stand-in. What the suites say is what shards, feeds and
// projections rely on:
//
//   - A log's batch is there whole or not at all; every error means that nobody knows. Offsets are dense as far as a reader can tell. What one
//     reader has seen is there for every later one.
//   - A store's rows end the same, however often and in whichever order the writes came.
package storagetest
