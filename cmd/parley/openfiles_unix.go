//go:build unix

package main

import "syscall"

// openFiles returns how many files the process may have open, 0 when there is no limit. Go has raised the soft limit to the hard one.
func openFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || uint64(l.Cur) > 1<<31 { //nolint:unconvert // it is signed on some systems
		return 0
	}
	return int(l.Cur)
}
