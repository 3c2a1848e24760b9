package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:     "parley",
		Version: version(),
		Short:   "A self-hosted messaging backend that speaks the protocol of the Agora Chat and Easemob SDKs",
		Example: `  parley serve --dev                       one process, everything embedded, on loopback
  parley token --app demo#chat --user ana  a token to log in with
  parley config --config parley.yaml       what would be in force`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("parley {{.Version}}\n")
	root.AddCommand(serveCommand(), migrateCommand(), healthCommand(), configCommand(), appCommand(), tokenCommand(), benchCommand(), versionCommand())
	root.AddCommand(clusterCommand(), logCommand(), rebuildCommand(), quarantineCommand(), backupCommand(), restoreCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs, Example: "  parley version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "parley "+version())
			return err
		},
	}
}

// version is that of the module, or of the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v + " " + info.GoVersion
}

// configFlags adds the flags that serve and config share.
func configFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.String("config", os.Getenv("PARLEY_CONFIG"), "configuration file (YAML, TOML or JSON)")
	f.Bool("dev", false, "make what is missing (data, keys, the app demo#chat) and open it to every origin; for development")
	f.String("data", "parley-data", "folder of the embedded log and store")
	f.String("listen", "127.0.0.1:8080", "address of REST and WebSocket; port 0 takes a free one")
	f.String("admin", "127.0.0.1:9090", "address of metrics, health, profiles and the admin API")
	f.String("log.level", "info", "debug, info, warn or error")
	f.String("log.format", "auto", "auto (text on a terminal, else JSON), text or json")
	completed(cmd, "log.level", logLevels)
	completed(cmd, "log.format", logFormats)
	must(cmd.MarkFlagFilename("config", "yaml", "yml", "toml", "json"))
	must(cmd.MarkFlagDirname("data"))
}

// completed makes shells offer the values of a flag.
func completed(cmd *cobra.Command, flag string, values []string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// must is for what can only fail when a flag's name is misspelt here.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func configFrom(cmd *cobra.Command) (config, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return config{}, err
	}
	return loadConfig(cmd.Flags(), file)
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Print the configuration in force, secrets hidden", Args: cobra.NoArgs,
		Example: `  parley config --dev
  PARLEY_GATEWAY_WINDOW=40 parley config --config parley.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configFrom(cmd)
			if err != nil {
				return fmt.Errorf("the configuration is wrong:\n%w", err)
			}
			out, err := yaml.Marshal(c.tree())
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	configFlags(cmd)
	return cmd
}
