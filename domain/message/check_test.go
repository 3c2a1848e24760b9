package message_test

import (
	"fmt"
	"strings"
	"testing"

	"parley/domain"
	"parley/domain/message"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		e    message.Envelope
		want domain.Code
	}{
		"an empty text":       {message.Envelope{Kind: message.Text}, ""},
		"5 KB":                {message.Envelope{Kind: message.Text, Size: 5120}, ""},
		"more":                {message.Envelope{Kind: message.Text, Size: 5121}, domain.TooLarge},
		"a command of 5 KB":   {message.Envelope{Kind: message.Cmd, Size: 5120}, ""},
		"no kind":             {message.Envelope{}, domain.BadRequest},
		"the last kind":       {message.Envelope{Kind: message.Combine}, ""},
		"an unknown kind":     {message.Envelope{Kind: message.Combine + 1}, domain.BadRequest},
		"a custom event":      {message.Envelope{Kind: message.Custom, CustomEvent: "aZ09-_/.", CustomExts: 16}, ""},
		"one of 32":           {message.Envelope{Kind: message.Custom, CustomEvent: strings.Repeat("e", 32)}, ""},
		"one of 33":           {message.Envelope{Kind: message.Custom, CustomEvent: strings.Repeat("e", 33)}, domain.BadRequest},
		"one without a name":  {message.Envelope{Kind: message.Custom}, domain.BadRequest},
		"one with a blank":    {message.Envelope{Kind: message.Custom, CustomEvent: "a b"}, domain.BadRequest},
		"one that is Chinese": {message.Envelope{Kind: message.Custom, CustomEvent: "礼物"}, domain.BadRequest},
		"17 customExts":       {message.Envelope{Kind: message.Custom, CustomEvent: "e", CustomExts: 17}, domain.TooLarge},
		"a name on a text":    {message.Envelope{Kind: message.Text, CustomEvent: "a b", CustomExts: 17}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := domain.CodeOf(message.Check(c.e, message.DefaultLimits)); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestBytesPrintRedacted(t *testing.T) {
	secret := message.Bytes("secret")
	for _, verb := range []string{"%v", "%s", "%+v", "%#v", "%q"} {
		if got := fmt.Sprintf(verb, secret); strings.Contains(got, "secret") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	if got := secret.LogValue().String(); got != "6" {
		t.Errorf("logged as %s", got)
	}
}

// The hash is stored: it may never change.
func TestHash(t *testing.T) {
	for payload, want := range map[string]uint64{"": 0xcbf29ce484222325, "a": 0xaf63dc4c8601ec8c, "foobar": 0x85944171f73967e8} {
		if got := message.Hash([]byte(payload)); got != want {
			t.Errorf("%q: got %x, want %x", payload, got, want)
		}
	}
}
