// Command rekey changes the passwords of two, two thousand or two million
// users, by a workflow script and a plugin for each system that holds them.
package main

import (
	"fmt"
	"os"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/launch"
)

func main() {
	harden()
	if len(os.Args) > 1 && os.Args[1] == "confine" {
		fmt.Fprintln(os.Stderr, launch.Confine(os.Args[2:])) // it returned, so it could not be
		os.Exit(host.ExitUsage)
	}
	if len(os.Args) > 1 && os.Args[1] == kitCommand {
		kit(os.Args[2:])
	}
	os.Exit(run(process{
		args: os.Args[1:], stdin: os.Stdin, stdout: results(os.Stdout), stderr: messages(os.Stderr),
		lookupEnv: os.LookupEnv, bundled: bundled(),
	}))
}
