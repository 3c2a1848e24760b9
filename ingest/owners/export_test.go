package owners

import "parley/domain"

// Moving tells whether the shard of a partition is handing over.
func (o *Owners) Moving(p domain.Partition) bool {
	t := o.tenures[p]
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.moving
}
