package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// ran runs a command in this process.
func ran(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	root := rootCommand()
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(args)
	require.NoError(t, root.ExecuteContext(t.Context()))
	return out.String()
}

func TestVersion(t *testing.T) {
	require.Regexp(t, `^parley \S+ go1\.\d+\S*\n$`, ran(t, "version"))
	require.Equal(t, ran(t, "version"), ran(t, "--version"))
	out, _, code := command(t, nil, "version")
	require.Zero(t, code)
	require.Regexp(t, `^parley \S+ go1\.\d+\S*\n$`, out)
}

// each walks all commands.
func each(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		each(sub, visit)
	}
}

func TestHelpHasExamplesThatAreRight(t *testing.T) {
	each(rootCommand(), func(c *cobra.Command) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			require.NotEmpty(t, c.Short)
			require.NotEmpty(t, c.Example)
			require.Contains(t, ran(t, append(strings.Fields(c.CommandPath())[1:], "--help")...), "Examples:")
			for line := range strings.Lines(c.Example) {
				words := strings.Fields(line)
				for len(words) > 0 && strings.HasPrefix(words[0], "PARLEY_") {
					words = words[1:]
				}
				require.Equal(t, "parley", words[0], line)
				named, rest, err := rootCommand().Find(words[1:])
				require.NoError(t, err, line)
				require.True(t, named.Runnable(), line)
				require.NoError(t, named.ParseFlags(rest), line)
			}
		})
	})
}

func TestShellCompletion(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "__start_parley", "zsh": "#compdef parley", "fish": "complete -c parley", "powershell": "Register-ArgumentCompleter",
	} {
		t.Run(shell, func(t *testing.T) {
			out, _, code := command(t, nil, "completion", shell)
			require.Zero(t, code)
			require.Contains(t, out, want)
		})
	}
	for _, c := range []struct{ typed, want string }{
		{"", "serve config app token bench version completion"},
		{"app ", "create list delete"},
		{"serve --log.", "--log.level --log.format"},
		{"serve --log.level ", "debug info warn error"},
		{"serve --log.format ", "auto text json"},
	} {
		t.Run("after "+c.typed, func(t *testing.T) {
			out := ran(t, append([]string{"__complete"}, strings.Split(c.typed, " ")...)...)
			for want := range strings.FieldsSeq(c.want) {
				require.Contains(t, out, want)
			}
		})
	}
}
