package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthLimit is how long a server may take to say whether it is ready.
const healthLimit = 4 * time.Second

func healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "health", Short: "Ask a running server whether it is ready; fail when it is not", Args: cobra.NoArgs,
		Long: `Ask a running server whether it is ready, and say why not. It exits 0 when the server is, 1 when it is not or does not answer: for health
checks where there is neither a shell nor curl. No key is needed.`,
		Example: `  parley health
  parley health --admin http://10.0.0.5:9090`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			base, err := healthBase(cmd)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			if err := askReady(ctx, base); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ready")
			return err
		},
	}
	f := cmd.Flags()
	f.String("data", "parley-data", "folder of a development server: its dev.json has the address")
	f.String("admin", "", "address of the admin listener, http://host:port; default: PARLEY_ADMIN, then dev.json, then "+defaultAdmin)
	must(cmd.MarkFlagDirname("data"))
	return cmd
}

// healthBase finds the admin listener. One that listens on every address is asked on this machine.
func healthBase(cmd *cobra.Command) (string, error) {
	f := cmd.Flags()
	base := cmp.Or(f.Lookup("admin").Value.String(), os.Getenv("PARLEY_ADMIN"))
	if base == "" {
		d, err := readDev(f.Lookup("data").Value.String())
		if err != nil {
			return "", err
		}
		base = cmp.Or(d.Admin, defaultAdmin)
	}
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	return strings.TrimSuffix(base, "/"), nil
}

// askReady returns nil when the server is ready, otherwise every reason why it is not.
func askReady(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer res.Body.Close()
	var said struct {
		Status  string   `json:"status"`
		Reasons []string `json:"reasons"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&said); err != nil {
		return fmt.Errorf("%s: no answer of parley: %w", res.Status, err)
	}
	if res.StatusCode == http.StatusOK && said.Status == "ok" {
		return nil
	}
	errs := []error{errors.New("not ready")}
	for _, reason := range said.Reasons {
		errs = append(errs, errors.New(reason))
	}
	return errors.Join(errs...)
}
