package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"parley/domain"
	"parley/projections/runner"
)

// heldView is a stream in quarantine as operators see it.
type heldView struct {
	Projection string           `json:"projection"`
	Version    int              `json:"version"`
	Partition  domain.Partition `json:"partition"`
	Stream     domain.StreamID  `json:"stream"`
	Index      domain.Index     `json:"index"`
	Offset     domain.Offset    `json:"offset"`
	Waiting    int              `json:"waiting"`
	Reason     string           `json:"reason"`
}

func (o *operator) listQuarantine(ctx context.Context, r *http.Request) (any, error) {
	all, err := o.node.runner.Quarantine(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]heldView, len(all))
	for i, q := range all {
		out[i] = heldView{q.Name, q.Version, q.Partition, q.Stream, q.First, q.Offset, q.Waiting, q.Reason}
	}
	if !r.URL.Query().Has(passedOn) {
		elsewhere, err := o.heldElsewhere(ctx)
		if err != nil {
			return nil, err
		}
		out = slices.Concat(out, elsewhere)
	}
	return heldList{out, runner.MaxWaiting}, nil
}

// heldList is GET /api/quarantine.
type heldList struct {
	Quarantine  []heldView `json:"quarantine"`
	MostWaiting int        `json:"most_waiting"`
}

// heldElsewhere asks the other nodes what is in quarantine there. One that does not answer fails the call: a list with a hole would look whole.
func (o *operator) heldElsewhere(ctx context.Context) (out []heldView, err error) {
	if o.node.cluster == nil {
		return nil, nil
	}
	for _, m := range o.node.cluster.ring.Members() {
		if m.Name == o.node.cluster.self.Name {
			continue
		}
		var list heldList
		if err := o.node.ask(ctx, m.Name, http.MethodGet, "/api/quarantine?"+passedOn, nil, &list); err != nil {
			return nil, fmt.Errorf("node %s: %w", m.Name, err)
		}
		out = append(out, list.Quarantine...)
	}
	return out, nil
}

// releaseAsk names a stream in the quarantine of a read model.
type releaseAsk struct {
	Projection string          `json:"projection"`
	Stream     domain.StreamID `json:"stream"`
}

// release is POST /api/quarantine/replay and /skip {projection, stream}.
func (o *operator) release(ctx context.Context, r *http.Request) (any, error) {
	how := r.PathValue("how")
	if how != "replay" && how != "skip" {
		return nil, refuse(http.StatusNotFound, "not_found", "there is no such call")
	}
	var ask releaseAsk
	if err := readAsk(r, &ask); err != nil {
		return nil, err
	}
	p, ok := o.node.control.SlotMap().Partition(ask.Stream)
	if !ok {
		return nil, refuse(http.StatusBadRequest, "bad_request", "%q is no stream: they look like org#app/d/ana/bob", ask.Stream)
	}
	if here, _ := o.node.owners.Here(p); !here && o.node.cluster != nil && !r.URL.Query().Has(passedOn) {
		return o.releaseElsewhere(ctx, p, how, &ask)
	}
	all, err := o.node.runner.Quarantine(ctx)
	if err != nil {
		return nil, err
	}
	if !isHeld(all, &ask, o.node.runner.Active(ask.Projection)) {
		return nil, refuse(http.StatusNotFound, "not_found", "%s of %s is not in quarantine", ask.Stream, ask.Projection)
	}
	var skipped domain.Index
	if how == "skip" {
		skipped, err = o.node.runner.Skip(ctx, p, ask.Projection, ask.Stream)
	} else {
		err = o.node.runner.Replay(ctx, p, ask.Projection, ask.Stream)
	}
	o.node.log.Info("quarantine", "how", how, "projection", ask.Projection, "stream", ask.Stream, "skipped", skipped, "err", err)
	if err != nil {
		return nil, refuse(http.StatusConflict, "still_held", "the stream stays in quarantine: %w", err)
	}
	return map[string]any{"projection": ask.Projection, "stream": ask.Stream, "released": true, "skipped": skipped}, nil
}

// passedOn marks a call that another node has passed on: it is not passed on again.
const passedOn = "passed_on"

// releaseElsewhere has the node release a stream that runs its partition's read models.
func (o *operator) releaseElsewhere(ctx context.Context, p domain.Partition, how string, ask *releaseAsk) (any, error) {
	name, ok := o.node.owners.Owner(p)
	if !ok {
		return nil, refuse(http.StatusServiceUnavailable, "nobody_serves", "no node runs partition %d", p)
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	return out, o.node.ask(ctx, name, http.MethodPost, "/api/quarantine/"+how+"?"+passedOn, body, &out)
}

func isHeld(all []runner.Quarantined, ask *releaseAsk, active int) bool {
	for _, q := range all {
		if q.Name == ask.Projection && q.Stream == ask.Stream && q.Version == active {
			return true
		}
	}
	return false
}

func quarantineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "quarantine", Short: "Streams that a read model could not apply: list them, try again, leave a commit out", Args: cobra.NoArgs, RunE: showHelp,
		Long: `A commit that a read model cannot apply puts its stream into quarantine there: nothing of it is lost or skipped, the rest goes on. It is a
fault in parley. After the fix, replay. When there is no fix and the stream must go on, skip leaves out the commit that cannot be applied, in
this read model's present version, for good; a rebuild meets it again.`,
		Example: `  parley quarantine list
  parley quarantine replay timeline 'demo#chat/d/ana/bob'
  parley quarantine skip timeline 'demo#chat/d/ana/bob'`,
	}
	adminFlags(cmd)
	list := &cobra.Command{
		Use: "list", Short: "List the streams in quarantine, and why", Args: cobra.NoArgs,
		Example: `  parley quarantine list
  parley quarantine list --format json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := adminFrom(cmd)
			if err != nil {
				return err
			}
			return listHeld(cmd, c)
		},
	}
	formatFlag(list)
	for _, c := range []struct{ how, short string }{
		{"replay", "Apply what waits, after a fix"},
		{"skip", "Leave out the commit that cannot be applied, and apply what waits behind it"},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: c.how + " PROJECTION STREAM", Short: c.short, Args: cobra.ExactArgs(2),
			Example: "  parley quarantine " + c.how + " timeline 'demo#chat/d/ana/bob'",
			RunE: func(cmd *cobra.Command, args []string) error {
				return callAndPrint(cmd, http.MethodPost, "/api/quarantine/"+c.how, releaseAsk{args[0], domain.StreamID(args[1])})
			},
		})
	}
	cmd.AddCommand(list)
	return cmd
}

func listHeld(cmd *cobra.Command, c *adminClient) error {
	var out struct {
		Quarantine []heldView `json:"quarantine"`
		Most       int        `json:"most_waiting"`
	}
	if err := c.call(contextOf(cmd), http.MethodGet, "/api/quarantine", nil, &out); err != nil {
		return err
	}
	if cmd.Flag("format").Value.String() == "json" {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(out.Quarantine)
	}
	if len(out.Quarantine) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "nothing is in quarantine")
		return err
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "projection\tversion\tpartition\toffset\tindex\twaiting\tstream\treason")
	for _, q := range out.Quarantine {
		waiting := fmt.Sprint(q.Waiting)
		if q.Waiting >= out.Most {
			waiting = fmt.Sprintf("%d or more", out.Most)
		}
		reason, _, _ := strings.Cut(q.Reason, "\n")
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", q.Projection, q.Version, q.Partition, q.Offset, q.Index, waiting, q.Stream, reason)
	}
	return errors.Join(t.Flush())
}
