// Package message knows the kinds of message content and their limits. Content travels as the client's own bytes; what parley reads of
// it is the Envelope, parsed at the edge.
package message

import (
	"hash/fnv"
	"log/slog"
)

// Bytes is content as the client sent it. It prints as its length: bodies are never logged.
type Bytes []byte

// String implements fmt.Stringer.
func (b Bytes) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (b Bytes) GoString() string { return "[redacted]" }

// LogValue implements slog.LogValuer.
func (b Bytes) LogValue() slog.Value { return slog.IntValue(len(b)) }

// Hash is the payload hash that tells a repeat from a collision of client ids: FNV-1a. It is part of the stored format.
func Hash(payload []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(payload)
	return h.Sum64()
}

// Kind is the kind of a message's content, numbered as on the wire plus one, so that 0 means none.
type Kind uint8

// Kinds of content.
const (
	None Kind = iota
	Text
	Image
	Video
	Location
	Voice
	File
	Cmd
	Custom
	Combine
)

// Envelope is what parley reads of a message's body.
type Envelope struct {
	Kind        Kind
	CustomEvent string
	CustomExts  int // number of them
	Size        int // bytes of body and ext together
}
