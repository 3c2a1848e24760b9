package deploy

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The image: a static binary on nothing, nobody's user, its data on a volume, and asked by itself whether it is well.
func TestDockerfile(t *testing.T) {
	file := text(t, "Dockerfile")
	stages := regexp.MustCompile(`(?m)^FROM `).Split(file, -1)
	require.Len(t, stages, 3)
	build, final := stages[1], stages[2]

	goVersion := regexp.MustCompile(`(?m)^wanted_go=(\S+)$`).FindStringSubmatch(text(t, "ops/setup"))[1]
	require.Contains(t, stages[0], "\nARG GO="+goVersion+"\n")
	require.True(t, strings.HasPrefix(build, "golang:${GO} AS build\n"))
	require.Contains(t, build, "CGO_ENABLED=0")
	require.Contains(t, build, "-tags timetzdata")
	require.Contains(t, build, " ./cmd/parley\n")

	require.True(t, strings.HasPrefix(final, "scratch\n"))
	require.Regexp(t, `(?m)^USER [1-9]\d*:[1-9]\d*$`, final)
	user := regexp.MustCompile(`(?m)^USER (\S+)$`).FindStringSubmatch(final)[1]
	require.Contains(t, final, "--chown="+user+" /out/data /data\n")
	require.Contains(t, final, "/etc/ssl/certs/ca-certificates.crt")
	require.Contains(t, final, "PARLEY_DATA=/data")
	require.Contains(t, final, `VOLUME ["/data"]`)
	require.Regexp(t, `(?m)^HEALTHCHECK .*CMD \["/parley", "health"\]$`, final)
	require.NotRegexp(t, `(?i)KEY|PASSWORD|SECRET`, strings.ReplaceAll(final, "HEALTHCHECK", ""))
}
