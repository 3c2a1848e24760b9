package domain

// NodeName names a node of a cluster: a process that serves, for as long as its name is given to one.
type NodeName string

// Node is one life of a node. A process that starts again is another life: nothing that was told of the one before is true of it.
type Node struct {
	Name NodeName
	Life uint64 // when it started, µs since 1970
}
