package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWhatAuthorsReadWorks runs every block of the authors' page, one after the other
// in one shell, in the directory of a stranger: outside this module, with nothing of it
// but the binary. npm copies what make packages installed.
func TestWhatAuthorsReadWorks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../plugins/README.md")
	must(t, err)
	dir := t.TempDir()
	tools := filepath.Join(dir, "tools")
	must(t, os.Mkdir(tools, 0o755))
	must(t, os.Symlink(binary, filepath.Join(tools, "rekey")))
	npm := "#!/bin/sh\n[ \"$*\" = install ] && cp -r " + absolute(t, "../../sdk/node/node_modules") + " .\n"
	must(t, os.WriteFile(filepath.Join(tools, "npm"), []byte(npm), 0o755))
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "REKEY_") && !strings.HasPrefix(entry, "PATH=") && !strings.HasPrefix(entry, "GO") {
			env = append(env, entry)
		}
	}
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE", "GOCACHE", "GOPROXY").Output()
	must(t, err)
	of := strings.Fields(string(cache))
	env = append(env, "PATH="+tools+":"+os.Getenv("PATH"), "HOME="+dir, "GOMODCACHE="+of[0], "GOCACHE="+of[1], "GOPROXY="+of[2], "SHOP_TOKEN=none")
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 6 {
		t.Fatalf("the page has %d blocks, want 6", len(blocks))
	}
	const end = "-- the end of a block --\n"
	whole := "exec 2>&1\n"
	for _, block := range blocks {
		whole += block[1] + "echo '" + strings.TrimSpace(end) + "'\n"
	}
	sh := exec.CommandContext(t.Context(), "/bin/bash", "-euo", "pipefail", "-c", whole)
	sh.Dir, sh.Env = dir, env
	out, err := sh.CombinedOutput()
	said := strings.Split(string(out), end)
	if err != nil || len(said) != len(blocks)+1 {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, block := range blocks {
		if strings.Contains(block[1], "plugin test") && !strings.Contains(said[i], " promises kept, 0 broken") {
			t.Errorf("%s\n%s", block[1], said[i])
		}
		if strings.Contains(block[1], "plugin call") && (!strings.Contains(said[i], "-> ApplyStream") || strings.Contains(said[i], "horse") || !strings.Contains(said[i], "accepted")) {
			t.Errorf("%s\n%s", block[1], said[i])
		}
	}
	if installed, _ := filepath.Glob(filepath.Join(dir, "plugins", ".rekey-plugin-shop-*", "*")); len(installed) == 0 || strings.Contains(strings.Join(installed, " "), "accounts.db") || strings.Contains(strings.Join(installed, " "), "settings.json") {
		t.Errorf("installed is %v: the program without accounts and settings is wanted", installed)
	}
}
