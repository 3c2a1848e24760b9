package rpc

import (
	"errors"
	"fmt"
	"time"
)

// MessageBytes is the largest gRPC message that this package sends, and what a server of it must accept; it is gRPC's default.
const MessageBytes = 4 << 20

// Settings are bounds and times. Zero means the default in brackets.
type Settings struct {
	InFlight     int           // calls under way to one node, sent or not (16,384)
	QueueBytes   int           // bytes of calls that wait to be sent to one node (64 MiB)
	FrameBytes   int           // a frame is full when it has these (256 KiB)
	FrameCalls   int           // calls or answers in a frame (512)
	CommandBytes int           // the largest command (1 MiB)
	AnswerBytes  int           // an answer of rows is full when it has these (512 KiB)
	ReadRows     int           // rows that one call asks for (1,000)
	Reads        int           // reads that a node runs at once for another (256)
	OperateBytes int           // the largest request to and answer of the admin API (1 MiB)
	Deadline     time.Duration // how long an answer may take when the request does not say (5 s, the shard's default)
	Margin       time.Duration // how much longer an answer is waited for than the request says (1 s)
	QueueWait    time.Duration // how long a call may wait to be sent (1 s)
	OpenTimeout  time.Duration // how long opening a link may take (1 s)
	Pause        time.Duration // before a broken link is opened again (50 ms), doubled up to LongestPause
	LongestPause time.Duration // (1 s)
	Idle         time.Duration // after which an unused link is closed (5 min)
}

func (s Settings) withDefaults() Settings {
	def(&s.InFlight, 16384)
	def(&s.QueueBytes, 64<<20)
	def(&s.FrameBytes, 256<<10)
	def(&s.FrameCalls, 512)
	def(&s.CommandBytes, 1<<20)
	def(&s.AnswerBytes, 512<<10)
	def(&s.ReadRows, 1000)
	def(&s.Reads, 256)
	def(&s.OperateBytes, 1<<20)
	def(&s.Deadline, 5*time.Second)
	def(&s.Margin, time.Second)
	def(&s.QueueWait, time.Second)
	def(&s.OpenTimeout, time.Second)
	def(&s.Pause, 50*time.Millisecond)
	def(&s.LongestPause, time.Second)
	def(&s.Idle, 5*time.Minute)
	return s
}

func def[V int | time.Duration](field *V, value V) {
	if *field == 0 {
		*field = value
	}
}

// Validate reports every problem at once.
func (s Settings) Validate() error { return s.withDefaults().check() }

func (s Settings) check() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"in_flight", int64(s.InFlight)},
		{"queue_bytes", int64(s.QueueBytes)},
		{"frame_bytes", int64(s.FrameBytes)},
		{"frame_calls", int64(s.FrameCalls)},
		{"command_bytes", int64(s.CommandBytes)},
		{"answer_bytes", int64(s.AnswerBytes)},
		{"read_rows", int64(s.ReadRows)},
		{"reads", int64(s.Reads)},
		{"operate_bytes", int64(s.OperateBytes)},
		{"deadline", int64(s.Deadline)},
		{"margin", int64(s.Margin)},
		{"queue_wait", int64(s.QueueWait)},
		{"open_timeout", int64(s.OpenTimeout)},
		{"pause", int64(s.Pause)},
		{"longest_pause", int64(s.LongestPause)},
		{"idle", int64(s.Idle)},
	} {
		if f.value < 1 {
			errs = append(errs, fmt.Errorf("%s is %d, must be at least 1", f.name, f.value))
		}
	}
	if s.FrameBytes+s.CommandBytes > MessageBytes/2 || s.FrameBytes+s.AnswerBytes > MessageBytes/2 || s.OperateBytes > MessageBytes/2 {
		errs = append(errs, fmt.Errorf("frame_bytes with command_bytes or answer_bytes, or operate_bytes, is over %d", MessageBytes/2))
	}
	return errors.Join(errs...)
}
