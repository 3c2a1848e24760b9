package client

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/coder/websocket"

	"parley/schemas/msync"
)

// provision does the handshake, before the reader starts.
func (c *Client) provision(ctx context.Context) error {
	frame, err := msync.AppendHello(nil, &msync.Hello{
		AppKey: c.opts.AppKey, User: c.opts.User, Token: c.opts.Token, Resource: c.opts.Resource, DeviceUUID: c.opts.DeviceUUID,
		DeviceName: "parley", OS: msync.Provision_OS_OTHER, Version: "4.21.1", ActionVersion: "v5.2", SessionID: c.session,
	})
	if err != nil {
		return fmt.Errorf("client: encode a handshake: %w", err)
	}
	if err := c.write(ctx, frame); err != nil {
		return err
	}
	b, err := c.reader.next(ctx, c.conn)
	if err != nil {
		return fmt.Errorf("client: read the handshake's answer: %w", err)
	}
	c.countIn(b)
	fr, err := msync.DecodeFrame(b)
	if err != nil {
		return &ProtocolError{What: "handshake's answer", Err: err}
	}
	if fr.Command != msync.MSync_PROVISION {
		return &ProtocolError{What: "something before the handshake's answer"}
	}
	a, err := msync.DecodeProvisionAnswer(fr.Payload)
	if err != nil {
		return &ProtocolError{What: "handshake's answer", Err: err}
	}
	if a.Code != msync.Status_OK {
		return &ProvisionError{Code: a.Code, Reason: a.Reason}
	}
	if a.Resource == "" {
		return &ProtocolError{What: "handshake's answer without resource"}
	}
	c.resource = a.Resource
	return nil
}

// Close ends the session as 1.4.0 does: it closes the socket.
func (c *Client) Close() error {
	if !c.end() {
		<-c.done
		return nil
	}
	err := c.conn.Close(websocket.StatusNormalClosure, "")
	<-c.done
	if err != nil && websocket.CloseStatus(err) == -1 && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("client: close: %w", err)
	}
	return nil
}

// Logout ends the session as 4.21.1 does: it sends LOGOUT, waits for the answer until ctx ends, and closes the socket.
func (c *Client) Logout(ctx context.Context, reason string) error {
	if err := c.write(ctx, msync.AppendLogoutRequest(nil, c.session, reason)); err != nil {
		return errors.Join(err, c.Cut())
	}
	select {
	case <-c.loggedOut:
	case <-c.done:
	case <-ctx.Done():
	}
	return c.Close()
}

// Cut breaks the connection without a word, as a lost network does.
func (c *Client) Cut() error {
	c.end()
	err := c.conn.CloseNow()
	<-c.done
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("client: cut: %w", err)
	}
	return nil
}

// end marks the session as ended by its owner. It returns false when it has ended before.
func (c *Client) end() bool {
	first := c.closing.CompareAndSwap(false, true)
	if first {
		close(c.stop)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.beat != nil {
		c.beat.Stop()
	}
	return first && c.err == nil
}
