package conversation

import (
	"time"

	"parley/domain"
	"parley/domain/message"
)

var errNoMessage = domain.Refuse(domain.NotFound, "no such message")

// check refuses what cannot be recalled, whoever asks: what is not there or was recalled, commands, what is too old.
func (c *RecallMessage) check(last domain.Seq, now time.Time) error {
	t := &c.Target
	switch {
	case t.Message == 0 || t.Seq == 0 || t.Seq > last || t.Recalled:
		return errNoMessage
	case t.Kind == message.Cmd || t.Kind == message.None:
		return domain.Refuse(domain.BadRequest, "commands cannot be recalled")
	case c.Force && c.App:
		return nil
	case c.Window <= 0:
		return domain.Refuse(domain.RecallOff, "recall is off")
	case now.Sub(t.Message.Time()) > c.Window:
		return domain.Refuse(domain.RecallTooLate, "exceed recall time limit")
	default:
		return nil
	}
}

func (c *RecallMessage) recalled() MessageRecalled {
	return MessageRecalled{
		Message: c.Target.Message, MessageSeq: c.Target.Seq, From: c.Target.From, By: c.Sender.User, ByResource: c.Sender.Resource,
		To: c.To, Audience: c.Target.Audience, ClientID: c.Sender.ClientID, Hash: c.Sender.Hash, Ext: c.Ext, Body: c.Body,
	}
}

// recallDirect decides a recall in a direct conversation: by the sender, or by the app.
func recallDirect(st domain.Stream, v domain.View, c *RecallMessage, now time.Time) (domain.Decision, error) {
	m := memberOf(v, c.Sender.User)
	if d, done, err := admit(st, v, &c.Sender, &Recipient{User: c.To}, m); done {
		return d, err
	}
	if err := c.check(headOf(v).Seq, now); err != nil {
		return domain.Decision{}, err
	}
	switch {
	case c.App:
	case !takesPart(m, c.Sender.Incarnation) || c.Target.Seq < m.From:
		return domain.Decision{}, errNoMessage
	case c.Target.From != c.Sender.User:
		return domain.Decision{}, domain.Refuse(domain.Forbidden, "somebody else's message")
	}
	return domain.Decision{Bodies: []domain.Body{c.recalled()}}, nil
}
