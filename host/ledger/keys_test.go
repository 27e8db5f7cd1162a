package ledger

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStateDirectoryHasRunsWhereItHasFilesOfSome(t *testing.T) {
	dir := t.TempDir()
	has := func(when string, want bool) {
		t.Helper()
		if got, err := HasRuns(dir); got != want || err != nil {
			t.Errorf("%s: HasRuns() = %v, %v", when, got, err)
		}
	}
	has("without a directory of runs", false)
	must(t, os.Mkdir(filepath.Join(dir, "runs"), 0o700))
	has("without a run", false)
	must(t, os.WriteFile(filepath.Join(dir, "runs", "r1.lock"), nil, 0o600))
	has("with a lock", false)
	must(t, os.WriteFile(filepath.Join(dir, "runs", "r1.db"), []byte("damaged"), 0o600))
	has("with a run that cannot be read", true)
}

// TestFileThatAgeCannotReadIsCalledWhatItIs, so that it is clear what to give.
func TestFileThatAgeCannotReadIsCalledWhatItIs(t *testing.T) {
	for text, want := range map[string]string{
		"ssh-ed25519 AAAA":                     notSSH,
		"ecdsa-sha2-nistp256 AAAA":             notSSH,
		"sk-ssh-ed25519@openssh.com AAAA":      notSSH,
		"-----BEGIN OPENSSH PRIVATE KEY-----":  notSSH,
		"-----BEGIN RSA PRIVATE KEY-----":      notSSH,
		"  \nssh-rsa AAAA":                     notSSH,
		"age-encryption.org/v1\n-> X25519":     "it is encrypted",
		"-----BEGIN AGE ENCRYPTED FILE-----\n": "it is encrypted",
		"AGE-PLUGIN-YUBIKEY-1":                 "age plugin, which is not supported",
		"my keys":                              "it is not a list (bad)",
		"":                                     "it is not a list (bad)",
		strings.Repeat("x", 1000):              "it is not a list (bad)",
	} {
		if got := notAge([]byte(text), errors.New("bad"), "a list"); !strings.Contains(got, want) {
			t.Errorf("%.30q: %q, want %q", text, got, want)
		}
	}
}

func TestIdentityThatCannotBeMadeIsNotMade(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for path, want := range map[string]struct{ made, fails bool }{
		filepath.Join(dir, "new", "identity.txt"): {true, false},
		file:                         {false, false}, // another process was faster
		filepath.Join(file, "x"):     {false, true},
		filepath.Join(dir, "\x00"):   {false, true},
		filepath.Join(dir, "\x00/x"): {false, true},
	} {
		if made, err := createIdentity(path); made != want.made || (err != nil) != want.fails {
			t.Errorf("createIdentity(%q) = %v, %v", path, made, err)
		}
	}
}

// TestAFileOfKeysMayBeAsLargeAsIsSaid, and no larger.
func TestAFileOfKeysMayBeAsLargeAsIsSaid(t *testing.T) {
	text, _, err := GenerateIdentity(time.Now())
	must(t, err)
	path := filepath.Join(t.TempDir(), "id")
	for more, want := range map[int]string{0: "", 1: "is larger than 1024 KiB"} {
		filled := append(slices.Clone(text), bytes.Repeat([]byte("#\n"), maxKeyFile)...)[:maxKeyFile+more]
		must(t, os.WriteFile(path, filled, 0o600))
		_, err := OpenKeys(path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bytes: %v, want %q", len(filled), err, want)
		}
	}
}
