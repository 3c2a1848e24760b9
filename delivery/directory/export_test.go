package directory

// Remote counts the sessions of other nodes.
func (d *Directory) Remote() (sessions int) {
	for i := range d.shards {
		for _, r := range d.shards[i].remote {
			for ; r != nil; r = r.next {
				sessions++
			}
		}
	}
	return sessions
}
