package rest

import (
	"encoding/json"
	"strings"
	"testing"

	"parley/domain/conversation"
	"parley/domain/message"
	"parley/schemas/msync"
)

func FuzzSend(f *testing.F) {
	for _, s := range []string{
		`{"from":"ana","to":["bo","cy"],"type":"txt","body":{"msg":"x"},"ext":{"a":1,"b":[1],"c":null},"sync_device":true}`,
		`{"to":["bo"],"type":"img","body":{"url":"u","size":{"width":1e300,"height":"2"}},"routetype":"ROUTE_ONLINE"}`,
		`{"to":["bo"],"type":"custom","body":{"customEvent":"e","customExts":{"k":"v"}},"roam_ignore_users":["bo"]}`,
		`{"to":["bo"],"type":"loc","body":{"lat":"1","lng":2}}`, `{"to":["bo"],"type":"txt","body":null}`, `{}`, `[]`, `{"to":[null]}`,
	} {
		f.Add([]byte(s))
	}
	settings := DefaultSettings()
	f.Fuzz(func(t *testing.T, b []byte) {
		var req sendRequest
		if decode(b, &req) != nil {
			return
		}
		m, err := req.check(&settings, message.DefaultLimits)
		if err != nil {
			if failureOf(err).status != 400 {
				t.Fatalf("refused by %v", err)
			}
			return
		}
		if m.from == "" || len(m.parcels) == 0 || len(m.parcels) > settings.Recipients {
			t.Fatalf("accepted from %q to %d", m.from, len(m.parcels))
		}
		for _, p := range m.parcels {
			if _, err := msync.ScanBody(p.body); err != nil || len(p.body) > message.DefaultLimits.Size || p.envelope.Kind == message.None {
				t.Fatalf("accepted a body that is none: %v", err)
			}
			if _, err := msync.PayloadJSON(p.body, "a", "b"); err != nil {
				t.Fatalf("accepted a body that lists cannot show: %v", err)
			}
		}
	})
}

func FuzzHistory(f *testing.F) {
	for _, s := range []string{
		`{"queue":"bo@easemob.com","start":-1,"end":-1,"pull_number":20,"is_positive":false,"msgType":"txt,img","startTime":null,"endTime":null}`,
		`{"queue":"bo@easemob.com","start":"244761890980442113","startTime":1,"endTime":18446744073709551615}`,
		`{"queue":"1@conference.easemob.com"}`, `{"queue":"@easemob.com","pull_number":null}`, `{"start":"-","queue":"a@easemob.com"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var req historyRequest
		if decode(b, &req) != nil {
			return
		}
		q, err := req.check("org#app", "me", 50)
		if err != nil {
			if s := failureOf(err).status; s != 400 && s != 403 {
				t.Fatalf("refused by %v", err)
			}
			return
		}
		if _, ok := q.Stream.Parse(); !ok || q.Limit < 1 || q.Limit > 50 || len(q.Kinds) > len(kinds) {
			t.Fatalf("accepted %+v", q)
		}
	})
}

func FuzzGroups(f *testing.F) {
	for _, s := range []string{
		`{"groupname":"g","owner":"ana","members":["bo"],"maxusers":"200","public":true,"membersonly":false,"groupid":"1"}`,
		`{"groupname":"x","maxusers":1e3,"approval":null,"custom":"{}"}`, `{"newowner":7}`, `{"maxusers":-1}`, `{"maxusers":18446744073709551615}`,
		`{"name":"r","description":"","owner":"ana","maxusers":"10000"}`, `{"name":"r","maxusers":1,"custom":"c"}`,
		`{"msg_id":"1","chat_type":"chat","to":"bo","force":true}`, `{"public":[]}`, `{"groupname":"\ud800"}`,
	} {
		f.Add([]byte(s))
	}
	settings := DefaultSettings()
	f.Fuzz(func(t *testing.T, b []byte) {
		var n newGroup
		if decode(b, &n) == nil {
			s, err := n.settings(&settings)
			if err == nil && (s.MaxUsers < 1 || s.MaxUsers > uint32(settings.GroupUsers)) {
				t.Fatalf("accepted %+v", s)
			}
		}
		var fields map[string]json.RawMessage
		if decode(b, &fields) == nil {
			change, err := readChange(fields, &settings)
			switch {
			case err != nil && failureOf(err).status != 400:
				t.Fatalf("refused by %v", err)
			case err == nil && change == (conversation.GroupChange{}):
				t.Fatal("accepted a change of nothing")
			case err == nil && change.MaxUsers != nil && (*change.MaxUsers < 1 || *change.MaxUsers > uint32(settings.GroupUsers)):
				t.Fatalf("accepted %d members", *change.MaxUsers)
			}
			room, err := readRoomChange(fields, 10_000)
			switch {
			case err != nil && failureOf(err).status != 400:
				t.Fatalf("refused by %v", err)
			case err == nil && (room == (conversation.RoomChange{}) || room.MaxUsers != nil && (*room.MaxUsers < 1 || *room.MaxUsers > 10_000)):
				t.Fatalf("accepted %+v", room)
			}
		}
		var r newRoom
		if decode(b, &r) == nil {
			if s, err := r.settings(10_000); err == nil && (s.Name == "" || s.MaxUsers < 1 || s.MaxUsers > 10_000) {
				t.Fatalf("accepted %+v", s)
			}
		}
		var recall recallRequest
		_ = decode(b, &recall)
	})
}

func FuzzTokenAndUser(f *testing.F) {
	for _, s := range []string{
		`{"grant_type":"inherit","username":"ana","autoCreateUser":true,"ttl":"60"}`, `{"ttl":9223372036854775807}`, `{"ttl":null}`,
		`{"username":"Ana","password":"p","nickname":"\ud800"}`, `{"username":"\u0000","password":"p"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var req tokenRequest
		if decode(b, &req) == nil {
			if life := req.life(0); life < 0 || life > maxTTL {
				t.Fatalf("a life of %s", life)
			}
		}
		var n newUser
		if decode(b, &n) != nil {
			return
		}
		if u, err := n.check(); err == nil && (u == "" || strings.ContainsAny(string(u), "/ A")) {
			t.Fatalf("accepted %q", u)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"limit=10&cursor=a+b==", "&&=&%zz=%zz&a", strings.Repeat("a&", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		out := parseQuery(raw)
		if len(out) > maxParams {
			t.Fatalf("%d names", len(out))
		}
		if _, err := json.Marshal(out); err != nil {
			t.Fatal(err)
		}
	})
}
