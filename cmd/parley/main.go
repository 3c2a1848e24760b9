// Command parley is the one binary: it serves, and it manages, measures and inspects what is served.
//
// Here is wiring and configuration only. Packages declare what they need; this one gives them each other and the storage.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := rootCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "parley: "+err.Error())
		os.Exit(1)
	}
}
