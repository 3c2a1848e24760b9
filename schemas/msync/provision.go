package msync

import (
	"encoding/json"
	"log/slog"
	"strings"

	"google.golang.org/protobuf/proto"
)

// Token is a bearer token. It prints redacted.
type Token string

// String implements fmt.Stringer.
func (Token) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Token) GoString() string { return "[redacted]" }

// LogValue implements slog.LogValuer.
func (Token) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// tokenMark stands before the token in the field auth.
const tokenMark = "$t$"

// Hello is a handshake as its client sent it.
type Hello struct {
	AppKey        string
	User          string
	Token         Token  // without the mark
	Resource      string // proposed; of the payload, else of the guid
	DeviceUUID    string
	DeviceName    string
	OS            Provision_OsType
	OSCustomValue uint32
	Version       string // of the SDK
	ActionVersion string
	SessionID     string
	Reason        string // the app's log-in text, shown to a device that this log-in displaces
	ManualLogin   bool
}

// DecodeHello reads the handshake in a frame with command PROVISION. Once a session: it goes through the generated types.
func DecodeHello(fr *Frame) (Hello, error) {
	var p Provision
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 10}).Unmarshal(fr.Payload, &p); err != nil {
		return Hello{}, &DecodeError{Message: "Provision", Err: ErrMalformed}
	}
	h := Hello{
		AppKey:        string(fr.GUID.AppKey),
		User:          string(fr.GUID.Name),
		Token:         Token(strings.TrimPrefix(string(fr.Auth), tokenMark)),
		Resource:      p.GetResource(),
		DeviceUUID:    p.GetDeviceUuid(),
		DeviceName:    p.GetDeviceName(),
		OS:            p.GetOsType(),
		OSCustomValue: p.GetOsCustomValue(),
		Version:       p.GetVersion(),
		ActionVersion: p.GetActionVersion(),
		SessionID:     p.GetSessionId(),
		Reason:        p.GetReason(),
		ManualLogin:   p.GetIsManualLogin(),
	}
	if h.Resource == "" {
		h.Resource = string(fr.GUID.Resource)
	}
	if h.Token == "" {
		h.Token = tokenOf(p.GetAuthToken())
	}
	return h, h.check()
}

// tokenOf reads the token from the JSON of the field authToken.
func tokenOf(text string) Token {
	var t struct {
		Token string `json:"token"`
	}
	if json.Unmarshal([]byte(text), &t) != nil {
		return ""
	}
	return Token(strings.TrimPrefix(t.Token, tokenMark))
}

// check bounds what is kept for a session's life.
func (h *Hello) check() error {
	for _, s := range []string{h.Resource, h.DeviceUUID, h.DeviceName, h.Version, h.ActionVersion, h.SessionID} {
		if len(s) > MaxNameBytes {
			return &DecodeError{Message: "Provision", Err: ErrTooLarge}
		}
		if strings.ToValidUTF8(s, "") != s {
			return &DecodeError{Message: "Provision", Err: ErrText}
		}
	}
	if len(h.Reason) > MaxAuthBytes || len(h.Token) > MaxAuthBytes {
		return &DecodeError{Message: "Provision", Err: ErrTooLarge}
	}
	return nil
}

// DecodeLogout reads the reason and session of a log-out.
func DecodeLogout(payload []byte) (session, reason string, err error) {
	var l Logout
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 10}).Unmarshal(payload, &l); err != nil {
		return "", "", &DecodeError{Message: "Logout", Err: ErrMalformed}
	}
	return l.GetSessionId(), l.GetReason(), nil
}
