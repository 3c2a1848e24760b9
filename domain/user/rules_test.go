package user_test

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/internal/ruletest"
	"parley/domain/user"
	"parley/schemas/state"
)

//go:embed testdata/account.txt
var account string

//go:embed testdata/notices.txt
var notices string

func TestScenarios(t *testing.T) {
	for name, text := range map[string]string{"account": account, "notices": notices} {
		t.Run(name, func(t *testing.T) { ruletest.RunScenarios(t, text, vocabulary) })
	}
}

var vocabulary = ruletest.Vocabulary{
	Rules:  user.Rules{},
	Stream: domain.UserStream("demo#chat", "ann"),
	Command: func(l ruletest.Line) (domain.Command, error) {
		switch l.Word {
		case "register":
			return user.Register{UUID: l.Get("uuid"), Password: user.PasswordHash(l.Get("password")), Nickname: l.Get("nickname")}, nil
		case "password":
			return user.SetPassword{Password: user.PasswordHash(l.Get("password"))}, nil
		case "delete":
			return user.Delete{}, nil
		case "notify":
			kind := user.GroupInvited
			if l.Has("declined") {
				kind = user.GroupDeclined
			} else if l.Has("strange") {
				kind = 99
			}
			return user.Notify{
				Kind: kind, Incarnation: domain.Incarnation(l.Number("for")), Group: l.Get("group"), Name: l.Get("name"),
				By: domain.UserID(l.Get("by")), Reason: l.Get("reason"), Cause: readCause(l.Get("cause")),
			}, nil
		default:
			return nil, fmt.Errorf("no command %q", l.Word)
		}
	},
	Event: func(l *ruletest.Line, body domain.Body) {
		switch b := body.(type) {
		case user.Registered:
			l.Add("incarnation", b.Incarnation)
			l.Add("uuid", b.UUID)
			l.Add("password", string(b.Password))
			l.Add("nickname", b.Nickname)
			l.Add("epoch", b.AuthEpoch)
		case user.Deleted:
			l.Add("incarnation", b.Incarnation)
			l.AddID("registered", b.Registered)
		case user.PasswordSet:
			l.Add("password", string(b.Password))
			l.Add("epoch", b.AuthEpoch)
			l.AddID("registered", b.Registered)
		case user.Noticed:
			l.Add("kind", []string{"", "invited", "declined"}[b.Kind])
			l.Add("for", b.Incarnation)
			l.Add("group", b.Group)
			l.Add("name", b.Name)
			l.Add("by", b.By)
			l.Add("reason", b.Reason)
		}
	},
	Row: func(l *ruletest.Line, row domain.Row) {
		if c, ok := row.(*user.Causes); ok {
			l.Add("last", fmt.Sprintf("%d/%d/%d", c.Last.Partition, c.Last.Offset, c.Last.N))
			return
		}
		h := row.(*user.Head)
		l.Add("incarnation", h.Incarnation)
		l.Flag("exists", h.Exists)
		l.Add("uuid", h.UUID)
		l.Add("nickname", h.Nickname)
		l.Add("password", string(h.Password))
		l.Add("epoch", h.AuthEpoch)
		l.AddID("registered", h.Registered)
		l.AddID("modified", h.Modified)
		l.AddID("t", h.T)
		l.Add("seq", h.Seq)
		if h.From > 1 {
			l.Add("from", h.From)
		}
	},
}

func readCause(text string) (c domain.Cause) {
	_, _ = fmt.Sscanf(text, "%d/%d/%d", &c.Partition, &c.Offset, &c.N)
	return c
}

// The laws of all rules; and incarnations and epochs only grow.
func TestLaws(t *testing.T) {
	stored := func(row domain.Row) string { return string(state.EncodeRow(nil, row)) }
	commands := []domain.Command{
		user.Register{UUID: "u", Password: user.PasswordHash("p"), Nickname: "n"},
		user.Register{Nickname: strings.Repeat("n", 101)},
		user.Delete{},
		user.SetPassword{Password: user.PasswordHash("q")},
		user.Notify{Kind: user.GroupInvited, Group: "77", Cause: domain.Cause{Partition: 1, Offset: 5}},
		user.Notify{Kind: user.GroupDeclined, Group: "77", Incarnation: 1, Cause: domain.Cause{Partition: 1, Offset: 6}},
		user.Notify{Kind: user.GroupDeclined, Group: "78", Cause: domain.Cause{Partition: 2, Offset: 5, N: 1}},
	}
	rapid.Check(t, func(t *rapid.T) {
		s := ruletest.NewStream(user.Rules{}, domain.UserStream("demo#chat", "ann"))
		var last user.Head
		for range rapid.IntRange(1, 30).Draw(t, "commands") {
			now := domain.T(rapid.Uint64Range(0, 1<<50).Draw(t, "now")).Time()
			events, err := s.DoLawfully(rapid.SampledFrom(commands).Draw(t, "command"), now, stored)
			if err != nil {
				t.Fatal(err)
			}
			head, _ := s.Rows[domain.PartHead].(*user.Head)
			if len(events) == 0 {
				continue
			}
			if head.Incarnation < last.Incarnation || head.AuthEpoch < last.AuthEpoch || head.Seq < last.Seq || head.Seq > 3 {
				t.Fatalf("%+v after %+v", head, last)
			}
			if n, noticed := events[0].Body.(user.Noticed); noticed {
				if head.Seq != last.Seq+1 || n.Incarnation != head.Incarnation || head.Seq < head.From {
					t.Fatalf("%+v after %+v: %+v", head, last, n)
				}
			} else if _, deleted := events[0].Body.(user.Deleted); !deleted && head.AuthEpoch == last.AuthEpoch {
				t.Fatalf("%s leaves the epoch at %d", events[0].Body.EventName(), head.AuthEpoch)
			}
			last = *head
		}
		if err := s.CheckFold(stored); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRulesIgnoreOtherCommands(t *testing.T) {
	_, err := ruletest.NewStream(user.Rules{}, "demo#chat/u/ann").Decide(other{}, time.Time{})
	if domain.CodeOf(err) != domain.Unsupported {
		t.Fatal(err)
	}
}

type other struct{}

func (other) CommandName() string { return "Other" }

func TestFoldName(t *testing.T) {
	long := strings.Repeat("a", 64)
	for name, want := range map[string]string{
		"ann": "ann", "Ann_B-9.x": "ann_b-9.x", long: long, "A": "a",
		"": "", long + "a": "", "a b": "", "a@b": "", "阿": "", "a/b": "", "\u212aelvin": "", "a\x00": "", ".": "", "..": "", ".a": ".a", "...": "...",
	} {
		got, err := user.FoldName(name)
		if string(got) != want || (want == "") != (domain.CodeOf(err) == domain.BadName) {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want domain.Code
	}{
		"a password":           {user.CheckPassword("p"), ""},
		"no password":          {user.CheckPassword(""), domain.BadRequest},
		"64 characters":        {user.CheckPassword(strings.Repeat("密", 64)), ""},
		"65 characters":        {user.CheckPassword(strings.Repeat("p", 65)), domain.TooLarge},
		"no nickname":          {user.CheckNickname(""), ""},
		"100 characters":       {user.CheckNickname(strings.Repeat("名", 100)), ""},
		"101 characters":       {user.CheckNickname(strings.Repeat("n", 101)), domain.TooLarge},
		"a nickname not UTF-8": {user.CheckNickname("\xff"), domain.BadRequest},
	} {
		if got := domain.CodeOf(c.err); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestPasswordHashPrintsRedacted(t *testing.T) {
	command := user.Register{Password: user.PasswordHash("secret")}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if got := fmt.Sprintf(verb, command); strings.Contains(got, "secret") || strings.Contains(got, fmt.Sprintf("%d", []byte("secret"))) {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}
