// Package deploy reads what stands around a running parley: alerts, dashboards and runbooks. Its tests keep them, and the files for containers, true;
// those of cmd/parley compare every metric and label that alerts and dashboards name with what a node has.
//
// Invariants: each alert names a runbook, by file and heading, that is there and says all that Sections demands; each dashboard has a query in
// every panel; the compose file has no default secret and publishes ports on loopback only.
package deploy
