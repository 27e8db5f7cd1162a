package leaktest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const canary = "c\"a\\n%y é1Xq7"

// TestTheOracleCanFail has every way of leaking, and every piece of six bytes.
func TestTheOracleCanFail(t *testing.T) {
	f := New(canary)
	for from := range canary {
		for to := from + Piece; to <= len(canary); to++ {
			piece := canary[from:to]
			if strings.ToValidUTF8(piece, "") != piece {
				continue
			}
			for form, text := range map[string]string{
				"raw": piece, "upper": strings.ToUpper(piece), "lower": strings.ToLower(piece), "quoted": strconv.Quote(piece), "URL": url.QueryEscape(piece),
				"quoted URL": strconv.Quote(url.QueryEscape(piece)), "reversed": reversed(piece), "bytes": fmt.Sprintf("%d", []byte(piece)),
				"hex": hex.EncodeToString([]byte(piece)), "% x": fmt.Sprintf("% X", piece), "in base64": base64.StdEncoding.EncodeToString([]byte("x" + piece + "yz")),
				"base64": base64.URLEncoding.EncodeToString([]byte(piece)),
			} {
				if f.Find([]byte("before "+text+" after")) == "" {
					t.Errorf("%q, %s: %q is not seen", piece, form, text)
				}
			}
		}
	}
}

func TestTheOracleSeesNothingThatIsNotThere(t *testing.T) {
	f := New(canary, "l\"o\\g%i é9Zw3")
	for _, text := range []string{"", "c", "c\"a\\n", "Xq7", "[redacted]", "é1Xq"} {
		if form := f.Find([]byte(text)); form != "" {
			t.Errorf("%q: %s", text, form)
		}
	}
	random := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, 8<<20)
	_, _ = random.Read(noise)
	for name, text := range map[string][]byte{"bytes": noise, "base64": []byte(base64.StdEncoding.EncodeToString(noise)), "hex": []byte(hex.EncodeToString(noise))} {
		if form := f.Find(text); form != "" {
			t.Errorf("%s by chance: %s", name, form)
		}
	}
}

// TestNoPieceOccursByAccident reads the project's own texts, but for the tests,
// which name canaries.
func TestNoPieceOccursByAccident(t *testing.T) {
	f := New(canary, "l\"o\\g%i é9Zw3")
	files := 0
	for _, pattern := range []string{"../../*.md", "../../host/*/*.go", "../../sdk/*.go", "../../cmd/rekey/*.go", "../../plugins/*/*.go", "../../scripts/*.star"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files++
			if form := f.Find(text); form != "" {
				t.Errorf("%s: %s", name, form)
			}
		}
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}

func BenchmarkFind(b *testing.B) {
	f := New(canary, "l\"o\\g%i é9Zw3")
	text := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(text)
	b.SetBytes(int64(len(text)))
	for range b.N {
		f.Find(text)
	}
}
