package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/domain"
)

// adminClient calls the admin API of a running server.
type adminClient struct {
	base    string
	key     string
	patient bool // the call takes as long as it takes
}

// adminFlags adds the flags by which a running server is found.
func adminFlags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.String("config", os.Getenv("PARLEY_CONFIG"), "the server's configuration file: it has address and key")
	f.String("data", "parley-data", "folder of a development server: its dev.json has address and key")
	f.String("admin", "", "address of the admin listener, http://host:port; default: PARLEY_ADMIN, then dev.json, then --config, then "+defaultAdmin)
	f.String("key-file", "", "file with the admin key; default: PARLEY_ADMIN_KEY, then dev.json, then --config")
	must(cmd.MarkPersistentFlagDirname("data"))
	must(cmd.MarkPersistentFlagFilename("config", "yaml", "yml", "toml", "json"))
}

func adminFrom(cmd *cobra.Command) (*adminClient, error) {
	f := cmd.Flags()
	get := func(name string) string { return f.Lookup(name).Value.String() }
	c := &adminClient{base: cmp.Or(get("admin"), os.Getenv("PARLEY_ADMIN")), key: os.Getenv("PARLEY_ADMIN_KEY")}
	if file := get("key-file"); file != "" {
		b, err := readPrivate(file)
		if err != nil {
			return nil, err
		}
		c.key = strings.TrimSpace(string(b))
	}
	if c.base == "" || c.key == "" {
		if err := c.find(cmd, get("data"), get("config")); err != nil {
			return nil, err
		}
	}
	if c.key == "" {
		return nil, errors.New("no admin key: name a file with it (--key-file), set PARLEY_ADMIN_KEY, or name a development server's --data folder")
	}
	if !strings.Contains(c.base, "://") {
		c.base = "http://" + c.base
	}
	return c, nil
}

// find takes from dev.json, and then from the server's configuration file, what was not said.
func (c *adminClient) find(cmd *cobra.Command, data, file string) error {
	var set config
	if file != "" {
		var err error
		if set, err = loadConfig(cmd.Flags(), file); set.Data == "" {
			return err // it cannot be read; what else is wrong with it is the server's affair
		}
		data = set.Data
	}
	d, err := readDev(data)
	if err != nil {
		return err
	}
	c.base = cmp.Or(c.base, d.Admin, set.Admin, defaultAdmin)
	c.key = cmp.Or(c.key, d.AdminKey, string(set.AdminKey))
	return nil
}

// callLimit is how long the server may take to answer.
const callLimit = 15 * time.Second

// call does one request and decodes the answer.
func (c *adminClient) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	limit := callLimit
	if c.patient {
		limit = 0
	}
	res, err := (&http.Client{Timeout: limit}).Do(req)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return answerError(res)
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// answerError is what the server says instead of an answer.
func answerError(res *http.Response) error {
	var e struct {
		Description string `json:"error_description"`
	}
	_ = json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&e) // what it does not say, the status does
	return fmt.Errorf("%s: %s", res.Status, e.Description)
}

// printed is an answer that is printed as it is.
type printed map[string]any

func (p printed) print(w io.Writer) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(b))
	return err
}

func appCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "app", Short: "Manage the apps (tenants) of a running server",
		Example: `  parley app create acme#shop
  parley app create acme#shop --open-registration
  parley app list
  parley app delete acme#shop`,
	}
	adminFlags(cmd)
	create := &cobra.Command{
		Use: "create org#app", Short: "Make an app; prints its client id and secret, the secret this once", Args: cobra.ExactArgs(1),
		Example: `  parley app create acme#shop
  parley app create acme#shop --admin http://10.0.0.5:9090 --key-file admin.key`,
		RunE: func(cmd *cobra.Command, args []string) error {
			open, err := cmd.Flags().GetBool("open-registration")
			if err != nil {
				return err
			}
			return callAndPrint(cmd, http.MethodPost, "/api/apps", map[string]any{"id": args[0], "open_registration": open})
		},
	}
	create.Flags().Bool("open-registration", false, "let clients register users without a token")
	list := &cobra.Command{
		Use: "list", Short: "List the apps", Args: cobra.NoArgs, Example: "  parley app list",
		RunE: func(cmd *cobra.Command, _ []string) error { return callAndPrint(cmd, http.MethodGet, "/api/apps", nil) },
	}
	remove := &cobra.Command{
		Use: "delete org#app", Short: "End an app; its id is not given out again", Args: cobra.ExactArgs(1),
		Example: "  parley app delete acme#shop",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := domain.ParseAppID(args[0])
			if err != nil {
				return err
			}
			path := "/api/apps/" + url.PathEscape(id.Org()) + "/" + url.PathEscape(id.Name())
			return callAndPrint(cmd, http.MethodDelete, path, nil)
		},
	}
	cmd.AddCommand(create, list, remove)
	return cmd
}

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", Short: "Make a token: for a user, or without --user for the app", Args: cobra.NoArgs,
		Example: `  parley token --app demo#chat --user ana --create
  parley token --app demo#chat --ttl 1h`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f := cmd.Flags()
			create, err := f.GetBool("create")
			if err != nil {
				return err
			}
			ask := map[string]any{"app": f.Lookup("app").Value.String(), "user": f.Lookup("user").Value.String(), "create": create}
			if f.Changed("ttl") {
				ttl, err := f.GetDuration("ttl")
				if err != nil {
					return err
				}
				ask["ttl"] = int64(ttl / time.Second)
			}
			return callAndPrint(cmd, http.MethodPost, "/api/tokens", ask)
		},
	}
	adminFlags(cmd)
	f := cmd.Flags()
	f.String("app", string(devApp), "the app, org#app")
	f.String("user", "", "the user; empty: a token of the app, which may do everything in it")
	f.Bool("create", false, "make the account when there is none")
	f.Duration("ttl", 0, "how long the token is good; 0: for ever; default: as the server is set")
	return cmd
}

func callAndPrint(cmd *cobra.Command, method, path string, in any) error {
	c, err := adminFrom(cmd)
	if err != nil {
		return err
	}
	out := printed{}
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	if err := c.call(ctx, method, path, in, &out); err != nil {
		return err
	}
	return out.print(cmd.OutOrStdout())
}
