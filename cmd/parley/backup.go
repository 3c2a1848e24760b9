package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/domain"
	"parley/storage/pebble"
)

// backupFile is written last: a folder without it is no backup.
const backupFile = "backup.json"

// backupFormat is the number of the layout of a backup: the folders log and store, and the files that backup.json names.
const backupFormat = 1

// backupInfo is backup.json.
type backupInfo struct {
	Format   int              `json:"format"`
	Version  string           `json:"version"` // of parley
	Made     time.Time        `json:"made"`
	Data     string           `json:"data"`      // the folder it was made of
	Files    []string         `json:"files"`     // besides the folders log and store
	TokenKey string           `json:"token_key"` // the file with the key that signs tokens; empty: it is not in the backup
	At       []backupPosition `json:"at"`        // what was acknowledged when it began: all of it is inside
}

type backupPosition struct {
	Partition domain.Partition `json:"partition"`
	Index     domain.Index     `json:"index"`
	Offset    domain.Offset    `json:"offset"` // the next to be written
}

// backup is POST /api/backup {dir}: it makes the folder on the server's machine.
func (o *operator) backup(ctx context.Context, r *http.Request) (any, error) {
	var req struct {
		Dir string `json:"dir"`
	}
	if err := readAsk(r, &req); err != nil {
		return nil, err
	}
	select {
	case o.copying <- struct{}{}:
		defer func() { <-o.copying }()
	default:
		return nil, refuse(http.StatusConflict, "running", "a backup is being made already")
	}
	begin := time.Now()
	info, err := o.node.backup(ctx, req.Dir)
	if err != nil {
		o.node.log.Warn("no backup", "dir", req.Dir, "err", err)
		return nil, err
	}
	o.node.log.Info("backup made", "dir", req.Dir, "took_ms", time.Since(begin).Milliseconds())
	return map[string]any{"dir": req.Dir, "backup": info, "took_seconds": time.Since(begin).Seconds()}, nil
}

// backup copies the databases while they are used, and the files with keys. What fails leaves no folder.
func (n *node) backup(ctx context.Context, dir string) (info *backupInfo, err error) {
	log, logHere := n.logs.(*pebble.Log)
	store, storeHere := n.store.(*pebble.Store)
	if !logHere || !storeHere {
		return nil, refuse(http.StatusBadRequest, "bad_request",
			"a backup is of the embedded log and store; here they are %s and %s, which have tools of their own", n.cfg.Storage.Log, n.cfg.Storage.Tables)
	}
	if err := n.mayHold(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, refuse(http.StatusBadRequest, "bad_request", "%w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	info = &backupInfo{Format: backupFormat, Version: version(), Made: time.Now().UTC(), Data: n.cfg.Data, Files: []string{}, At: n.acknowledged()}
	// The store first. Its rows and checkpoints rest on what the log had acknowledged before they were written, so the log's copy, which is
	// younger, has all that they rest on; what it has beyond them is applied at the next start. The other way round checkpoints and cursors
	// could stand above the log's end, which halts.
	if err := store.Checkpoint(ctx, filepath.Join(dir, "store")); err != nil {
		return nil, err
	}
	if err := log.Checkpoint(ctx, filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	if err := n.copyKeys(dir, info); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return nil, err
	}
	return info, writePrivate(filepath.Join(dir, backupFile), append(text, '\n'))
}

// mayHold refuses folders that a backup must not be in.
func (n *node) mayHold(dir string) error {
	if !filepath.IsAbs(dir) {
		return refuse(http.StatusBadRequest, "bad_request", "dir: %q is not a path from the root", dir)
	}
	data, err := filepath.Abs(n.cfg.Data)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(data, dir); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return refuse(http.StatusBadRequest, "bad_request", "dir: %s is in the data folder", dir)
	}
	return nil
}

// acknowledged is how far each partition is.
func (n *node) acknowledged() []backupPosition {
	var out []backupPosition
	for _, at := range n.owners.Positions() {
		out = append(out, backupPosition{at.Partition, at.Index, at.Offset + 1})
	}
	return out
}

// copyKeys copies what else the data folder needs to be served from: the key of tokens, when it is in a file, and dev.json.
func (n *node) copyKeys(dir string, info *backupInfo) error {
	files := map[string]string{"dev.json": devFile(n.cfg.Data)}
	if n.cfg.TokenKey == "" {
		info.TokenKey = "token.key"
		files[info.TokenKey] = n.cfg.TokenKeyFile
		if n.cfg.TokenKeyFile == "" {
			files[info.TokenKey] = filepath.Join(n.cfg.Data, "token.key")
		}
	}
	for _, name := range []string{"dev.json", "token.key"} {
		if files[name] == "" {
			continue
		}
		text, err := os.ReadFile(files[name])
		if errors.Is(err, fs.ErrNotExist) && name == "dev.json" {
			continue
		}
		if err != nil {
			return err
		}
		if err := writePrivate(filepath.Join(dir, name), text); err != nil {
			return err
		}
		info.Files = append(info.Files, name)
	}
	return nil
}

func backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup DIR", Short: "Copy the embedded log and store of a running server into a new folder", Args: cobra.ExactArgs(1),
		Long: `Copy the embedded log and store of a running server, with the keys that lie beside them, into a new folder on the server's machine. Messages flow
meanwhile. All that was acknowledged before is inside. The folder holds secrets and everything that was said: it is its owner's alone.

On the same file system files that do not change any more are linked, which takes moments and hardly any room, and is no protection from a disk
that dies: copy the folder to another machine. Backups of Kafka and Cassandra are made with their own tools.

parley restore brings it back.`,
		Example: `  parley backup /backup/parley-2026-07-28
  parley backup /backup/now --admin http://127.0.0.1:9090 --key-file admin.key`,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			c, err := adminFrom(cmd)
			if err != nil {
				return err
			}
			c.patient = true
			var out struct {
				Backup backupInfo `json:"backup"`
				Took   float64    `json:"took_seconds"`
			}
			if err := c.call(contextOf(cmd), http.MethodPost, "/api/backup", map[string]any{"dir": dir}, &out); err != nil {
				return err
			}
			note := ""
			if out.Backup.TokenKey == "" {
				note = "The key that signs tokens is not in it: it is in the server's settings. Keep it elsewhere.\n"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: the backup is made, in %s\n%s", dir, seconds(out.Took), note)
			return err
		},
	}
	adminFlags(cmd)
	return cmd
}
