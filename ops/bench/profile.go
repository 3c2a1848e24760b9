package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// the longest profile: one of half a minute says as much as a longer one
const maxProfile = 30 * time.Second

// profileOfShort is how long a profile is of what takes as long as it takes: a storm, a log-in.
const profileOfShort = 5 * time.Second

// profile takes CPU, allocation, mutex and block profiles of the server from then on, if there is a folder for them. The function that it
// returns waits for them.
func (p *process) profile(ctx context.Context, from time.Time, d time.Duration) (wait func() error) {
	if p.profiles == "" {
		return func() error { return nil }
	}
	g, gctx := errgroup.WithContext(ctx)
	seconds := max(int(min(d, maxProfile).Seconds()), 1)
	for name, path := range map[string]string{"cpu": "profile", "allocs": "allocs", "mutex": "mutex", "block": "block"} {
		g.Go(func() error {
			if err := sleep(gctx, time.Until(from)); err != nil {
				return err
			}
			return p.fetch(gctx, fmt.Sprintf("/debug/pprof/%s?seconds=%d", path, seconds), filepath.Join(p.profiles, name+".pb.gz"))
		})
	}
	return g.Wait
}

// fetch writes what the server answers to a file.
func (p *process) fetch(ctx context.Context, path, file string) error {
	patient := process{admin: p.admin, http: &http.Client{Timeout: maxProfile + 20*time.Second}}
	defer patient.close()
	return patient.get(ctx, path, func(r io.Reader) error {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("bench: profile: %w", err)
		}
		f, err := os.Create(file)
		if err != nil {
			return fmt.Errorf("bench: profile: %w", err)
		}
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("bench: profile %s: %w", path, err)
		}
		return nil
	})
}
