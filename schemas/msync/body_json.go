package msync

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"parley/domain"
)

// Draft is a message as a REST caller describes it.
type Draft struct {
	Chat     MessageBody_Type // CHAT, GROUPCHAT or CHATROOM
	From, To string
	Type     string          // txt, img, audio, video, file, loc, cmd or custom
	Body     json.RawMessage // the object body
	Ext      json.RawMessage // the object ext, or nil
	GroupAck bool            // ask for read receipts in a group
}

// BodyFromJSON makes the MessageBody of a draft, field for field as the SDKs write it. A refusal is a *domain.Error with code BadRequest
// or TooLarge, whose reason names the field.
func BodyFromJSON(d *Draft) ([]byte, error) {
	if len(d.Body)+len(d.Ext) > MaxJSONBytes {
		return nil, domain.Refuse(domain.TooLarge, "message is too large")
	}
	content, err := d.content()
	if err != nil {
		return nil, err
	}
	body := &MessageBody{
		Type: d.Chat.Enum(), From: &JID{Name: &d.From}, To: &JID{Name: &d.To}, Contents: []*MessageBody_Content{content},
	}
	if !absent(d.Ext) {
		if body.Ext, err = keyValues(d.Ext); err != nil {
			return nil, refuseField("ext", err)
		}
	}
	if d.GroupAck {
		body.MsgConfig = &MessageBody_MessageConfig{AllowGroupAck: proto.Bool(true)}
	}
	b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("msync: encode a body: %w", err)
	}
	return b, nil
}

func absent(j json.RawMessage) bool { return len(j) == 0 || string(j) == "null" }

func refuseField(field string, err error) error {
	return &domain.Error{Code: domain.BadRequest, Reason: field + " is not valid", Err: err}
}

// content reads the object body.
func (d *Draft) content() (*MessageBody_Content, error) {
	if _, ok := contentTypes[d.Type]; !ok || d.Type == "combine" {
		return nil, domain.Refuse(domain.BadRequest, "type is not valid")
	}
	var c contentJSON
	if err := json.Unmarshal(d.Body, &c); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) && te.Field != "" {
			return nil, refuseField("body."+te.Field, err)
		}
		return nil, refuseField("body", err)
	}
	c.Type = d.Type
	if err := c.check(); err != nil {
		return nil, err
	}
	w := c.content()
	if !absent(c.CustomExts) {
		kvs, err := keyValues(c.CustomExts)
		if err != nil {
			return nil, refuseField("body.customExts", err)
		}
		w.CustomExts = kvs
	}
	return w, nil
}

// check refuses a body without the fields that its type needs.
func (c *contentJSON) check() error {
	need := func(field string, there bool) error {
		if there {
			return nil
		}
		return domain.Refuse(domain.BadRequest, "body."+field+" is required")
	}
	if c.SubType != nil {
		if _, ok := subTypes[*c.SubType]; !ok {
			return domain.Refuse(domain.BadRequest, "body.subType is not valid")
		}
	}
	switch c.Type {
	case "txt":
		return need("msg", c.Msg != nil)
	case "img", "audio", "video", "file":
		return need("url", c.URL != nil)
	case "loc":
		if err := need("lat", c.Lat != nil); err != nil {
			return err
		}
		return need("lng", c.Lng != nil)
	case "cmd":
		return need("action", c.Action != nil)
	default: // custom
		return need("customEvent", c.CustomEvent != nil)
	}
}

// payloadJSON is the payload of a message object in REST.
type payloadJSON struct {
	From      string          `json:"from"`
	To        string          `json:"to"`
	Type      string          `json:"type"`
	Bodies    []contentJSON   `json:"bodies"`
	Ext       json.RawMessage `json:"ext"`
	Meta      json.RawMessage `json:"meta"`
	MsgConfig *configJSON     `json:"msgConfig,omitempty"`
	Stream    *streamJSON     `json:"stream,omitempty"`
}

type configJSON struct {
	AllowGroupAck bool `json:"allowGroupAck"`
}

type streamJSON struct {
	Type         *string `json:"streamType,omitempty"`
	Seq          *uint64 `json:"streamSeq,omitempty"`
	Status       *int32  `json:"streamStatus,omitempty"`
	Error        *uint32 `json:"streamError,omitempty"`
	FinishReason *int32  `json:"streamFinishReason,omitempty"`
}

// chatNames are the chat types of REST by MessageBody type.
var chatNames = map[MessageBody_Type]string{
	MessageBody_NORMAL: "chat", MessageBody_CHAT: "chat", MessageBody_GROUPCHAT: "groupchat", MessageBody_CHATROOM: "chatroom",
}

// ErrNotMessage is the answer to a body that is no message: a receipt, a recall, an edit.
var ErrNotMessage = errors.New("msync: the body is not a message")

// PayloadJSON returns a MessageBody as the compact JSON object that REST calls payload. from and to stand in for
// a sender or receiver that the body does not name.
func PayloadJSON(body []byte, from, to string) (json.RawMessage, error) {
	var m MessageBody
	if err := (proto.UnmarshalOptions{RecursionLimit: 10}).Unmarshal(body, &m); err != nil {
		return nil, &DecodeError{Message: "MessageBody", Err: ErrMalformed}
	}
	chat, ok := chatNames[m.GetType()]
	if !ok || (m.Type == nil && hasUnknown(&m)) {
		return nil, ErrNotMessage
	}
	p := payloadJSON{
		From: orElse(m.GetFrom().GetName(), from), To: orElse(m.GetTo().GetName(), to), Type: chat, Bodies: []contentJSON{},
		Ext: extJSON(m.GetExt()), Meta: json.RawMessage("{}"),
	}
	for _, c := range m.GetContents() {
		p.Bodies = append(p.Bodies, contentOf(c))
	}
	if text := bytes.TrimSpace([]byte(m.GetMeta())); len(text) > 0 && text[0] == '{' && json.Valid(text) {
		p.Meta = text
	}
	if c := m.GetMsgConfig(); c != nil {
		p.MsgConfig = &configJSON{AllowGroupAck: c.GetAllowGroupAck()}
	}
	p.Stream = streamOf(m.GetStream())
	return json.Marshal(&p)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func streamOf(s *MessageBody_Stream) *streamJSON {
	if s == nil {
		return nil
	}
	j := &streamJSON{Type: s.StreamType, Seq: s.StreamSeq, Error: s.StreamError, FinishReason: s.StreamFinishReason}
	if s.StreamStatus != nil {
		j.Status = proto.Int32(int32(s.GetStreamStatus()))
	}
	return j
}
