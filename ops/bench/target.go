package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"

	"parley/schemas/msync"
)

// Target is the server under load, as dev.json describes it.
type Target struct {
	App          string      `json:"app"` // org#app
	ClientID     string      `json:"client_id"`
	ClientSecret msync.Token `json:"client_secret"`
	REST         string      `json:"rest"`
	WS           string      `json:"ws"`
	Admin        string      `json:"admin"` // metrics: where CPU and memory are read
	Profiles     string      `json:"-"`     // folder for the server's profiles of the measured time; empty: none
	Others       []Target    `json:"-"`     // other nodes of the same cluster: clients of direct chats use all in turn, and figures are added up
}

// socket returns the WebSocket address for the i-th client.
func (t *Target) socket(i int) string {
	if i %= len(t.Others) + 1; i > 0 {
		return t.Others[i-1].WS
	}
	return t.WS
}

// ReadTarget reads dev.json.
func ReadTarget(file string) (Target, error) {
	var t Target
	b, err := os.ReadFile(file)
	if err != nil {
		return t, fmt.Errorf("bench: read the target: %w", err)
	}
	if err := json.Unmarshal(b, &t); err != nil {
		return t, fmt.Errorf("bench: read the target %s: %w", file, err)
	}
	return t, nil
}

// Validate reports every problem at once. Hosts other than loopback addresses are refused: this is a tool for one's own machine.
func (t *Target) Validate() error {
	var errs []error
	if t.App == "" || t.ClientID == "" || t.ClientSecret == "" {
		errs = append(errs, errors.New("app, client_id and client_secret must be set (a dev file has them)"))
	}
	for _, a := range []struct{ name, url string }{{"rest", t.REST}, {"ws", t.WS}, {"admin", t.Admin}} {
		if err := loopback(a.url); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.name, err))
		}
	}
	for i := range t.Others {
		errs = append(errs, t.Others[i].Validate())
	}
	return errors.Join(errs...)
}

// loopback refuses every address that another machine could answer.
func loopback(addr string) error {
	u, err := url.Parse(addr)
	if err != nil {
		return err
	}
	host := u.Hostname()
	if host == "localhost" {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return fmt.Errorf("%q is not a loopback address: only a server on this machine is put under load", addr)
	}
	return nil
}
