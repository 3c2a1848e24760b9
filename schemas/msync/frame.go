package msync

import "google.golang.org/protobuf/encoding/protowire"

// Frame is a decoded MSync. Its slices alias the input.
type Frame struct {
	Command MSync_Command
	Payload []byte
	TraceID uint64
	// Of a handshake only.
	GUID JIDView
	Auth []byte // a token: never log it
}

var frameOnce = once(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 20)

// DecodeFrame decodes a frame from a client or a server. It does not allocate unless it fails. A frame without command is a SYNC.
func DecodeFrame(b []byte) (Frame, error) {
	var fr Frame
	if len(b) > MaxFrameBytes {
		return fr, &DecodeError{Message: "MSync", Err: ErrTooLarge}
	}
	var sealed bool
	f := walk("MSync", b, frameOnce)
	for f.next() {
		switch f.num {
		case 1, 7, 10:
			f.varint()
		case 2:
			fr.GUID = f.jid()
		case 3:
			fr.Auth = f.bytes(MaxAuthBytes)
		case 4, 5, 11:
			sealed = f.sealed() || sealed
		case 6, 12:
			f.bytes(MaxAuthBytes)
		case 8:
			fr.Command = MSync_Command(f.varint())
		case 9:
			fr.Payload = f.bytes(0)
		case 20:
			fr.TraceID = f.varint()
		}
	}
	// A handshake lists what its client could do; any other frame says what it is.
	if f.err == nil && fr.Command != MSync_PROVISION && sealed {
		f.num = 0
		f.fail(ErrEncrypted)
	}
	return fr, f.err
}

// sealed reads compressAlgorimth, crypto or one encryptType, packed or not: true when it is not "none".
func (f *fields) sealed() bool {
	if f.num == 11 && f.typ == protowire.BytesType {
		for _, c := range f.val {
			if c != 0 {
				return true
			}
		}
		return false
	}
	return f.varint() != 0
}
