package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"parley/domain"
	"parley/domain/fence"
	"parley/ingest/shard"
	"parley/projections"
	"parley/projections/runner"
	"parley/storage/pebble"
)

func restoreCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "restore BACKUP", Short: "Make a data folder of a backup, and check it", Args: cobra.ExactArgs(1),
		Long: `Copy a backup into a new data folder and check what is there: the log as parley log verify does, that it has all that was acknowledged when the
backup was made, and that the store's checkpoints stand where the log has been. No server may run on the folder; the one that is lost must
not come back beside it.

What was acknowledged after the backup is gone. Clients that saw it keep it on their devices. Rows that the store lacks are made again from the
log at the next start.`,
		Example: `  parley restore /backup/parley-2026-07-28 --data /var/lib/parley`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := contextOf(cmd)
			out := bufio.NewWriter(cmd.OutOrStdout())
			info, err := readBackup(args[0])
			if err != nil {
				return err
			}
			if err := copyBackup(args[0], data, info); err != nil {
				return err
			}
			if err := checkRestored(ctx, data, info, out); err != nil {
				return fmt.Errorf("%s was copied, but do not serve from it: %w", data, err)
			}
			fmt.Fprintf(out, "%s is ready to be served from: it was made at %s\n", data, info.Made.Format("2006-01-02 15:04:05 MST"))
			return out.Flush()
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "the folder to make; it must be empty, or not be there")
	must(cmd.MarkFlagRequired("data"))
	must(cmd.MarkFlagDirname("data"))
	return cmd
}

// readBackup reads backup.json.
func readBackup(dir string) (*backupInfo, error) {
	text, err := os.ReadFile(filepath.Join(dir, backupFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no backup, or was not finished: it has no %s", dir, backupFile)
	}
	if err != nil {
		return nil, err
	}
	info := &backupInfo{}
	if err := json.Unmarshal(text, info); err != nil {
		return nil, fmt.Errorf("%s: %w", backupFile, err)
	}
	if info.Format != backupFormat {
		return nil, fmt.Errorf("%s has format %d, this parley knows %d", backupFile, info.Format, backupFormat)
	}
	return info, nil
}

// copyBackup copies folders and files, never links: the backup must not change when the folder is used.
func copyBackup(from, to string, info *backupInfo) error {
	entries, err := os.ReadDir(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: a backup is brought back into a new folder", to)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"log", "store"} {
		if err := copyFolder(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	for _, name := range info.Files {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s names %q", backupFile, name)
		}
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := writePrivate(filepath.Join(to, name), text); err != nil {
			return err
		}
	}
	return nil
}

// copyFolder copies a database's folder, which has no folders in it.
func copyFolder(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	dir, err := os.Open(to)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// checkRestored looks at the databases without changing them.
func checkRestored(ctx context.Context, data string, info *backupInfo, out sink) error {
	log, err := pebble.OpenLog(filepath.Join(data, "log"), pebble.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	store, err := pebble.OpenStore(filepath.Join(data, "store"), pebble.Options{ReadOnly: true})
	if err != nil {
		return errors.Join(err, log.Close())
	}
	n := &node{logs: log, store: store, log: slog.New(slog.DiscardHandler)}
	v, err := n.openView(ctx)
	if err == nil {
		err = v.checkBackup(ctx, store, info, out)
	}
	return errors.Join(err, n.close())
}

// saved is a place that something in the store has reached.
type saved struct {
	of string
	at fence.Reader
}

func (v *logView) checkBackup(ctx context.Context, store *pebble.Store, info *backupInfo, out sink) error {
	r, err := runner.New(ctx, store, projections.Kinds(), runner.DefaultSettings(), runner.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	acknowledged := map[domain.Partition]domain.Index{}
	for _, at := range info.At {
		acknowledged[at.Partition] = at.Index
	}
	var all []*verified
	for _, p := range v.partitions {
		places, err := savedPlaces(ctx, store, r, p)
		if err != nil {
			return err
		}
		found, err := v.verify(ctx, p, 0, places...)
		if err != nil {
			return err
		}
		if found.Broken != "" {
			return fmt.Errorf("%w: partition %d: %s", errBroken, p, found.Broken)
		}
		if found.Index < acknowledged[p] {
			return fmt.Errorf("partition %d ends with commit %d, %d were acknowledged when the backup was made", p, found.Index, acknowledged[p])
		}
		all = append(all, found)
	}
	return summary(all, out)
}

// savedPlaces returns the places of a partition's checkpoints.
func savedPlaces(ctx context.Context, store tableStorage, r *runner.Runner, p domain.Partition) ([]saved, error) {
	state, err := shard.SavedPlace(ctx, store, p)
	if err != nil {
		return nil, err
	}
	models, err := r.SavedPlaces(ctx, p)
	if err != nil {
		return nil, err
	}
	out := []saved{{"the state's checkpoint", state}}
	for name, at := range models {
		out = append(out, saved{"the checkpoint of " + name, at.Reader})
	}
	return out, nil
}
