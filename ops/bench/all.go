package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// AllConfig says which budgets are tried and against what.
type AllConfig struct {
	Target   *Target  // nil: each row has a server of its own
	Binary   string   // of those servers
	Dir      string   // where their folders are; empty: where temporary files go
	Profiles string   // folder for profiles, one below it for each row; empty: none
	Brief    bool     // a quick pass
	Only     []string // names of rows; empty: all
}

// rows returns the rows that are wanted.
func (c *AllConfig) rows() ([]Row, error) {
	var out []Row
	var names []string
	for _, r := range Rows(c.Brief) {
		names = append(names, r.Name)
		if len(c.Only) == 0 || slices.Contains(c.Only, r.Name) {
			out = append(out, r)
		}
	}
	for _, name := range c.Only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("only: there is no row %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return out, nil
}

// Outcome is what became of a row.
type Outcome struct {
	Name, Work string
	Took       time.Duration
	Figures    []Figure
	Failed     string `json:",omitempty"` // why the row could not be run
	Report     Report `json:",omitempty"`
}

// AllReport is budget and figure side by side.
type AllReport struct {
	Brief, Profiled bool
	Rows            []Outcome
}

// All runs the rows one after the other. What each has to say goes to log as it ends.
func All(ctx context.Context, cfg AllConfig, log io.Writer) (*AllReport, error) {
	rows, err := cfg.rows()
	if err != nil {
		return nil, err
	}
	r := &AllReport{Brief: cfg.Brief, Profiled: cfg.Profiles != ""}
	for _, row := range rows {
		if _, err := fmt.Fprintf(log, "\n== %s: %s\n", row.Name, row.Work); err != nil {
			return nil, err
		}
		o := Outcome{Name: row.Name, Work: row.Work}
		start := time.Now()
		if err := cfg.one(ctx, row, &o, log); err != nil {
			o.Failed = err.Error()
		}
		o.Took = time.Since(start)
		r.Rows = append(r.Rows, o)
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if o.Report != nil {
			if err := o.Report.Print(log); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// one runs a row.
func (c *AllConfig) one(ctx context.Context, row Row, o *Outcome, log io.Writer) (err error) {
	if c.Target != nil {
		return c.on(ctx, row, *c.Target, o, log)
	}
	s, err := StartServer(ctx, c.Binary, c.Dir)
	if err != nil {
		return err
	}
	err = c.on(ctx, row, s.Target, o, log)
	return errors.Join(err, s.Err(), s.Stop())
}

func (c *AllConfig) on(ctx context.Context, row Row, t Target, o *Outcome, log io.Writer) (err error) {
	if c.Profiles != "" {
		t.Profiles = filepath.Join(c.Profiles, row.Name)
	}
	o.Report, o.Figures, err = row.run(ctx, t, log)
	return err
}

// Err says which budgets were missed.
func (r *AllReport) Err() error {
	var errs []error
	for _, o := range r.Rows {
		if o.Failed != "" {
			errs = append(errs, fmt.Errorf("%s: could not be run", o.Name))
		}
		for _, f := range o.Figures {
			if !f.OK {
				errs = append(errs, fmt.Errorf("%s: %s: %s, budget %s", o.Name, f.Name, f.Value, f.Budget))
			}
		}
	}
	return errors.Join(errs...)
}

// Print writes the table.
func (r *AllReport) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...any) { _, _ = fmt.Fprintf(t, strings.Repeat("%v\t", len(cells)-1)+"%v\n", cells...) } // Flush reports errors
	row("WORK", "FIGURE", "BUDGET", "MEASURED", "")
	for _, o := range r.Rows {
		work := o.Work
		if o.Failed != "" {
			row(work, "", "", strings.SplitN(o.Failed, "\n", 2)[0], "MISSED")
			work = ""
		}
		for _, f := range o.Figures {
			verdict := "ok"
			if !f.OK {
				verdict = "MISSED"
			}
			row(work, f.Name, f.Budget, strings.ReplaceAll(f.Value, "\n", "; "), verdict)
			work = ""
		}
	}
	row("kill -9 under 300 msg/s", "", "none lost or doubled, serving in 2 s", "make crash", "")
	if r.Profiled {
		row("taken with profiles, which cost something", "", "", "", "")
	}
	return t.Flush()
}

// JSON writes the report for machines.
func (r *AllReport) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
