// Command rekey changes the passwords of two, two thousand or two million
// users, by a workflow script and a plugin for each system that holds them.
package main

import (
	"os"
)

func main() {
	harden()
	os.Exit(run(process{
		args: os.Args[1:], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		lookupEnv: os.LookupEnv, bundled: bundled(),
	}))
}
