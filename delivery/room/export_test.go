package room

// Heat makes frames wait for the whole window from the next adaption on.
func (r *Rooms) Heat() { r.offered.Add(1 << 40) }

// Known returns how many rooms are kept.
func (r *Rooms) Known() (n int) {
	for i := range r.shards {
		r.shards[i].mu.Lock()
		n += len(r.shards[i].rooms) + len(r.shards[i].buckets)
		r.shards[i].mu.Unlock()
	}
	return n
}
