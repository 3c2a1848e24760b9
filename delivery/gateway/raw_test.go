package gateway_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"parley/schemas/msync"
)

// raw is a socket on which a test writes what it likes.
type raw struct {
	t    *testing.T
	conn *websocket.Conn
}

func (r *rig) raw() *raw {
	r.t.Helper()
	conn, _, err := r.knock(nil)
	require.NoError(r.t, err)
	conn.SetReadLimit(1 << 20)
	return &raw{r.t, conn}
}

// knock opens a socket, or tells with which status it was refused.
func (r *rig) knock(header http.Header) (conn *websocket.Conn, status int, err error) {
	conn, resp, err := websocket.Dial(within(r.t), r.url, &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		r.t.Cleanup(func() { conn.CloseNow() })
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	return conn, resp.StatusCode, err
}

// rawLogin is a raw socket that has logged in.
func (r *rig) rawLogin(name, resource string) *raw {
	r.t.Helper()
	w := r.raw()
	w.write(r.hello(name, resource))
	a := w.provision()
	require.Equal(r.t, msync.Status_OK, a.Code, a.Reason)
	return w
}

func (r *rig) hello(name, resource string, change ...func(*msync.Hello)) []byte {
	h := &msync.Hello{
		AppKey: string(r.app), User: name, Resource: resource, DeviceUUID: resource, OS: msync.Provision_OS_OTHER, Version: "4.21.1", SessionID: "1:",
	}
	if len(change) == 0 {
		h.Token = r.token(name)
	}
	for _, f := range change {
		f(h)
	}
	return must(msync.AppendHello(nil, h))
}

func (w *raw) write(frame []byte) {
	w.t.Helper()
	require.NoError(w.t, w.conn.Write(within(w.t), websocket.MessageBinary, frame))
}

// next reads the next frame.
func (w *raw) next() msync.Frame {
	w.t.Helper()
	_, b, err := w.conn.Read(within(w.t))
	require.NoError(w.t, err)
	fr, err := msync.DecodeFrame(b)
	require.NoError(w.t, err)
	return fr
}

func (w *raw) provision() msync.ProvisionAnswer {
	w.t.Helper()
	fr := w.next()
	require.Equal(w.t, msync.MSync_PROVISION, fr.Command)
	a, err := msync.DecodeProvisionAnswer(fr.Payload)
	require.NoError(w.t, err)
	return a
}

// page reads the next page, past answers to UNREAD.
func (w *raw) page() msync.SyncDown {
	w.t.Helper()
	for {
		fr := w.next()
		if fr.Command != msync.MSync_SYNC {
			continue
		}
		s, err := msync.DecodeSyncDown(fr.Payload, nil)
		require.NoError(w.t, err)
		return s
	}
}

// closed reads to the end and returns the named reason.
func (w *raw) closed() (websocket.StatusCode, string) {
	w.t.Helper()
	for {
		if _, _, err := w.conn.Read(within(w.t)); err != nil {
			if e, ok := errors.AsType[websocket.CloseError](err); ok {
				return e.Code, e.Reason
			}
			return -1, err.Error()
		}
	}
}
