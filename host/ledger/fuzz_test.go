package ledger

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// edits applies what a fuzzer drew to a text: three bytes an edit, the place
// in two of them, as a part of the whole, and what is done there.
func edits(text []byte, drawn []byte) []byte {
	out := bytes.Clone(text)
	for ; len(drawn) >= 3 && len(out) > 0; drawn = drawn[3:] {
		at := (int(drawn[0])<<8 | int(drawn[1])) * len(out) >> 16
		switch what := drawn[2]; {
		case what < 8:
			out[at] ^= 1 << what
		case what < 32: // a piece goes
			out = append(out[:at:at], out[min(len(out), at+int(what)):]...)
		case what < 64: // a piece comes twice
			piece := out[at:min(len(out), at+int(what))]
			out = append(out[:at:at], append(bytes.Clone(piece), out[at:]...)...)
		case what < 96: // the end goes
			out = out[:at]
		default:
			out[at] = what
		}
	}
	return out
}

// seeds are edits at many places.
func seeds(f *testing.F) {
	for _, s := range []string{"", "\x00\x00\x00", "\x10\x00\x07", "\x80\x00\x10", "\xc0\x00\x30", "\xff\xff\x50", "\x20\x00\xff\x40\x00\xff", "\x01\x00\x01\x02\x00\x02\x03\x00\x03"} {
		f.Add([]byte(s))
	}
}

func FuzzMark(f *testing.F) {
	var tree hashlog.Frontier
	for _, l := range leaves(5) {
		tree.Push(l)
	}
	m := mark{"rabc", tree, birth{7, 1}}
	seeds(f)
	f.Fuzz(func(t *testing.T, drawn []byte) {
		slot := edits(m.line(), drawn)
		got, err := parseMark(slot)
		if err != nil {
			return
		}
		if again := got.line(); strings.TrimRight(string(again), " \n") != strings.TrimRight(string(slot), " \n") || got.tree.Root() != tree.Root() {
			t.Fatalf("%q is read as %+v", slot, got)
		}
	})
}

func FuzzHeader(f *testing.F) {
	h := Header{ID: "rabc", Script: "x.star", ScriptText: []byte("text"), Modules: []Module{{Name: "m", Text: []byte("y")}}, Params: map[string]string{"a": "b"},
		Backends: []journal.BackendPin{{Name: "ldap", Label: "l", Config: "{}"}}, Sources: []SourcePin{{Name: "u.csv", SHA256: "00"}}}
	text, _, err := h.encode()
	if err != nil {
		f.Fatal(err)
	}
	seeds(f)
	f.Fuzz(func(t *testing.T, drawn []byte) {
		got, err := decodeHeader(edits(text, drawn))
		if err != nil {
			return
		}
		once, _, err := got.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeHeader(once)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(got, again, cmpopts.EquateEmpty()); d != "" { // nothing and an empty list are kept as nothing
			t.Fatalf("a header changes when it is kept: %s", d)
		}
	})
}

// FuzzBundle edits a bundle: whatever it proves then, it proved before.
func FuzzBundle(f *testing.F) {
	s := newStore(f)
	r := fuzzedRun(f, s)
	key, err := s.VerifierKey()
	if err != nil {
		f.Fatal(err)
	}
	var bundles [][]byte
	true1 := map[string]bool{}
	for _, o := range []ExportOptions{{}, {Keys: []string{"user-2"}}, {Withhold: true}} {
		var out bytes.Buffer
		must(f, r.Export(&out, o))
		bundles = append(bundles, out.Bytes())
		_, err := hashlog.VerifyBundle(bytes.NewReader(out.Bytes()), key, func(rec journal.Record) error { true1[text(f, rec)] = true; return nil })
		must(f, err)
	}
	must(f, r.Close())
	for which := range bundles {
		f.Add(which, []byte("\x20\x00\x07"))
		f.Add(which, []byte("\x80\x00\x10\x90\x00\x41"))
	}
	f.Fuzz(func(t *testing.T, which int, drawn []byte) {
		changed := edits(bundles[(which%len(bundles)+len(bundles))%len(bundles)], drawn)
		var shown []string
		b, err := hashlog.VerifyBundle(bytes.NewReader(changed), key, func(rec journal.Record) error { shown = append(shown, text(t, rec)); return nil })
		if err != nil || !b.OK {
			return
		}
		for _, rec := range shown {
			if !true1[rec] {
				t.Fatalf("it proves a record that is not in the log: %s", rec)
			}
		}
	})
}

func text(t bench, rec journal.Record) string {
	b, err := json.Marshal(rec)
	must(t, err)
	return string(b)
}

// fuzzedRun is a small run with something of everything.
func fuzzedRun(t bench, s *Store) *Run {
	r := newRun(t, s, newKeys(t, s), 4)
	commit(t, r, &journal.Record{Kind: journal.Started, Detail: journal.Detail{Host: "test host"}}, intent(r, 1, 1, 0, canary), outcome(1, 1, 0, sdk.Applied, ""), finished(1, journal.Done, ""))
	commit(t, r, intent(r, 2, 1, 0, canary), outcome(2, 1, 0, sdk.Refused, sdk.PolicyViolation), finished(2, journal.Failed, sdk.PolicyViolation), intent(r, 3, 1, 0, canary))
	commit(t, r, &journal.Record{Kind: journal.Ended, Detail: journal.Detail{State: journal.StateStopped}})
	return r
}

// FuzzLedgerFile edits the file of a run: reading it does not panic, and where
// verification finds nothing, its users and their values are what they were.
func FuzzLedgerFile(f *testing.F) {
	s := newStore(f)
	r := fuzzedRun(f, s)
	k := newKeys(f, s)
	id := r.ID()
	must(f, r.Close())
	file, err := os.ReadFile(s.runFile(id))
	must(f, err)
	want, err := contents(s, k, id)
	must(f, err)
	seeds(f)
	for at := 0; at < 256; at += 16 {
		f.Add([]byte{byte(at), 0x80, 3})
	}
	f.Fuzz(func(t *testing.T, drawn []byte) {
		to, err := Open(filepath.Join(t.TempDir(), "state"), Options{Host: "test host"})
		must(t, err)
		key, err := os.ReadFile(filepath.Join(s.dir, "audit.key"))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to.dir, "audit.key"), key, 0o600))
		must(t, os.WriteFile(to.runFile(id), edits(file, drawn), 0o600))
		_, _ = to.Runs()
		a, err := to.Verify(id, "")
		got, readErr := contents(to, k, id)
		if err == nil && a.OK && readErr == nil {
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("verification found nothing: %s", d)
			}
		}
		if r, err := to.LockMoved(id, k); err == nil {
			_, _ = r.OpenUsers(0, 0, 10)
			_ = r.Commit([]*journal.Record{intent(r, 4, 1, 0, canary)})
			_ = r.Confirm()
			must(t, r.Close())
		}
	})
}

// contents is what the ledger says of every user, values included.
func contents(s *Store, k Keys, id string) ([]string, error) {
	r, err := s.ReadWith(id, k)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var list []string
	err = r.Each(Filter{}, OrderApply, func(u User) error {
		line := u.Key + " " + string(u.Status)
		for _, c := range Candidates(u.History) {
			v, err := r.Unseal(u.Pos, c.Step, c.Try, "value", c.Sealed)
			if err != nil {
				return err
			}
			line += " " + c.Account + "=" + v.Reveal()
		}
		list = append(list, line)
		return nil
	})
	return list, err
}
