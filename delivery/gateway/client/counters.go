package client

import "sync/atomic"

// Counters count since Dial.
type Counters struct {
	FramesIn, FramesOut uint64
	BytesIn, BytesOut   uint64 // of payload, without the WebSocket's own
	Pages               uint64 // frames with entries
	Metas               uint64 // entries delivered, repeats left out
	Repeats             uint64 // entries left out, because their id was among the last 100
	Keys                uint64 // acknowledgements of pages sent
	Acks                uint64 // answers to sends, refusals included
	Strays              uint64 // answers to no send that waits
}

type counters struct {
	framesIn, framesOut, bytesIn, bytesOut, pages, metas, repeats, keys, acks, strays atomic.Uint64
}

// Counters returns the counts so far.
func (c *Client) Counters() Counters {
	n := &c.counters
	return Counters{
		FramesIn: n.framesIn.Load(), FramesOut: n.framesOut.Load(), BytesIn: n.bytesIn.Load(), BytesOut: n.bytesOut.Load(),
		Pages: n.pages.Load(), Metas: n.metas.Load(), Repeats: n.repeats.Load(), Keys: n.keys.Load(), Acks: n.acks.Load(),
		Strays: n.strays.Load(),
	}
}
