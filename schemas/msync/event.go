package msync

import (
	"parley/domain"
	"parley/domain/conversation"
)

// MetaOfEvent appends the Meta of a conversation's entry, as every reader sees it. ok is false for events that have no wire form. With a
// nil dst it allocates the result once, at its size.
//
// meta is the JSON of Meta.meta, or nil. The id is the event's t, the timestamp its milliseconds.
func MetaOfEvent(dst []byte, app domain.AppID, ev *domain.Event, meta []byte) (out []byte, ok bool) {
	h := MetaHeader{ID: uint64(ev.T), AppKey: string(app), Timestamp: uint64(ev.T.Milli()), NS: Meta_CHAT}
	var payload, ext []byte
	body, ok := ev.Body.(conversation.Event)
	if !ok {
		return dst, false
	}
	switch e := body.(type) {
	case conversation.MessageSent:
		payload, ext = h.sent(&e)
	case conversation.MessageDelivered:
		payload = h.receipt(e.By, e.ByResource, e.To, e.Body)
	case conversation.MessageRead:
		payload = h.receipt(e.By, e.ByResource, e.To, e.Body)
	case conversation.ConversationRead:
		payload = h.receipt(e.By, e.ByResource, e.To, e.Body)
	case conversation.MemberAdded:
		return dst, false
	}
	if dst == nil {
		dst = make([]byte, 0, SizeMeta(&h, payload, ext, meta))
	}
	return AppendMeta(dst, &h, payload, ext, meta), true
}

func (h *MetaHeader) sent(e *conversation.MessageSent) (payload, ext []byte) {
	h.From, h.FromResource = string(e.From), string(e.FromResource)
	h.To, h.ToResource = string(e.To), string(e.ToResource)
	return e.Body, e.Ext
}

func (h *MetaHeader) receipt(by domain.UserID, res domain.Resource, to domain.UserID, body []byte) []byte {
	h.From, h.FromResource, h.To = string(by), string(res), string(to)
	return body
}
