package token_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/token"
)

var (
	now = time.UnixMilli(1_763_900_000_000)
	key = token.Key{ID: "k1", Secret: token.Secret("0123456789abcdef0123456789abcdef")}
	old = token.Key{ID: "k0", Secret: token.Secret("another secret of thirty-two byte")}
)

func signer(tb testing.TB, current token.Key, previous ...token.Key) *token.Signer {
	tb.Helper()
	s, err := token.NewSigner(current, previous...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func sign(tb testing.TB, s *token.Signer, c token.Claims) token.Token {
	tb.Helper()
	t, err := s.Sign(c)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

var ann = token.Claims{App: "demo#chat", User: "ann", Incarnation: 1, AuthEpoch: 1, IssuedAt: now.UnixMilli(), ID: "n1"}

func TestTokenComesBack(t *testing.T) {
	s := signer(t, key)
	rapid.Check(t, func(t *rapid.T) {
		c := token.Claims{
			App: domain.AppID(rapid.StringMatching(`[A-Za-z0-9_.-]{1,64}#[A-Za-z0-9_.-]{1,64}`).Draw(t, "app")), Admin: rapid.Bool().Draw(t, "admin"),
			IssuedAt: now.UnixMilli(), Expires: rapid.SampledFrom([]int64{0, now.UnixMilli() + 1, 1 << 60}).Draw(t, "expires"),
			ID: rapid.StringMatching(`[a-z0-9]{0,32}`).Draw(t, "id"), AuthEpoch: rapid.Uint32().Draw(t, "epoch"),
		}
		if !c.Admin {
			c.User = domain.UserID(rapid.StringMatching(`[a-z0-9_.-]{1,64}`).Draw(t, "user"))
			c.Incarnation = domain.Incarnation(rapid.Uint32().Draw(t, "incarnation"))
		}
		text, err := s.Sign(c)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Trim(string(text), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Fatalf("not safe in a URL: %s", string(text))
		}
		if got, err := s.Verify(text, now); err != nil || got != c {
			t.Fatalf("got %+v (%v), want %+v", got, err, c)
		}
		// One other byte anywhere, and it is no token.
		forged := []byte(text)
		forged[rapid.IntRange(0, len(forged)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "bits")
		if got, err := s.Verify(token.Token(forged), now); domain.CodeOf(err) != domain.Unauthorized || got != (token.Claims{}) {
			t.Fatalf("forged: got %+v, %v", got, err)
		}
	})
}

// A token signed today must be good after an update: this one was made by the first version.
func TestGolden(t *testing.T) {
	const text = "p1.k1.eyJhIjoiZGVtbyNjaGF0IiwidSI6ImFubiIsImkiOjEsImUiOjEsInQiOjE3NjM5MDAwMDAwMDAsIm4iOiJuMSJ9."
	s := signer(t, key)
	got := sign(t, s, ann)
	if !strings.HasPrefix(string(got), text) {
		t.Fatalf("the form changed: %s", string(got))
	}
	const whole = token.Token(text + goldenSum)
	if got != whole {
		t.Fatalf("the signature changed: %s", string(got))
	}
	if c, err := s.Verify(whole, now); err != nil || c != ann {
		t.Fatalf("got %+v, %v", c, err)
	}
}

func TestExpiry(t *testing.T) {
	s := signer(t, key)
	c := ann
	c.Expires = now.UnixMilli()
	text := sign(t, s, c)
	if _, err := s.Verify(text, now.Add(-time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{0, time.Millisecond, time.Hour} {
		if got, err := s.Verify(text, now.Add(later)); domain.CodeOf(err) != domain.TokenExpired || got != c {
			t.Fatalf("after %v: got %+v, %v", later, got, err)
		}
	}
	if _, err := s.Verify(sign(t, s, ann), now.AddDate(100, 0, 0)); err != nil {
		t.Fatalf("a token without an end: %v", err)
	}
}

func TestRotation(t *testing.T) {
	before, during, after := signer(t, old), signer(t, key, old), signer(t, key)
	first := sign(t, before, ann)
	if _, err := during.Verify(first, now); err != nil {
		t.Fatalf("the previous key's token: %v", err)
	}
	second := sign(t, during, ann)
	if _, err := after.Verify(second, now); err != nil {
		t.Fatalf("the current key's token: %v", err)
	}
	for name, err := range map[string]error{
		"a key that is gone":         verify(after, first),
		"a key that is not here yet": verify(before, second),
		"a key of the same id":       verify(signer(t, token.Key{ID: key.ID, Secret: old.Secret}), second),
	} {
		if domain.CodeOf(err) != domain.Unauthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func verify(s *token.Signer, text token.Token) error {
	_, err := s.Verify(text, now)
	return err
}

func TestNotTokens(t *testing.T) {
	s := signer(t, key)
	good := string(sign(t, s, ann))
	parts := strings.Split(good, ".")
	for name, text := range map[string]string{
		"nothing":              "",
		"three parts":          strings.Join(parts[:3], "."),
		"five parts":           good + ".x",
		"another version":      "p2" + good[2:],
		"no signature":         strings.Join(parts[:3], ".") + ".",
		"a signature's prefix": good[:len(good)-4],
		"a line break":         good + "\n",
		"padding":              good + "=",
		"too long":             good + strings.Repeat("A", token.MaxSize),
		"signed nonsense":      forge("p1.k1." + base64.RawURLEncoding.EncodeToString([]byte("{"))),
		"signed nobody":        forge("p1.k1." + base64.RawURLEncoding.EncodeToString([]byte(`{"a":"demo#chat"}`))),
	} {
		if c, err := s.Verify(token.Token(text), now); domain.CodeOf(err) != domain.Unauthorized || c != (token.Claims{}) {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	s := signer(t, key)
	for name, c := range map[string]token.Claims{
		"no app":            {User: "ann"},
		"nobody":            {App: "demo#chat"},
		"an admin user":     {App: "demo#chat", Admin: true, User: "ann"},
		"a long id":         {App: "demo#chat", User: "ann", ID: strings.Repeat("n", token.MaxSize)},
		"a negative expiry": {App: "demo#chat", User: "ann", Expires: -1},
	} {
		if text, err := s.Sign(c); domain.CodeOf(err) != domain.BadRequest || text != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeys(t *testing.T) {
	for name, keys := range map[string][]token.Key{
		"a short secret":   {{ID: "k", Secret: make(token.Secret, 31)}},
		"no id":            {{Secret: key.Secret}},
		"an id with a dot": {{ID: "a.b", Secret: key.Secret}},
		"a long id":        {{ID: strings.Repeat("k", 33), Secret: key.Secret}},
		"an id twice":      {key, old, key},
		"a bad old key":    {key, {ID: "k0"}},
	} {
		if s, err := token.NewSigner(keys[0], keys[1:]...); err == nil || s != nil {
			t.Errorf("%s: was taken", name)
		}
	}
	secret := append(token.Secret(nil), key.Secret...)
	s := signer(t, token.Key{ID: "k1", Secret: secret})
	text := sign(t, s, ann)
	clear(secret)
	if err := verify(s, text); err != nil {
		t.Errorf("a signer keeps its own copy of a secret: %v", err)
	}
}

func TestNothingIsPrinted(t *testing.T) {
	text := sign(t, signer(t, key), ann)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(verb, key); strings.Contains(got, "0123456789") || strings.Contains(got, fmt.Sprintf("%d", []byte(key.Secret))) {
			t.Errorf("%s prints the key: %s", verb, got)
		}
		if got := fmt.Sprintf(verb, text); strings.Contains(got, "p1.") {
			t.Errorf("%s prints the token: %s", verb, got)
		}
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", text, "secret", key.Secret)
	if got := log.String(); strings.Contains(got, "p1.") || strings.Contains(got, base64.StdEncoding.EncodeToString(key.Secret)[:8]) {
		t.Errorf("logged: %s", got)
	}
}

func FuzzVerify(f *testing.F) {
	s := signer(f, key, old)
	f.Add(string(sign(f, s, ann)))
	f.Add(string(sign(f, signer(f, old), token.Claims{App: "demo#chat", Admin: true, Expires: 5})))
	f.Add("p1.k1..")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := s.Verify(token.Token(text), now)
		switch domain.CodeOf(err) {
		case "":
			// Without the secret only the seeds verify, and those come back as they were signed.
			if again, err := s.Sign(c); err != nil || string(again) != text {
				t.Fatalf("%q verifies and is not what %+v is signed as", text, c)
			}
		case domain.Unauthorized, domain.TokenExpired:
		default:
			t.Fatal(err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s := signer(b, key)
	text := sign(b, s, ann)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Verify(text, now); err != nil {
			b.Fatal(err)
		}
	}
}
