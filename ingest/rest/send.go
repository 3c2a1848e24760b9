package rest

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/msync"
)

// sendRequest is the body of POST /messages/users.
type sendRequest struct {
	From       *string         `json:"from"` // absent: defaultSender
	To         []string        `json:"to"`
	Type       string          `json:"type"`
	Body       json.RawMessage `json:"body"`
	Ext        json.RawMessage `json:"ext"`
	SyncDevice bool            `json:"sync_device"` // to the sender's devices too
	RouteType  string          `json:"routetype"`   // routeOnline, or absent
	NoHistory  []string        `json:"roam_ignore_users"`
}

const (
	defaultSender = "admin"
	routeOnline   = "ROUTE_ONLINE"
)

// parcel is a message for one recipient.
type parcel struct {
	name     string // of the recipient, as the caller wrote it
	to       domain.UserID
	body     []byte
	envelope message.Envelope
}

// sending is a request that was found good.
type sending struct {
	from      domain.UserID
	noHistory []domain.UserID
	parcels   []parcel
	sync      bool
	online    bool
}

// send is POST /messages/users: one message to each recipient, whether they exist or not. The answer names the ids of the messages that
// were accepted; when none was, it is the refusal of the first.
func (c *call) send() error {
	var req sendRequest
	if err := c.body(&req); err != nil {
		return err
	}
	m, err := req.check(&c.server.cfg.Settings, c.server.cfg.Limits)
	if err != nil {
		return err
	}
	if !c.server.limits.allow(c.app.ID, bucketMessages, c.begin, len(m.parcels)) {
		c.server.metrics.limited.WithLabelValues(bucketMessages).Inc()
		return &sendLimit
	}
	if m.online {
		return c.data(c.sendOnline(m))
	}
	ids, err := c.sendStored(m)
	if err != nil {
		return err
	}
	return c.data(ids)
}

// common reads what messages to users and to groups have in common.
func (r *sendRequest) common(s *Settings) (*sending, error) {
	m := &sending{sync: r.SyncDevice}
	switch r.RouteType {
	case "":
	case routeOnline:
		m.online = true
	default:
		return nil, illegalArgument.say("routetype must be " + routeOnline + " or absent")
	}
	from := defaultSender
	if r.From != nil {
		from = *r.From
	}
	if from == "" {
		return nil, illegalArgument.say("'From' can't be empty.")
	}
	var err error
	if m.from, err = user.FoldName(from); err != nil {
		return nil, err
	}
	m.noHistory, err = fold(r.NoHistory, s.Recipients)
	return m, err
}

// check reads the request; every refusal comes before anything is sent.
func (r *sendRequest) check(s *Settings, l message.Limits) (*sending, error) {
	m, err := r.common(s)
	if err != nil {
		return nil, err
	}
	if len(r.To) == 0 || len(r.To) > s.Recipients {
		return nil, illegalArgument.say("'to' must name at least one user and no more than the limit of one call")
	}
	seen := make(map[domain.UserID]bool, len(r.To))
	for _, name := range r.To {
		to, err := user.FoldName(name)
		if err != nil {
			return nil, err
		}
		if seen[to] {
			continue
		}
		seen[to] = true
		p, err := r.parcel(m.from, to, l)
		if err != nil {
			return nil, err
		}
		p.name = name
		m.parcels = append(m.parcels, p)
	}
	return m, nil
}

// fold reads a list of names.
func fold(names []string, most int) ([]domain.UserID, error) {
	if len(names) > most {
		return nil, illegalArgument.say("too many users in roam_ignore_users")
	}
	var out []domain.UserID
	for _, name := range names {
		u, err := user.FoldName(name)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// parcel makes the message for one recipient.
func (r *sendRequest) parcel(from, to domain.UserID, l message.Limits) (parcel, error) {
	body, envelope, err := content(&msync.Draft{
		Chat: msync.MessageBody_CHAT, From: string(from), To: string(to), Type: r.Type, Body: r.Body, Ext: r.Ext,
	}, l)
	return parcel{to: to, body: body, envelope: envelope}, err
}

// content makes the body of a message, and reads what the rules want to know of it.
func content(d *msync.Draft, l message.Limits) ([]byte, message.Envelope, error) {
	body, err := msync.BodyFromJSON(d)
	if err != nil {
		return nil, message.Envelope{}, sendRefusal(err)
	}
	scan, err := msync.ScanBody(body)
	if err != nil { // readable JSON that makes no readable message: a key over its limit, for instance
		return nil, message.Envelope{}, illegalArgument.say("body or ext is not valid")
	}
	envelope := scan.Domain(0)
	return body, envelope, sendRefusal(message.Check(envelope, l))
}

// sendRefusal gives messages that are too large the code that callers know.
func sendRefusal(err error) error {
	if domain.CodeOf(err) == domain.TooLarge {
		return &tooLargeMessage
	}
	return err
}

// sendStored sends through the log. Each message has a client id, so that asking again after an owner moved sends nothing twice.
func (c *call) sendStored(m *sending) (map[string]string, error) {
	wishes, err := c.wishes(m)
	if err != nil {
		return nil, err
	}
	results := c.server.submit(c.ctx(), wishes)
	ids := make(map[string]string, len(results))
	var first error
	for i, r := range results {
		if r.Err == nil {
			ids[m.parcels[i].name] = strconv.FormatUint(uint64(r.T), 10)
			continue
		}
		if first == nil {
			first = r.Err
		}
		c.server.metrics.unsent.WithLabelValues(string(domain.CodeOf(r.Err))).Inc()
	}
	if len(ids) == 0 {
		return nil, sendRefusal(first)
	}
	c.server.settle(c.ctx(), results...)
	return ids, nil
}

// wishes makes the commands. Which accounts the names stand for is asked of their owners now: a message to an account that is not known
// yet would not be in its list.
func (c *call) wishes(m *sending) ([]wish, error) {
	users := make([]domain.UserID, 0, len(m.parcels)+1)
	users = append(users, m.from)
	for i := range m.parcels {
		users = append(users, m.parcels[i].to)
	}
	heads, err := c.server.heads(c.ctx(), c.app.ID, users)
	if err != nil {
		return nil, err
	}
	incarnation := func(i int) domain.Incarnation {
		if heads[i] == nil {
			return 0
		}
		return heads[i].Incarnation
	}
	out := make([]wish, len(m.parcels))
	for i := range m.parcels {
		p := &m.parcels[i]
		out[i] = wish{domain.DirectStream(c.app.ID, m.from, p.to), conversation.SendMessage{
			Sender: conversation.Sender{
				User: m.from, Incarnation: incarnation(0), ClientID: rand.Uint64() | 1, Hash: message.Hash(p.body),
			},
			To:       conversation.Recipient{User: p.to, Incarnation: incarnation(i + 1)},
			Envelope: p.envelope, Body: p.body, SyncOwn: m.sync, NoHistory: m.noHistory, Unchecked: true,
		}}
	}
	return out, nil
}

// sendOnline shows the messages to who is online now. Nothing is kept.
func (c *call) sendOnline(m *sending) map[string]string {
	ids := make(map[string]string, len(m.parcels))
	for i := range m.parcels {
		p := &m.parcels[i]
		ev := &domain.Event{T: c.server.cfg.Volatile.NextT(), Body: conversation.MessageSent{
			From: m.from, To: p.to, Kind: p.envelope.Kind, SyncOwn: m.sync, Body: p.body,
		}}
		c.server.cfg.Volatile.Volatile(domain.DirectStream(c.app.ID, m.from, p.to), ev)
		ids[p.name] = strconv.FormatUint(uint64(ev.T), 10)
	}
	return ids
}
