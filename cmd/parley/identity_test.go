package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shake lets two sides greet each other, and returns what each says of it.
func shake(t *testing.T, server, client *tls.Config) (atServer, atClient error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer b.Close()
	a, err := l.Accept()
	require.NoError(t, err)
	defer a.Close()
	require.NoError(t, errors.Join(a.SetDeadline(time.Now().Add(10*time.Second)), b.SetDeadline(time.Now().Add(10*time.Second))))
	done := make(chan error, 1)
	go func() {
		err := tls.Server(a, server).HandshakeContext(t.Context())
		_ = a.Close()
		done <- err
	}()
	c := tls.Client(b, client)
	atClient = c.HandshakeContext(t.Context())
	if atClient == nil { // the server has the last word in TLS 1.3
		if _, atClient = c.Read(make([]byte, 1)); errors.Is(atClient, io.EOF) {
			atClient = nil
		}
	}
	return <-done, atClient
}

func TestNodesKnowEachOtherByTheKey(t *testing.T) {
	key, other := bytes.Repeat([]byte{1}, minKey), bytes.Repeat([]byte{2}, minKey)
	server, _, err := identity(key)
	require.NoError(t, err)
	_, client, err := identity(key)
	require.NoError(t, err)
	_, stranger, err := identity(other)
	require.NoError(t, err)

	atServer, _ := shake(t, server, client)
	require.NoError(t, atServer, "two starts with one key")
	atServer, atClient := shake(t, server, stranger)
	require.Error(t, atServer)
	require.Error(t, atClient, "a client with another key sees a server that it does not know")
	unsure := stranger.Clone()
	unsure.InsecureSkipVerify = true
	atServer, _ = shake(t, server, unsure)
	require.Error(t, atServer, "and the server does not know it, whatever it believes")
	bare := client.Clone()
	bare.Certificates = nil
	atServer, _ = shake(t, server, bare)
	require.Error(t, atServer, "without a certificate nobody comes in")
}
