package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"parley/delivery/directory"
	"parley/domain"
	"parley/schemas/msync"
)

// closeReason names why a socket was closed: the label of the metric and the text of the WebSocket close frame.
type closeReason string

const (
	closeClient      closeReason = "client"       // it closed, or its connection broke
	closeLogout      closeReason = "logout"       // it said so before
	closeAuthTimeout closeReason = "auth_timeout" // no handshake in time
	closeLogin       closeReason = "login_failed" // the handshake was refused
	closeBusy        closeReason = "busy"         // the account could not be read: try again
	closeBadFrame    closeReason = "bad_frame"    // malformed, oversize or encrypted
	closeNotBinary   closeReason = "not_binary"   // a text frame
	closeOrder       closeReason = "before_login" // a command before the handshake, or a second handshake
	closeIdle        closeReason = "idle"         // nothing from the client for long
	closeSlow        closeReason = "slow_consumer"
	closeSlowViewer  closeReason = "slow_viewer" // frames of rooms not read
	closeUnacked     closeReason = "unacked"     // entries shown and not acknowledged
	closeKicked      closeReason = "kicked"
	closeNoApp       closeReason = "app_deleted"
	closeDrain       closeReason = "drain" // the node stops
)

// closeReasons are all of them.
var closeReasons = []closeReason{
	closeClient, closeLogout, closeAuthTimeout, closeLogin, closeBusy, closeBadFrame, closeNotBinary, closeOrder, closeIdle, closeSlow,
	closeSlowViewer, closeUnacked, closeKicked, closeNoApp, closeDrain,
}

func (r closeReason) status() websocket.StatusCode {
	switch r {
	case closeDrain:
		return websocket.StatusServiceRestart
	case closeBusy:
		return websocket.StatusTryAgainLater
	case closeBadFrame, closeNotBinary:
		return websocket.StatusUnsupportedData
	case closeOrder, closeLogin, closeAuthTimeout, closeIdle, closeSlow, closeSlowViewer, closeUnacked, closeNoApp:
		return websocket.StatusPolicyViolation
	case closeClient, closeLogout, closeKicked:
		return websocket.StatusNormalClosure
	default:
		return websocket.StatusInternalError
	}
}

// session is one socket. One goroutine waits for bytes of its client and has them handled by a reader; pages are read by another while there
// are any to read; everybody else only adds bytes. Lock order: session.mu, then the device's and the outbound's; session.again's is held alone.
type session struct {
	gw     *Gateway
	conn   *websocket.Conn
	in     *inbound
	out    *outbound
	opened time.Time

	handled chan bool // by readers: what had come is handled; false: the session has ended

	started   atomic.Bool  // conn is set
	lastRead  atomic.Int64 // Unix ms of the last frame from the client
	parted    bool         // the client has said good-bye; of whoever reads
	unackedAt atomic.Int64 // Unix ms since when something shown is unacknowledged; 0: nothing is
	pulledAt  atomic.Int64 // Unix ms of the last pull while the first sync goes on; 0: it does not
	loggedIn  atomic.Bool
	closed    atomic.Bool
	replaced  atomic.Bool // its client was gone when another socket of the device logged in: most likely the same client

	// Set at log-in, constant from then on.
	key    directory.Key
	info   directory.Info
	device *device

	// Of its reader. sends and pending are made at the first command: most sockets never send.
	sends   *rate.Limiter
	app     *rate.Limiter
	pending chan struct{} // a place for each unanswered command
	sent    uint64        // commands, for their order

	again again
	views views
	hand  inHand

	mu          sync.Mutex
	queues      map[domain.StreamID]*queue
	outstanding int                 // shown and unacknowledged, over all queues
	holding     int                 // queues that are not past what an earlier connection was shown
	pushable    bool                // the handshake was answered
	unread      []msync.UnreadQueue // for the first answer to UNREAD
	syncing     int                 // listed queues whose pull is not over
	pullsBegan  time.Time           // the first pull of a listed queue; zero: none has come
	unsure      bool                // memberships may be older than the attach: groups wait
	paging      bool                // the pager runs
	loggedOut   bool
	ended       bool               // the reading goroutine has left: nothing may be started any more
	life        context.Context    //nolint:containedctx // what runs for the session ends with it, not with a call; nil until something runs
	stop        context.CancelFunc // ends life
	wake        chan struct{}      // wakes a pager that waits for acknowledgements
}

var _ directory.Session = (*session)(nil)

func newSession(g *Gateway) *session {
	s := &session{gw: g, opened: g.cfg.Now(), handled: make(chan bool, 1)}
	s.lastRead.Store(s.opened.UnixMilli())
	return s
}

// run waits for bytes until the socket ends, and has them handled: by a reader, or by itself while the client sends one frame after the other.
// Under TLS, where nobody knows whether a read would wait, it stays with its first reader.
func (s *session) run() {
	var busy streak
	for more := true; more; {
		if s.in.raw != nil {
			s.in.await()
		}
		if busy.add(s.gw.cfg.Now().UnixMilli() - s.lastRead.Load()) {
			more = s.handleFrames()
			continue
		}
		s.gw.readers.handle(s)
		more = <-s.handled
	}
	s.gw.wg.Done()
}

// streak counts the frames of a client that came soon after one another. In a long one the goroutine that waits for bytes handles them, too:
// that saves two switches a frame and costs a stack that has grown, which the garbage collector takes back when the streak is over.
type streak int

const (
	streakGap  = 500 // ms between two frames that ends it
	streakLong = 16
)

// add counts a frame that comes after a pause of some ms, and tells whether the streak is long.
func (k *streak) add(pause int64) bool {
	if pause > streakGap {
		*k = 0
	}
	*k++
	return *k > streakLong
}

// handleFrames handles the client's frames one after the other while there are any; false means that the session has ended.
func (s *session) handleFrames() (more bool) {
	for {
		if reason := s.read(); reason != "" {
			s.close(reason)
			s.end()
			return false
		}
		if s.in.raw != nil && !s.in.has() {
			return true
		}
	}
}

// read reads and handles one frame. A reason ends the session.
func (s *session) read() closeReason {
	typ, r, err := s.conn.Reader(context.Background())
	if err != nil {
		s.parted = s.parted || websocket.CloseStatus(err) != -1
		return readReason(err)
	}
	if typ != websocket.MessageBinary {
		return closeNotBinary
	}
	buf, err := readFrame(r)
	defer putBuffer(buf)
	if err != nil {
		return readReason(err)
	}
	s.lastRead.Store(s.gw.cfg.Now().UnixMilli())
	s.gw.metrics.bytesIn.Add(float64(len(buf)))
	switch { // what is still on its way counts no more
	case s.closed.Load(): // kicked, say
		return closeClient
	case !s.hand.take():
		return closeDrain
	}
	defer s.hand.done()
	return s.frame(buf)
}

func readFrame(r io.Reader) ([]byte, error) {
	buf := getBuffer()
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

func readReason(err error) closeReason {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return closeBadFrame
	}
	return closeClient
}

// frame handles one frame. A reason ends the session. The buffer may be used again afterwards.
func (s *session) frame(buf []byte) closeReason {
	fr, err := msync.DecodeFrame(buf)
	if err != nil {
		s.gw.log.Debug("bad frame", "err", err, "user", s.key.User)
		return closeBadFrame
	}
	s.gw.metrics.framesIn.inc(fr.Command)
	if fr.Command == msync.MSync_PROVISION {
		if s.loggedIn.Load() {
			return closeOrder
		}
		return s.login(&fr)
	}
	if !s.loggedIn.Load() {
		return closeOrder
	}
	switch fr.Command {
	case msync.MSync_SYNC:
		return s.sync(fr.Payload)
	case msync.MSync_UNREAD:
		s.sayUnread()
	case msync.MSync_LOGOUT:
		return s.logout()
	case msync.MSync_NOTICE, msync.MSync_PROVISION:
		return closeBadFrame
	default:
		return closeBadFrame
	}
	return ""
}

// logout answers and ends the session; what it was shown and has not acknowledged is not kept for the device's other sockets.
func (s *session) logout() closeReason {
	s.parted = true
	s.mu.Lock()
	s.loggedOut = true
	s.mu.Unlock()
	s.write(msync.MSync_LOGOUT, func(dst []byte) []byte { return msync.AppendLogout(dst, msync.Status_OK, "") })
	return closeLogout
}

// write sends one frame. It never blocks; a client that does not read is closed by the outbound.
func (s *session) write(c msync.MSync_Command, frame func(dst []byte) []byte) {
	pooled := buffers.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	buf := frame((*pooled)[:0])
	s.gw.metrics.framesOut.inc(c)
	s.gw.metrics.bytesOut.Add(float64(len(buf)))
	// An error closes the connection; the reading goroutine sees that.
	_ = s.conn.Write(context.Background(), websocket.MessageBinary, buf)
	if cap(buf) <= keepBuffer {
		*pooled = buf
		buffers.Put(pooled)
	}
}

// failed is called when the outbound cannot write.
func (s *session) failed(err error) {
	reason := closeClient
	switch {
	case errors.Is(err, errSlow):
		reason = closeSlow
	case errors.Is(err, errSlowViewer):
		reason = closeSlowViewer
	}
	if s.closed.CompareAndSwap(false, true) {
		s.noteClose(reason)
	}
	s.conn.CloseNow() //nolint:errcheck // it is broken already
}

// close closes the socket with a named reason, once, without waiting for the client.
func (s *session) close(reason closeReason) {
	if !s.closed.CompareAndSwap(false, true) {
		return
	}
	s.noteClose(reason)
	s.mu.Lock()
	if s.stop != nil {
		s.stop()
	}
	handshake := reason != closeClient && !s.ended
	if handshake {
		s.gw.wg.Add(1) // the reading goroutine is counted until the session has ended
	}
	s.mu.Unlock()
	if !handshake {
		s.conn.CloseNow() //nolint:errcheck // it is broken already
		return
	}
	go func() {
		defer s.gw.wg.Done()
		// Close flushes what waits, says why, and gives the client up to 5 s to answer.
		err := s.conn.Close(reason.status(), string(reason))
		if err != nil && !errors.Is(err, net.ErrClosed) {
			s.gw.log.Debug("close handshake failed", "err", err)
		}
	}()
}

// noteClose counts and logs why the session was closed, once.
func (s *session) noteClose(reason closeReason) {
	s.gw.metrics.closes.WithLabelValues(string(reason)).Inc()
	if s.loggedIn.Load() {
		s.gw.log.Debug("session closed", "reason", string(reason), "app", s.key.App, "user", s.key.User, "resource", s.info.Resource)
		return
	}
	s.gw.log.Debug("session closed", "reason", string(reason))
}

// end takes the session out of everything, after its last frame.
func (s *session) end() {
	s.gw.remove(s)
	s.mu.Lock()
	s.ended = true
	if s.stop != nil {
		s.stop()
	}
	marks := s.leftover()
	for _, q := range s.queues {
		s.unsubscribe(q)
	}
	s.mu.Unlock()
	if !s.loggedIn.Load() {
		return
	}
	s.endRooms()
	s.gw.cfg.Directory.Detach(s.key, s)
	s.gw.metrics.sessions.Dec()
	s.gw.devices.detach(s.device, marks, time.UnixMilli(s.lastRead.Load()))
}

// leftover returns where the socket stood in the queues in which something is not acknowledged.
func (s *session) leftover() map[domain.StreamID]domain.Seq {
	if s.loggedOut || s.replaced.Load() {
		return nil
	}
	var marks map[domain.StreamID]domain.Seq
	for _, q := range s.queues {
		if len(q.frames) == 0 {
			continue
		}
		if marks == nil {
			marks = map[domain.StreamID]domain.Seq{}
		}
		marks[q.stream] = q.acked
	}
	return marks
}

// overdue returns why the session should be closed now, or "".
func (s *session) overdue(now time.Time) closeReason {
	set := &s.gw.cfg.Settings
	ms := now.UnixMilli()
	switch {
	case !s.started.Load() || s.closed.Load():
		return ""
	case !s.loggedIn.Load():
		if now.Sub(s.opened) > set.AuthTimeout {
			return closeAuthTimeout
		}
		return ""
	case !s.gw.cfg.Apps.AppExists(s.key.App):
		return closeNoApp
	case ms-s.lastRead.Load() > set.IdleTimeout.Milliseconds():
		return closeIdle
	}
	if at := s.unackedAt.Load(); at != 0 && ms-at > set.UnackedTimeout.Milliseconds() {
		return closeUnacked
	}
	return ""
}

// pullsLate tells that listed queues have not been pulled for long.
func (s *session) pullsLate(now time.Time) bool {
	at := s.pulledAt.Load()
	return at != 0 && !s.closed.Load() && now.UnixMilli()-at > s.gw.cfg.Settings.UnackedTimeout.Milliseconds()
}

// Info implements directory.Session.
func (s *session) Info() directory.Info { return s.info }

// Kick implements directory.Session.
func (s *session) Kick(reason directory.KickReason, note string) {
	op := msync.StatisticsBody_USER_KICKED_BY_OTHER_DEVICE
	switch reason {
	case directory.KickRemoved:
		op = msync.StatisticsBody_USER_REMOVED
	case directory.KickAnotherDevice:
		op = msync.StatisticsBody_USER_LOGIN_ANOTHER_DEVICE
	case directory.KickPasswordChanged:
		op = msync.StatisticsBody_USER_KICKED_BY_CHANGE_PASSWORD
	}
	if s.closed.Load() {
		return
	}
	t := s.gw.NextT()
	s.write(msync.MSync_SYNC, func(dst []byte) []byte {
		return append(dst, msync.AppendKick(nil, &msync.Kick{
			ID: uint64(t), AppKey: string(s.key.App), User: string(s.key.User), Operation: op, Reason: note, Timestamp: uint64(t.Milli()),
		})...)
	})
	s.close(closeKicked)
}

func (s *session) wakePager() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
