package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// minKey is the least length of the key that signs tokens.
const minKey = 32

// tokenKey returns the key that signs tokens. Under --dev it is made on the first start.
func (c *config) tokenKey() ([]byte, error) {
	text, from := string(c.TokenKey), "token_key"
	if text == "" {
		file := c.TokenKeyFile
		if file == "" && c.Dev {
			file = filepath.Join(c.Data, "token.key")
			if err := makeKeyFile(file); err != nil {
				return nil, err
			}
		}
		from = "token_key_file"
		b, err := readPrivate(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		text = strings.TrimSpace(string(b))
	}
	key, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%s: not hexadecimal", from)
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("%s: %d bytes, must be at least %d", from, len(key), minKey)
	}
	return key, nil
}

// readPrivate reads a file that nobody else may read.
func readPrivate(name string) ([]byte, error) {
	if err := private(name); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

// private says what is wrong with a file that holds a secret.
func private(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o): chmod 600", name, info.Mode().Perm())
	}
	return nil
}

// makeKeyFile makes the key unless there is one. The caller holds the data folder's lock.
func makeKeyFile(name string) error {
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writePrivate(name, []byte(randomHex(minKey)+"\n")); err != nil {
		return fmt.Errorf("make the token key: %w", err)
	}
	return nil
}

// writePrivate replaces a file in one step, so that whoever waits for it reads it whole, and a power cut leaves the old or the new one.
func writePrivate(name string, content []byte) (err error) {
	tmp := name + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// randomHex returns n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b)
}

// devInfo is dev.json: what one needs to connect to a development server.
type devInfo struct {
	App          string `json:"app"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	REST         string `json:"rest"`
	WS           string `json:"ws"`
	Admin        string `json:"admin"`
	AdminKey     string `json:"admin_key"`
}

func devFile(data string) string { return filepath.Join(data, "dev.json") }

// readDev reads dev.json; an empty one when there is none yet.
func readDev(data string) (devInfo, error) {
	var d devInfo
	b, err := readPrivate(devFile(data))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("dev.json: %w", err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("dev.json: %w", err)
	}
	return d, nil
}

// write replaces dev.json.
func (d *devInfo) write(data string) error {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if err := writePrivate(devFile(data), append(b, '\n')); err != nil {
		return fmt.Errorf("dev.json: %w", err)
	}
	return nil
}
