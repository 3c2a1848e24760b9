package client

import (
	"errors"
	"fmt"

	"parley/schemas/msync"
)

var (
	// ErrClosed is the end of a session that its owner ended.
	ErrClosed = errors.New("client: closed")
	// ErrPending refuses a send while MaxPending are without answer.
	ErrPending = errors.New("client: too many sends without answer")
)

// ProvisionError is a refused handshake.
type ProvisionError struct {
	Code   msync.Status_ErrorCode
	Reason string
}

// Error implements error.
func (e *ProvisionError) Error() string {
	return fmt.Sprintf("client: handshake refused: %v: %s", e.Code, e.Reason)
}

// ProtocolError is a frame that an SDK would lose or choke on.
type ProtocolError struct {
	What string
	Err  error // may be nil
}

// Error implements error.
func (e *ProtocolError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("client: %s: %v", e.What, e.Err)
	}
	return "client: " + e.What
}

// Unwrap returns the cause.
func (e *ProtocolError) Unwrap() error { return e.Err }
