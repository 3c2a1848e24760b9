package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Cluster is nodes of one engine.
type Cluster struct {
	Nodes []*Node
	whole func(ctx context.Context) error // waits until they have found each other
}

// Addrs returns where clients connect.
func (c *Cluster) Addrs() []string {
	out := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		out[i] = n.Addr
	}
	return out
}

// Start starts the nodes that do not run, and waits until the cluster really serves.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.Nodes {
		if n.PID() != 0 {
			continue
		}
		if err := n.Start(); err != nil {
			return errors.Join(err, c.Kill())
		}
	}
	errs := make([]error, len(c.Nodes))
	var wg sync.WaitGroup
	for i, n := range c.Nodes {
		wg.Go(func() { errs[i] = n.Ready(ctx) })
	}
	wg.Wait()
	err := errors.Join(errs...)
	if err == nil && c.whole != nil {
		err = c.whole(ctx)
	}
	if err != nil {
		return errors.Join(err, c.Kill())
	}
	return nil
}

// Kill ends all nodes at once.
func (c *Cluster) Kill() error { return c.each((*Node).Kill) }

// Stop asks all nodes to end.
func (c *Cluster) Stop() error { return c.each((*Node).Stop) }

func (c *Cluster) each(do func(*Node) error) error {
	errs := make([]error, len(c.Nodes))
	var wg sync.WaitGroup
	for i, n := range c.Nodes {
		wg.Go(func() { errs[i] = do(n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// StopAll stops whatever runs in a folder in which clusters were started.
func StopAll(dir string) (stopped int, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	pids, err := filepath.Glob(filepath.Join(dir, "*", "pid"))
	if err != nil {
		return 0, err
	}
	c := &Cluster{}
	for _, p := range pids {
		n := &Node{dir: filepath.Dir(p)}
		if n.PID() != 0 {
			c.Nodes = append(c.Nodes, n)
		}
	}
	return len(c.Nodes), c.Stop()
}

// folder makes a node's folder.
func folder(dir, name string, sub ...string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	abs, err = filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", fmt.Errorf("the folder's parent: %w", err)
	}
	at := filepath.Join(abs, filepath.Base(dir), name)
	for _, s := range append(sub, "") {
		if err := os.MkdirAll(filepath.Join(at, s), 0o755); err != nil {
			return "", err
		}
	}
	return at, nil
}
