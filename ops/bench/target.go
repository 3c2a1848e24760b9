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
