package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"parley/domain"
)

// nodeView is a node as operators see it.
type nodeView struct {
	Node       domain.NodeName `json:"node"`
	State      string          `json:"state"` // alone, starting, serving, draining
	Number     int             `json:"number"`
	RPC        string          `json:"rpc,omitempty"`
	Started    time.Time       `json:"started,omitzero"`
	Ready      bool            `json:"ready"`
	Reasons    []string        `json:"reasons,omitempty"`
	Sockets    int             `json:"sockets"`
	Partitions []shardView     `json:"partitions,omitempty"` // whose shards run there
	Error      string          `json:"error,omitempty"`      // why it could not be asked
}

// shardView is a partition where its shard runs.
type shardView struct {
	Partition domain.Partition  `json:"partition"`
	Owned     bool              `json:"owned"`
	Term      domain.Term       `json:"term"`
	Index     domain.Index      `json:"index"`
	Offset    domain.Offset     `json:"offset"`
	Tail      int               `json:"tail"`             // commits after the checkpoint
	Behind    map[string]uint64 `json:"behind,omitempty"` // commits that read models have not applied; those that have are left out
}

// clusterView is GET /api/cluster.
type clusterView struct {
	Nodes   []nodeView         `json:"nodes"`
	Unowned []domain.Partition `json:"unowned"` // partitions that nobody says to own
}

// view says how this node is.
func (n *node) view() nodeView {
	v := nodeView{Node: n.cfg.Cluster.name(), State: "alone", Number: int(n.number()), Sockets: n.gateway.Sessions()}
	if n.cluster != nil {
		self := n.cluster.ring.Self()
		v.State, v.RPC, v.Started = self.State.String(), self.RPC, time.UnixMicro(int64(self.Life)).UTC()
	}
	if err := n.readiness(); err != nil {
		v.Reasons = strings.Split(err.Error(), "\n")
	} else {
		v.Ready = true
	}
	behind := make(map[domain.Partition]map[string]uint64)
	for _, s := range n.runner.Statuses() {
		if late := s.Behind(); s.Active && late > 0 {
			if behind[s.Partition] == nil {
				behind[s.Partition] = make(map[string]uint64)
			}
			behind[s.Partition][s.Name] = late
		}
	}
	for _, p := range n.owners.Partitions() {
		at, here := n.owners.Position(p)
		if !here {
			continue
		}
		_, owns := n.owners.Here(p)
		v.Partitions = append(v.Partitions, shardView{
			Partition: p, Owned: owns, Term: at.Term, Index: at.Index, Offset: at.Offset, Tail: n.owners.Tail(p), Behind: behind[p],
		})
	}
	return v
}

func (o *operator) viewNode(context.Context, *http.Request) (any, error) { return o.node.view(), nil }

// askLimit is how long a node may take to say how it is.
const askLimit = 3 * time.Second

// viewCluster is GET /api/cluster: what every node says of itself, asked at the same time.
func (o *operator) viewCluster(ctx context.Context, _ *http.Request) (any, error) {
	nodes := o.node.eachNode(ctx, func(ctx context.Context, name domain.NodeName) nodeView {
		v := nodeView{Node: name, State: "unknown"}
		if err := o.node.ask(ctx, name, http.MethodGet, "/api/node", nil, &v); err != nil {
			v.Error = err.Error()
		}
		return v
	})
	owned := make(map[domain.Partition]bool)
	for i := range nodes {
		for _, s := range nodes[i].Partitions {
			owned[s.Partition] = owned[s.Partition] || s.Owned
		}
	}
	view := clusterView{Nodes: nodes, Unowned: []domain.Partition{}}
	for _, p := range o.node.owners.Partitions() {
		if !owned[p] {
			view.Unowned = append(view.Unowned, p)
		}
	}
	return view, nil
}

// eachNode asks all nodes that live, this one included, at the same time, and returns the answers in the order of their names.
func (n *node) eachNode(ctx context.Context, ask func(context.Context, domain.NodeName) nodeView) []nodeView {
	if n.cluster == nil {
		return []nodeView{n.view()}
	}
	members := n.cluster.ring.Members()
	out := make([]nodeView, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			if m.Name == n.cluster.self.Name {
				out[i] = n.view()
				return
			}
			ctx, cancel := context.WithTimeout(ctx, askLimit)
			defer cancel()
			out[i] = ask(ctx, m.Name)
		})
	}
	wg.Wait()
	return out
}

// ask runs a call of the operator's API on another node.
func (n *node) ask(ctx context.Context, name domain.NodeName, method, path string, body []byte, out any) error {
	status, answer, err := n.cluster.peers.Operate(ctx, name, method, path, body)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		var e struct {
			Code        string `json:"error"`
			Description string `json:"error_description"`
		}
		_ = json.Unmarshal(answer, &e) // what it does not say, the status does
		return &httpError{status, e.Code, errors.New(e.Description)}
	}
	return json.Unmarshal(answer, out)
}

func clusterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cluster", Short: "Show the nodes, and who owns which partition", Args: cobra.NoArgs,
		Long: `Show the nodes of a cluster as each says of itself: state, sockets, and the partitions whose shards run there, with term, index, offset,
commits after the checkpoint (tail), and how far read models are behind. Any node can be asked.`,
		Example: `  parley cluster
  parley cluster --partitions
  parley cluster --json --admin http://10.0.0.5:9090 --key-file admin.key`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := adminFrom(cmd)
			if err != nil {
				return err
			}
			var v clusterView
			if err := c.call(contextOf(cmd), http.MethodGet, "/api/cluster", nil, &v); err != nil {
				return err
			}
			asJSON, err := cmd.Flags().GetBool("json")
			if err != nil {
				return err
			}
			all, err := cmd.Flags().GetBool("partitions")
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(v)
			}
			return v.print(cmd.OutOrStdout(), all)
		},
	}
	adminFlags(cmd)
	cmd.Flags().Bool("json", false, "print JSON")
	cmd.Flags().Bool("partitions", false, "print every partition")
	return cmd
}

// print writes tables for people.
func (v *clusterView) print(w io.Writer, partitions bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tSTATE\tREADY\tSOCKETS\tOWNED\tTAIL\tBEHIND\tSTARTED")
	for i := range v.Nodes {
		n := &v.Nodes[i]
		owned, tail, behind := n.sum()
		ready := "yes"
		if !n.Ready {
			ready = "no: " + strings.Join(append(slices.Clone(n.Reasons[:min(1, len(n.Reasons))]), n.Error), " ")
		}
		started := ""
		if !n.Started.IsZero() {
			started = n.Started.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", n.Node, n.State, strings.TrimSpace(ready), n.Sockets, owned, tail, behind, started)
	}
	if partitions {
		fmt.Fprintln(t, "\nPARTITION\tNODE\tOWNED\tTERM\tINDEX\tOFFSET\tTAIL\tBEHIND")
		for _, r := range v.rows() {
			fmt.Fprintf(t, "%d\t%s\t%t\t%d\t%d\t%d\t%d\t%s\n", r.Partition, r.node, r.Owned, r.Term, r.Index, r.Offset, r.Tail, late(r.Behind))
		}
	}
	if len(v.Unowned) > 0 {
		fmt.Fprintf(t, "\nnobody owns %v\n", v.Unowned)
	}
	return t.Flush()
}

// sum adds up what a node owns.
func (v *nodeView) sum() (owned, tail int, behind uint64) {
	for _, s := range v.Partitions {
		if s.Owned {
			owned++
		}
		tail += s.Tail
		for _, n := range s.Behind {
			behind += n
		}
	}
	return owned, tail, behind
}

// placedShard is a partition and the node where its shard runs.
type placedShard struct {
	shardView
	node domain.NodeName
}

func (v *clusterView) rows() (out []placedShard) {
	for i := range v.Nodes {
		for _, s := range v.Nodes[i].Partitions {
			out = append(out, placedShard{s, v.Nodes[i].Node})
		}
	}
	slices.SortStableFunc(out, func(a, b placedShard) int { return int(a.Partition) - int(b.Partition) })
	return out
}

func late(behind map[string]uint64) string {
	if len(behind) == 0 {
		return "-"
	}
	names := make([]string, 0, len(behind))
	for name, n := range behind {
		names = append(names, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
