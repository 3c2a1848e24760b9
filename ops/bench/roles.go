package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	"golang.org/x/sync/errgroup"
)

// RoleCPU is what one role of the server used, of all nodes together, as CPU profiles of the measured time have it.
type RoleCPU struct {
	Role  string
	CPU   time.Duration
	Where []Share // most first, a few
}

// Share is a part of a role's CPU.
type Share struct {
	Package string
	CPU     time.Duration
}

// fewShares is how many parts of a role are told.
const fewShares = 5

// roles takes CPU profiles of all nodes from then on and adds them up by role, most first.
func (p *process) roles(ctx context.Context, from time.Time, d time.Duration) ([]RoleCPU, error) {
	nodes := append([]*process{p}, p.others...)
	profiles := make([]*profile.Profile, len(nodes))
	g, ctx := errgroup.WithContext(ctx)
	for i, n := range nodes {
		g.Go(func() (err error) {
			if err := sleep(ctx, time.Until(from)); err != nil {
				return err
			}
			profiles[i], err = n.cpuProfile(ctx, d)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("bench: CPU by role: %w", err)
	}
	return byRole(profiles), nil
}

func (p *process) cpuProfile(ctx context.Context, d time.Duration) (got *profile.Profile, err error) {
	patient := process{admin: p.admin, http: &http.Client{Timeout: d + 20*time.Second}}
	defer patient.close()
	err = patient.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(int(d.Seconds()), 1)), func(r io.Reader) error {
		got, err = profile.Parse(r)
		return err
	})
	return got, err
}

// byRole adds up the samples of CPU profiles.
func byRole(profiles []*profile.Profile) []RoleCPU {
	where := map[string]map[string]time.Duration{}
	for _, p := range profiles {
		cpu := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == "cpu" })
		if cpu < 0 {
			continue
		}
		for _, s := range p.Sample {
			stack := functions(s)
			role := roleOf(s, stack)
			if where[role] == nil {
				where[role] = map[string]time.Duration{}
			}
			where[role][busyIn(stack)] += time.Duration(s.Value[cpu])
		}
	}
	out := make([]RoleCPU, 0, len(where))
	for role, packages := range where {
		r := RoleCPU{Role: role}
		for name, d := range packages {
			r.CPU += d
			r.Where = append(r.Where, Share{name, d})
		}
		slices.SortFunc(r.Where, func(a, b Share) int { return cmp.Or(cmp.Compare(b.CPU, a.CPU), cmp.Compare(a.Package, b.Package)) })
		r.Where = r.Where[:min(len(r.Where), fewShares)]
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b RoleCPU) int { return cmp.Or(cmp.Compare(b.CPU, a.CPU), cmp.Compare(a.Role, b.Role)) })
	return out
}

// functions returns the names of a sample's functions, the innermost first.
func functions(s *profile.Sample) (names []string) {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				names = append(names, line.Function.Name)
			}
		}
	}
	return names
}

// libraries have goroutines of their own that work for everybody, and have the label of whoever happened to be the first to need them.
var libraries = []struct{ prefix, role string }{
	{"github.com/segmentio/kafka-go", "kafka client"},
	{"github.com/gocql/gocql", "cassandra client"},
	{"github.com/cockroachdb/pebble", "pebble"},
	{"parley/storage/pebble", "pebble"},
	{"github.com/hashicorp/memberlist", "ring"},
	{"google.golang.org/grpc", "links"},
}

// roleOf says whose a sample is: the library's in whose function the goroutine began, else that of its label, else the Go runtime's.
func roleOf(s *profile.Sample, stack []string) string {
	label := func(name string) string { return strings.Join(s.Label[name], ",") }
	role := label("role")
	part := label("projection")
	if len(stack) > 0 {
		for _, l := range libraries {
			if strings.HasPrefix(stack[len(stack)-1], l.prefix) {
				role, part = l.role, label("pebble")
			}
		}
	}
	switch {
	case role == "":
		return "runtime"
	case part != "":
		return role + ": " + part
	default:
		return role
	}
}

// busyIn says what a sample was busy with: system calls, or the package of the innermost function that is not the runtime's. What the runtime
// does for nobody is told by its kind.
func busyIn(stack []string) string {
	for _, name := range stack {
		p := packageOf(name)
		switch leaf := packageOf(stack[0]); {
		case p == "runtime" || strings.HasPrefix(p, "internal/runtime/"):
		case leaf == "syscall" || strings.HasPrefix(leaf, "internal/runtime/syscall"):
			return "system calls"
		default:
			return p
		}
	}
	for _, name := range stack {
		switch strings.TrimPrefix(name, "runtime.") {
		case "gcBgMarkWorker", "gcBgMarkWorker.func2", "bgsweep", "bgscavenge":
			return "garbage collection"
		case "schedule", "findRunnable":
			return "scheduling"
		}
	}
	return "runtime"
}

// packageOf returns the package of a function's name. Pieces of assembly that have none belong to the runtime.
func packageOf(name string) string {
	name, _, _ = strings.Cut(name, "[")
	slash := strings.LastIndexByte(name, '/') + 1
	last, _, ok := strings.Cut(name[slash:], ".")
	if !ok {
		return "runtime"
	}
	return name[:slash] + last
}

// printRoles writes a line for each role: microseconds of a message, and where they go.
func printRoles(row func(format string, args ...any), roles []RoleCPU, process time.Duration, messages uint64) {
	var sum time.Duration
	for _, r := range roles {
		sum += r.CPU
	}
	perMessage := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(max(messages, 1)) }
	row("== CPU by role: profiles have %.1f us a message, the system counts %.1f", perMessage(sum), perMessage(process))
	row("ROLE\tUS A MESSAGE\tSHARE\tWHERE")
	for _, r := range roles {
		parts := make([]string, len(r.Where))
		for i, w := range r.Where {
			parts[i] = fmt.Sprintf("%s %.0f %%", w.Package, 100*float64(w.CPU)/float64(max(r.CPU, 1)))
		}
		row("%s\t%.1f\t%.1f %%\t%s", r.Role, perMessage(r.CPU), 100*float64(r.CPU)/float64(max(sum, 1)), strings.Join(parts, ", "))
	}
}
