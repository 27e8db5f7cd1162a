package ledger

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// everything leaves one of each file: a run with sealed cells and values, its
// write-ahead file, a draft under way, keys, notes of outputs. While it is
// open.
func everything(t bench, s *Store) (Keys, *Run) {
	t.Helper()
	k := newKeys(t, s)
	d, err := s.Draft(Header{Script: "test.star"}, k)
	must(t, err)
	must(t, d.Add(PlannedUser{Seq: 1, Line: 2, Key: "ann", Row: d.Seal("temporary", 1, secret.New(canary))}))
	r, err := d.Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	t.Cleanup(func() { r.Close() })
	rec := intent(r, 1, 1, 0, canary)
	rec.Verb, rec.SealedOld = "change", r.Seal(1, 1, 0, "old", secret.New(canary))
	done := outcome(1, 1, 0, sdk.Applied, "")
	done.Verb = "change"
	commit(t, r, rec, done, finished(1, journal.Done, ""), &journal.Record{Kind: journal.Ended, Detail: journal.Detail{State: journal.StateFinished}})
	must(t, s.Wrote("/out/passwords.csv", "digest", "report"))
	other, err := s.Draft(Header{Script: "other.star"}, k)
	must(t, err)
	t.Cleanup(func() { _ = other.Discard() })
	must(t, other.Add(PlannedUser{Seq: 1, Key: "bob", Row: other.Seal("temporary", 1, secret.New(canary))}))
	ro, err := s.Read(r.ID())
	must(t, err)
	t.Cleanup(func() { ro.Close() })
	_, err = ro.Counts()
	must(t, err)
	return k, r
}

// eachFile calls fn for every file below dir.
func eachFile(t bench, dir string, fn func(path string, info fs.FileInfo)) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fn(path, info)
		}
		return err
	}))
}

// umaskEnv names the state directory that a process under umask 000 fills.
const umaskEnv = "LEDGER_TEST_UMASK"

func TestNobodyElseMayReadAnythingUnderAnyUmask(t *testing.T) {
	if dir := os.Getenv(umaskEnv); dir != "" {
		s, err := Open(dir, Options{})
		must(t, err)
		everything(t, s)
		modes(t, dir)
		return
	}
	for _, mask := range []string{"000", "022", "077", "277"} {
		dir := filepath.Join(t.TempDir(), "deep", "state")
		cmd := exec.Command("sh", "-c", "umask "+mask+"; exec \"$0\" -test.run=^TestNobodyElseMayReadAnythingUnderAnyUmask$", os.Args[0])
		cmd.Env = append(os.Environ(), umaskEnv+"="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("umask %s: %v\n%s", mask, err, out)
			continue
		}
		modes(t, filepath.Dir(dir))
	}
}

func modes(t bench, dir string) {
	t.Helper()
	kinds := map[string]bool{}
	eachFile(t, dir, func(path string, info fs.FileInfo) {
		want := fs.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Fatalf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		kinds[filepath.Ext(path)] = true
	})
	for _, ext := range []string{".db", ".lock", ".key", ".txt", ".json"} {
		if !kinds[ext] {
			t.Fatalf("no file %s was made: the test shows nothing", ext)
		}
	}
}

// forms are the ways in which a text may leak.
func forms(text string) map[string][]byte {
	var wide []byte
	for _, u := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	quoted, _ := json.Marshal(text)
	raw := []byte(text)
	return map[string][]byte{
		"raw": raw, "JSON": bytes.Trim(quoted, `"`), "hex": []byte(hex.EncodeToString(raw)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(raw))),
		"URL": []byte(url.QueryEscape(text)), "UTF-16": wide,
		"base64 0": []byte(base64.RawStdEncoding.EncodeToString(raw)[:len(raw)*8/6]),
		"base64 1": []byte(base64.RawStdEncoding.EncodeToString(append([]byte{0}, raw...)))[2:12],
		"base64 2": []byte(base64.RawStdEncoding.EncodeToString(append([]byte{0, 0}, raw...)))[3:13],
	}
}

func TestSealedValueIsInNoFile(t *testing.T) {
	s := newStore(t)
	_, r := everything(t, s)
	dump := func(when string) {
		eachFile(t, s.Dir(), func(path string, info fs.FileInfo) {
			if info.IsDir() {
				return
			}
			text, err := os.ReadFile(path)
			must(t, err)
			for form, needle := range forms(canary) {
				if bytes.Contains(text, needle) {
					t.Errorf("%s: %s holds the value as %s", when, path, form)
				}
			}
		})
	}
	dump("while it is open")
	must(t, r.Close())
	dump("when it is closed")
}

func TestFormsAreFoundWhereTheyAre(t *testing.T) {
	text := []byte("xx" + canary + "yy")
	for _, coded := range [][]byte{text, []byte(hex.EncodeToString(text)), []byte(base64.StdEncoding.EncodeToString(text))} {
		found := false
		for _, needle := range forms(canary) {
			found = found || bytes.Contains(coded, needle)
		}
		if !found {
			t.Errorf("no form is in %q", coded)
		}
	}
}

func TestLengthOfAValueIsHidden(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 1)
	lengths := map[int]int{}
	for n := range 100 {
		v := secret.New(strings.Repeat("x", n))
		sealed := r.Seal(1, 1, 0, "value", v)
		lengths[len(sealed)]++
		got, err := r.Unseal(1, 1, 0, "value", sealed)
		must(t, err)
		if !got.Equal(v) {
			t.Fatalf("a value of %d bytes comes back as another", n)
		}
	}
	if len(lengths) != 4 {
		t.Fatalf("sealed lengths %v, want 4 different ones", lengths)
	}
}

func TestSealedValueOpensInItsPlaceOnly(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r, other := newRun(t, s, k, 1), newRun(t, s, k, 1)
	sealed := r.Seal(1, 2, 3, "value", secret.New("x"))
	if v, err := r.Unseal(1, 2, 3, "value", sealed); err != nil || v.Reveal() != "x" {
		t.Fatalf("Unseal() = %v", err)
	}
	for name, open := range map[string]func() (secret.Value, error){
		"another user": func() (secret.Value, error) { return r.Unseal(2, 2, 3, "value", sealed) },
		"another step": func() (secret.Value, error) { return r.Unseal(1, 1, 3, "value", sealed) },
		"another try":  func() (secret.Value, error) { return r.Unseal(1, 2, 2, "value", sealed) },
		"another role": func() (secret.Value, error) { return r.Unseal(1, 2, 3, "old", sealed) },
		"another run":  func() (secret.Value, error) { return other.Unseal(1, 2, 3, "value", sealed) },
		"a cut one":    func() (secret.Value, error) { return r.Unseal(1, 2, 3, "value", sealed[:20]) },
		"a flipped one": func() (secret.Value, error) {
			bad := bytes.Clone(sealed)
			bad[30] ^= 1
			return r.Unseal(1, 2, 3, "value", bad)
		},
	} {
		if v, err := open(); err == nil || v.Present() {
			t.Errorf("it opens for %s", name)
		}
	}
}

func TestForgottenKeyLeavesNoByte(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	for range 4 { // several recipients make the wrapped key longer than a page
		_, recipient, err := GenerateIdentity(s.now())
		must(t, err)
		more, err := parseRecipients([]string{recipient, recipient, recipient, recipient, recipient})
		must(t, err)
		k.Recipients = append(k.Recipients, more...)
	}
	r := newRun(t, s, k, 2)
	wrapped := wrappedOf(t, s, r.ID())
	if err := r.Forget(journal.Detail{}); err == nil {
		t.Fatal("Forget() of a run with pending users gave no error")
	}
	commit(t, r, intent(r, 1, 1, 0, canary), outcome(1, 1, 0, sdk.Applied, ""), finished(1, journal.Done, ""), finished(2, journal.Unresolved, ""))
	if err := r.Forget(journal.Detail{}); err == nil {
		t.Fatal("Forget() of a run with unknown users gave no error")
	}
	commit(t, r, &journal.Record{Kind: journal.Reopened, User: 2}, finished(2, journal.Failed, "X"))
	if n := keyBytes(t, s, wrapped); n == 0 {
		t.Fatal("the key is in no file before: the test shows nothing")
	}
	_, before, err := r.SignHead()
	must(t, err)
	must(t, r.Forget(journal.Detail{}))
	if n := keyBytes(t, s, wrapped); n != 0 {
		t.Fatalf("%d pieces of the key are still there", n)
	}
	forgotten(t, s, k, r)
	audited(t, s, r.ID(), before)
	must(t, r.Forget(journal.Detail{})) // again
	r = reopened(t, s, k, r)
	forgotten(t, s, k, r)
	if err := r.Commit([]*journal.Record{{Kind: journal.Reopened, User: 1}, {Kind: journal.Intent, User: 1, Step: 2, Verb: "set", Sealed: []byte("x")}}); err == nil {
		t.Fatal("an intent is taken although its value could not be sealed")
	}
}

// keyBytes counts the pieces of 16 bytes of the wrapped key in all files.
func keyBytes(t bench, s *Store, wrapped []byte) (n int) {
	eachFile(t, s.Dir(), func(path string, info fs.FileInfo) {
		if info.IsDir() {
			return
		}
		text, err := os.ReadFile(path)
		must(t, err)
		for i := 0; i+16 <= len(wrapped); i += 16 {
			n += bytes.Count(text, wrapped[i:i+16])
		}
	})
	return n
}

func forgotten(t *testing.T, s *Store, k Keys, r *Run) {
	t.Helper()
	ro, err := s.ReadWith(r.ID(), k)
	must(t, err)
	defer ro.Close()
	for _, r := range []*Run{r, ro} {
		u, err := r.User("user-1")
		must(t, err)
		c := Candidates(u.History)
		_, err = r.Unseal(1, c[0].Step, c[0].Try, "value", c[0].Sealed)
		if err == nil || !strings.Contains(err.Error(), "forgotten") {
			t.Fatalf("Unseal() = %v, want forgotten", err)
		}
	}
}

func TestForgetThatDiedBeforeTheEndIsCompletedByTheNextLock(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 1)
	commit(t, r, finished(1, journal.Done, ""))
	wrapped := wrappedOf(t, s, r.ID())
	must(t, r.writer.db.Within(func() error { return r.writer.destroyKey(journal.Detail{}) })) // and then it dies
	after := crashed(t, s)
	if keyBytes(t, after, wrapped) == 0 {
		t.Fatal("the key is gone already: the test shows nothing")
	}
	again, err := after.LockMoved(r.ID(), k)
	must(t, err)
	defer again.Close()
	if n := keyBytes(t, after, wrapped); n != 0 {
		t.Fatalf("%d pieces of the key are still there", n)
	}
}
