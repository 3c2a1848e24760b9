package msync

import (
	"slices"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
)

// Form is which of the wire forms of an event a reader gets. All readers of one form get the same bytes, so an event is encoded at most
// once for each.
type Form uint8

// Forms.
const (
	FormAll   Form = iota // of most events the only one
	FormNamed             // for users whom an event of a group adds or removes
)

// FormOf returns the form for a reader of an event.
func FormOf(ev *domain.Event, reader domain.UserID) Form {
	named := false
	switch b := ev.Body.(type) {
	case conversation.MembersAdded:
		named = twoForms(&b) && slices.ContainsFunc(b.Members, func(j conversation.Joiner) bool { return j.User == reader })
	case conversation.MembersRemoved:
		named = b.How == conversation.LeaveRemoved && slices.Contains(b.Users, reader)
	}
	if named {
		return FormNamed
	}
	return FormAll
}

// HasNamed tells whether an event has a FormNamed besides FormAll.
func HasNamed(ev *domain.Event) bool {
	switch b := ev.Body.(type) {
	case conversation.MembersAdded:
		return twoForms(&b)
	case conversation.MembersRemoved:
		return b.How == conversation.LeaveRemoved
	default:
		return false
	}
}

// twoForms tells whether new members are told otherwise than the others: not those who came on their own.
func twoForms(b *conversation.MembersAdded) bool {
	return b.How == conversation.JoinAdded || b.How == conversation.JoinAccepted
}

// MetaOfEvent is MetaOfEntry for an event of a direct conversation, of which the app says enough.
func MetaOfEvent(dst []byte, app domain.AppID, ev *domain.Event, meta []byte) (out []byte, ok bool) {
	return MetaOfEntry(dst, domain.Stream{App: app, Kind: domain.KindDirect}, ev, FormAll, meta)
}

// MetaOfEntry appends the Meta of an event, as readers of a form (FormOf) see it. ok is false for events that have no wire form. With a nil
// dst it allocates the result once, at its size.
//
// meta is the JSON of Meta.meta, or nil. The id is the event's t, the timestamp its milliseconds.
func MetaOfEntry(dst []byte, st domain.Stream, ev *domain.Event, form Form, meta []byte) (out []byte, ok bool) {
	h := MetaHeader{ID: uint64(ev.T), AppKey: string(st.App), Timestamp: uint64(ev.T.Milli()), NS: Meta_CHAT}
	payload, ext, ok := h.said(ev)
	if !ok {
		payload, ok = h.muc(st, ev, form)
	}
	if !ok {
		return dst, false
	}
	if st.Kind == domain.KindGroup || st.Kind == domain.KindRoom {
		h.To, h.ToDomain = st.A, GroupDomain
	}
	if dst == nil {
		dst = make([]byte, 0, SizeMeta(&h, payload, ext, meta))
	}
	return AppendMeta(dst, &h, payload, ext, meta), true
}

// said fills the header of what a client said, whose own bytes are the payload.
func (h *MetaHeader) said(ev *domain.Event) (payload, ext []byte, ok bool) {
	switch e := ev.Body.(type) {
	case conversation.MessageSent:
		h.From, h.FromResource = string(e.From), string(e.FromResource)
		h.To, h.ToResource = string(e.To), string(e.ToResource)
		return e.Body, e.Ext, true
	case conversation.MessageDelivered:
		return h.receipt(e.By, e.ByResource, e.To, e.Body), nil, true
	case conversation.MessageRead:
		return h.receipt(e.By, e.ByResource, e.To, e.Body), nil, true
	case conversation.ConversationRead:
		return h.receipt(e.By, e.ByResource, e.To, e.Body), nil, true
	case conversation.MessageRecalled:
		return h.receipt(e.By, e.ByResource, e.To, e.Body), e.Ext, true
	default:
		return nil, nil, false
	}
}

func (h *MetaHeader) receipt(by domain.UserID, res domain.Resource, to domain.UserID, body []byte) []byte {
	h.From, h.FromResource, h.To = string(by), string(res), string(to)
	return body
}

// muc fills the header of an event of a group or room, or of a notice about one, and encodes what it says.
func (h *MetaHeader) muc(st domain.Stream, ev *domain.Event, form Form) (payload []byte, ok bool) {
	var m muc
	switch b := ev.Body.(type) {
	case user.Noticed:
		m, ok = noticeOf(&b, domain.UserID(st.A))
		h.To = st.A
	default:
		m, ok = mucOf(ev, form)
		m.group, m.room = st.A, st.Kind == domain.KindRoom
		if by, has := conversation.DoerOf(ev.Body); has && by.User == m.from {
			h.FromResource = string(by.Resource)
		}
	}
	if !ok {
		return nil, false
	}
	m.app = h.AppKey
	h.NS, h.From = Meta_MUC, m.sender()
	return m.body(), true
}
