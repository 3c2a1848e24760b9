// Package bench loads a running server from its own process and reports what it measured.
//
// What must hold: load is open loop, that is, a message is sent when its time has come whatever the answers to those
// before, and its latency counts from that time and not from the write, so that a server that stalls cannot hide it.
// Every message is accounted for: acknowledged and received once, refused, or without answer; what is acknowledged and not
// received, received twice, or received after a later one of the same sender fails the run. Counts and times are bounded,
// and only servers on loopback addresses are loaded.
package bench
