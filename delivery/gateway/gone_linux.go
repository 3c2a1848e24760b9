package gateway

import "golang.org/x/sys/unix"

// established is TCP's state while both sides may send.
const established = 1

// peerGone tells whether the client has closed its side of the connection, even if what it sent before is not read yet. It may be false
// although the client is gone: then nothing was heard of that.
func (o *outbound) peerGone() (gone bool) {
	raw := o.tcp()
	if raw == nil {
		return false
	}
	err := raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err == nil && info.State != established
	})
	return gone && err == nil
}
