package shacrypt_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
)

// TestOpensslMakesTheSame of passwords of every length up to two blocks.
func TestOpensslMakesTheSame(t *testing.T) {
	const text = "Aa1é漢🔑 $'\"\\%:x"
	for length := 1; length < 140; length += 9 {
		password := strings.Repeat(text, 8)[:length]
		for flag, variant := range map[string]shacrypt.Variant{"-5": shacrypt.SHA256, "-6": shacrypt.SHA512} {
			cmd := exec.CommandContext(t.Context(), "openssl", "passwd", flag, "-salt", "saltsalt", "-stdin")
			cmd.Stdin = strings.NewReader(password + "\n")
			want, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			got := variant.Crypt([]byte(password), []byte("saltsalt"), shacrypt.DefaultRounds)
			if got != strings.TrimSpace(string(want)) || !shacrypt.Matches(got, []byte(password)) || shacrypt.Matches(got, []byte(password+"x")) {
				t.Errorf("%s of %d bytes: %s, want %s", flag, length, got, want)
			}
		}
	}
}

func TestSaltsDiffer(t *testing.T) {
	salt, err := shacrypt.Salt(strings.NewReader("\x00\x3f\x40\xff"), 4)
	if err != nil || string(salt) != ".z.z" {
		t.Errorf("%q, %v", salt, err)
	}
	if _, err := shacrypt.Salt(strings.NewReader(""), 4); err == nil {
		t.Error("a salt of nothing")
	}
}
