// Command rekey-backend-MODE is wrong in the way that its own name says: one program
// under many names. What it gives an account is kept, as a hash, in a directory,
// so that a test can tell what it claims from what it did.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() {
	mode := strings.TrimPrefix(filepath.Base(os.Args[0]), "rekey-backend-")
	if len(os.Args) > 1 && os.Args[1] != "serve" {
		called(os.Args[1])
	}
	if speak, ok := starts()[mode]; ok {
		speak()
		select {}
	}
	if plugin, ok := raws(mode)[mode]; ok {
		plugin.serve()
		return
	}
	wrong, ok := faults()[mode]
	if !ok {
		fmt.Fprintln(os.Stderr, "there is no mode "+mode)
		os.Exit(2)
	}
	serve.Main(&backend{mode: mode, fault: wrong})
}

// called does what an argument asks for.
func called(what string) {
	if what == "linger" {
		select {}
	}
	for _, modes := range []any{starts(), raws(""), faults()} {
		for _, mode := range reflect.ValueOf(modes).MapKeys() {
			fmt.Println(mode)
		}
	}
	os.Exit(0)
}

// accounts is the target: a file an account.
type accounts string

// set gives an account a value.
func (a accounts) set(account string, value secret.Value) {
	path := filepath.Join(string(a), account)
	err := os.WriteFile(path+".new", []byte(hash(value)), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path) // a plugin may end at any moment
	}
	if err != nil {
		panic(err)
	}
}

// has reports whether an account has the value.
func (a accounts) has(account string, value secret.Value) bool {
	text, err := os.ReadFile(filepath.Join(string(a), account))
	return err == nil && string(text) == hash(value)
}

// first reports whether it is asked for a name for the first time, by any process.
func (a accounts) first(name string) bool {
	file, err := os.OpenFile(filepath.Join(string(a), "."+name), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	_ = file.Close()
	return true
}

func hash(value secret.Value) string {
	sum := sha256.Sum256([]byte(value.Reveal()))
	return hex.EncodeToString(sum[:])
}

// starts are the modes that never get as far as a call.
func starts() map[string]func() {
	say := func(line string) func() { return func() { fmt.Println(line) } }
	return map[string]func(){
		"old-protocol":       say("1|0|unix|/tmp/x|grpc|Zm9v"),
		"new-protocol":       say("1|2|unix|/tmp/x|grpc|Zm9v"),
		"other-core":         say("2|1|unix|/tmp/x|grpc|Zm9v"),
		"netrpc":             say("1|1|unix|/tmp/x|netrpc|Zm9v"),
		"no-certificate":     say("1|1|unix|/tmp/x|grpc|"),
		"rubbish-for-a-cert": say("1|1|unix|/tmp/x|grpc|Zm9v"),
		"welcome":            say("Welcome to ACME 2000"),
		"no-handshake":       func() {},
		"words-and-exit": func() {
			fmt.Fprintln(os.Stderr, "cannot find \x1b[31mlibfoo.so.3")
			os.Exit(3)
		},
		"exits-at-once":     func() { os.Exit(0) },
		"panics-at-once":    func() { panic("nothing works") },
		"endless-on-stdout": func() { endless(os.Stdout) },
	}
}

// endless writes until nobody reads it.
func endless(to *os.File) {
	line := []byte(strings.Repeat("x", 1<<16))
	for {
		if _, err := to.Write(line); err != nil {
			return
		}
	}
}
