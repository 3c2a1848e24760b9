package bench

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	"parley/schemas/msync"
)

// maxPages bounds the reading of one history.
const maxPages = 100_000

// History reads all of a conversation as a user's SDK does, oldest first. The queue is the other user's name or the group's id, with its
// domain. What each gets is good for ever.
func (a *Accounts) History(ctx context.Context, user string, token msync.Token, queue string, each func(msync.MetaView) error) error {
	cursor := "-1"
	for range maxPages {
		var answer struct {
			Data struct {
				Msgs []struct {
					Msg string `json:"msg"`
				} `json:"msgs"`
				NextKey string `json:"next_key"`
				IsLast  bool   `json:"is_last"`
			} `json:"data"`
		}
		body := map[string]any{"queue": queue, "start": cursor, "end": -1, "pull_number": 50, "is_positive": true}
		if err := a.Call(ctx, http.MethodPost, "/users/"+user+"/messageroaming", token, body, &answer); err != nil {
			return err
		}
		for _, m := range answer.Data.Msgs {
			if err := decodeEach(m.Msg, each); err != nil {
				return err
			}
		}
		if answer.Data.IsLast {
			return nil
		}
		if answer.Data.NextKey == cursor {
			return fmt.Errorf("page after %s ends where it began", cursor)
		}
		cursor = answer.Data.NextKey
	}
	return fmt.Errorf("more than %d pages", maxPages)
}

func decodeEach(text string, each func(msync.MetaView) error) error {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	m, err := msync.DecodeMeta(b)
	if err != nil {
		return err
	}
	return each(m)
}

// NewGroup makes a group of users who exist and returns its id.
func (a *Accounts) NewGroup(ctx context.Context, name, owner string, members []string) (string, error) {
	var answer struct {
		Data struct {
			ID string `json:"groupid"`
		} `json:"data"`
	}
	body := map[string]any{"groupname": name, "owner": owner, "members": members, "maxusers": max(len(members)+1, 200)}
	if err := a.Call(ctx, http.MethodPost, "/chatgroups", a.app, body, &answer); err != nil {
		return "", err
	}
	if answer.Data.ID == "" {
		return "", fmt.Errorf("the answer has no groupid")
	}
	return answer.Data.ID, nil
}
