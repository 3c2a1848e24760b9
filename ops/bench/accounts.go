package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/schemas/msync"
)

// callers bounds the REST calls in flight.
const callers = 16

// maxAnswer bounds what is read of a REST answer.
const maxAnswer = 8 << 20

// Accounts makes users and their tokens over REST, as an application's back end does.
type Accounts struct {
	base string
	http *http.Client
	app  msync.Token
}

// OpenAccounts asks for the app's token.
func OpenAccounts(ctx context.Context, t *Target) (*Accounts, error) {
	a := &Accounts{
		base: strings.TrimSuffix(t.REST, "/") + "/" + strings.Replace(t.App, "#", "/", 1),
		http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxConnsPerHost: callers, MaxIdleConnsPerHost: callers}},
	}
	token, err := a.token(ctx, map[string]any{
		"grant_type": "client_credentials", "client_id": t.ClientID, "client_secret": string(t.ClientSecret),
	})
	if err != nil {
		return nil, fmt.Errorf("bench: token of the app: %w", err)
	}
	a.app = token
	return a, nil
}

// Close ends the idle connections.
func (a *Accounts) Close() { a.http.CloseIdleConnections() }

// Tokens returns a token for each user, who is made when missing.
func (a *Accounts) Tokens(ctx context.Context, names []string) ([]msync.Token, error) {
	out := make([]msync.Token, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(callers)
	for i, name := range names {
		g.Go(func() error {
			t, err := a.token(ctx, map[string]any{"grant_type": "inherit", "username": name, "autoCreateUser": true, "ttl": 86400})
			out[i] = t
			if err != nil {
				return fmt.Errorf("bench: token of %s: %w", name, err)
			}
			return nil
		})
	}
	return out, g.Wait()
}

func (a *Accounts) token(ctx context.Context, body map[string]any) (msync.Token, error) {
	var answer struct {
		AccessToken msync.Token `json:"access_token"`
	}
	if err := a.Call(ctx, http.MethodPost, "/token", a.app, body, &answer); err != nil {
		return "", err
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("the answer has no access_token")
	}
	return answer.AccessToken, nil
}

// Call makes one call below /org/app and decodes its answer. Every status but 200 is an error.
func (a *Accounts) Call(ctx context.Context, method, path string, token msync.Token, body, answer any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d %.200s", method, path, resp.StatusCode, text)
	}
	return json.Unmarshal(text, answer)
}
