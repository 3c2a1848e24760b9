package engines

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The jars of each engine, with pinned versions. A file's name is the engine's.
var (
	//go:embed kafka.xml
	kafkaPOM []byte
	//go:embed cassandra.xml
	cassandraPOM []byte
)

// javaMajor is the version of Java on which both engines run: Cassandra does not start on newer ones.
const javaMajor = 17

// Missing says what the machine lacks to run engines, and how to get it; nil when nothing is missing.
func Missing() error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return fmt.Errorf("Maven is missing, which fetches the engines' jars: on Debian, apt-get install maven: %w", err) //nolint:staticcheck // a name
	}
	_, err := java()
	return err
}

// java finds Java of the right version: JAVA_HOME's, the path's, or where Debian puts it.
func java() (string, error) {
	candidates := []string{filepath.Join(os.Getenv("JAVA_HOME"), "bin", "java")}
	if path, err := exec.LookPath("java"); err == nil {
		candidates = append(candidates, path)
	}
	debian, err := filepath.Glob("/usr/lib/jvm/*" + strconv.Itoa(javaMajor) + "*/bin/java")
	if err != nil {
		return "", err
	}
	for _, c := range append(candidates, debian...) {
		if major(c) == javaMajor {
			return c, nil
		}
	}
	return "", fmt.Errorf("Java %d is missing: on Debian, apt-get install openjdk-%d-jre-headless, or set JAVA_HOME", javaMajor, javaMajor) //nolint:staticcheck // a name
}

// major returns the version that a java command says, 0 when it is none.
func major(java string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(out), `version "`)
	n, _ := strconv.Atoi(rest[:max(strings.IndexAny(rest, `."`), 0)]) // 0: it says something else
	return n
}

// jars returns the folder with an engine's jars, and fetches them with Maven when they are not there yet.
func jars(ctx context.Context, engine string, pom []byte) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "parley-engines", engine)
	libs, stamp := filepath.Join(dir, "libs"), filepath.Join(dir, "fetched.xml")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == string(pom) {
		return libs, nil
	}
	if err := os.RemoveAll(libs); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "mvn", "-B", "-q", "-ntp", "-f", file, "dependency:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+libs)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch the jars of %s: %w\n%s", engine, err, out)
	}
	return libs, os.WriteFile(stamp, pom, 0o644)
}
