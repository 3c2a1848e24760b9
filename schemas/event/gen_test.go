package event_test

import (
	"math"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/message"
	"parley/domain/user"
	"parley/schemas/event"
)

func text[S ~string](t *rapid.T, name string) S { return S(rapid.StringN(0, 20, 60).Draw(t, name)) }

// some draws bytes; none are nil, as decoding has it. Lengths cross the sizes where a length takes one, two and three bytes.
func some[B ~[]byte](t *rapid.T, name string) B {
	n := rapid.SampledFrom([]int{0, 1, 100, 127, 128, 300, 16_200, 16_384}).Draw(t, name+" length")
	if n == 0 {
		return nil
	}
	b := make(B, n)
	fill := rapid.Byte().Draw(t, name)
	for i := range b {
		b[i] = fill + byte(i)
	}
	return b
}

func number(t *rapid.T, name string) uint64 { return rapid.Uint64().Draw(t, name) }

func users(t *rapid.T, name string) (out []domain.UserID) {
	for range rapid.IntRange(0, 3).Draw(t, name) {
		out = append(out, text[domain.UserID](t, name))
	}
	return out
}

// bodies draws an event of each kind.
var bodies = union(union(chatBodies, groupBodies), roomBodies)

var chatBodies = map[string]func(*rapid.T) domain.Body{
	"MemberAdded": func(t *rapid.T) domain.Body {
		return conversation.MemberAdded{
			User: text[domain.UserID](t, "user"), Incarnation: domain.Incarnation(rapid.Uint32().Draw(t, "incarnation")),
			From: domain.Seq(number(t, "from")), N: number(t, "n"),
		}
	},
	"MessageSent": func(t *rapid.T) domain.Body {
		return conversation.MessageSent{
			From: text[domain.UserID](t, "from"), FromResource: text[domain.Resource](t, "from resource"),
			To: text[domain.UserID](t, "to"), ToResource: text[domain.Resource](t, "to resource"),
			ClientID: number(t, "client id"), Hash: number(t, "hash"), Kind: message.Kind(rapid.ByteRange(0, 9).Draw(t, "kind")),
			Counted: rapid.Bool().Draw(t, "counted"), History: rapid.Bool().Draw(t, "history"), SyncOwn: rapid.Bool().Draw(t, "sync own"),
			NoHistory: users(t, "no history"), Body: some[message.Bytes](t, "body"), Ext: some[message.Bytes](t, "ext"),
			N: number(t, "n"), Own: number(t, "own"), Audience: users(t, "audience"),
		}
	},
	"MessageDelivered": func(t *rapid.T) domain.Body { return conversation.MessageDelivered(drawReceipt(t)) },
	"MessageRead":      func(t *rapid.T) domain.Body { return drawReceipt(t) },
	"ConversationRead": func(t *rapid.T) domain.Body {
		return conversation.ConversationRead{
			By: text[domain.UserID](t, "by"), ByResource: text[domain.Resource](t, "by resource"), To: text[domain.UserID](t, "to"),
			ClientID: number(t, "client id"), Hash: number(t, "hash"), Body: some[message.Bytes](t, "body"),
			ReadN: number(t, "read n"), ReadOwn: number(t, "read own"),
		}
	},
	"UserRegistered": func(t *rapid.T) domain.Body {
		return user.Registered{
			Incarnation: domain.Incarnation(rapid.Uint32().Draw(t, "incarnation")), UUID: text[string](t, "uuid"),
			Password: some[user.PasswordHash](t, "password"), Nickname: text[string](t, "nickname"),
			AuthEpoch: rapid.Uint32().Draw(t, "auth epoch"), From: domain.Seq(number(t, "from")),
		}
	},
	"UserDeleted": func(t *rapid.T) domain.Body {
		return user.Deleted{
			Incarnation: domain.Incarnation(rapid.Uint32().Draw(t, "incarnation")), Registered: domain.T(number(t, "registered")),
		}
	},
	"PasswordSet": func(t *rapid.T) domain.Body {
		return user.PasswordSet{
			Password: some[user.PasswordHash](t, "password"), AuthEpoch: rapid.Uint32().Draw(t, "auth epoch"),
			Registered: domain.T(number(t, "registered")),
		}
	},
}

func drawReceipt(t *rapid.T) conversation.MessageRead {
	return conversation.MessageRead{
		By: text[domain.UserID](t, "by"), ByResource: text[domain.Resource](t, "by resource"), To: text[domain.UserID](t, "to"),
		Message: domain.T(number(t, "message")), ClientID: number(t, "client id"), Hash: number(t, "hash"), Body: some[message.Bytes](t, "body"),
	}
}

func drawHeader(t *rapid.T) event.Header {
	return event.Header{
		Term:  domain.Term(rapid.Uint64Range(1, math.MaxUint64).Draw(t, "term")),
		Index: domain.Index(number(t, "index")), Prev: number(t, "prev"),
	}
}

func drawCause(t *rapid.T) domain.Cause {
	return domain.Cause{
		Partition: domain.Partition(rapid.Uint16().Draw(t, "partition")),
		Offset:    domain.Offset(rapid.Int64Range(0, math.MaxInt64).Draw(t, "offset")), N: rapid.Uint32().Draw(t, "n"),
	}
}

func drawCommit(t *rapid.T) *domain.Commit {
	c := &domain.Commit{Stream: text[domain.StreamID](t, "stream")}
	at := domain.T(rapid.Uint64Range(0, 1<<62).Draw(t, "t"))
	for range rapid.IntRange(1, 4).Draw(t, "events") {
		name := rapid.SampledFrom(names()).Draw(t, "event")
		at += domain.T(rapid.Uint64Range(1, 1<<40).Draw(t, "later"))
		c.Events = append(c.Events, domain.Event{T: at, Seq: domain.Seq(number(t, "seq")), Body: bodies[name](t)})
	}
	if rapid.Bool().Draw(t, "caused") {
		cause := drawCause(t)
		c.Cause = &cause
	}
	return c
}
