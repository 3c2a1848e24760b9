package main

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// terminal opens a pseudo-terminal: what is written to one side comes out of the other.
func terminal(t *testing.T) (control, side *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = control.Close() })
	var number, unlocked uint32
	for request, arg := range map[uintptr]*uint32{syscall.TIOCSPTLCK: &unlocked, syscall.TIOCGPTN: &number} {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, control.Fd(), request, uintptr(unsafe.Pointer(arg)))
		require.Zero(t, errno)
	}
	side, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = side.Close() })
	return control, side
}

func TestLoggerWritesTextOnATerminal(t *testing.T) {
	control, side := terminal(t)
	newLogger(logConfig{"info", "auto"}, side).Info("hello")
	b := make([]byte, 256)
	n, err := control.Read(b)
	require.NoError(t, err)
	require.Contains(t, string(b[:n]), "msg=hello")
}
