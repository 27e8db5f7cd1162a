package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// named freezes an empty run of that name.
func named(t bench, s *Store, k Keys, id, osUser string, made time.Time) {
	t.Helper()
	d, err := s.Draft(Header{ID: id, Script: id + ".star", ScriptText: []byte("text"), OSUser: osUser, Created: made}, k)
	must(t, err)
	r, err := d.Freeze(nil)
	must(t, err)
	must(t, r.Close())
}

func TestResolveFindsRuns(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	named(t, s, k, "rabc2", "ann", start)
	named(t, s, k, "rabd3", "ann", start.Add(2*time.Hour))
	named(t, s, k, "rxyz4", "bob", start.Add(3*time.Hour))
	for _, c := range []struct{ in, want, err string }{
		{"rabc2", "rabc2", ""},
		{"rx", "rxyz4", ""},
		{"rabc", "rabc2", ""},
		{"last", "rabd3", ""},
		{"rab", "", `run "rab" could be rabc2 or rabd3`},
		{"rabx3", "", `no such run: "rabx3"; did you mean rabd3?`},
		{"nothing", "", `no such run: "nothing"; rekey runs lists them`},
		{"", "", `no such run: ""; rekey runs lists them`},
	} {
		got, err := s.Resolve(c.in)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("Resolve(%q) = %q, %q, want %q, %q", c.in, got, text, c.want, c.err)
		}
	}
	list, err := s.Runs()
	must(t, err)
	var ids []string
	for _, r := range list {
		ids = append(ids, r.Header.ID)
		if r.Header.ScriptText != nil || r.State != journal.StatePlanned || r.Err != nil {
			t.Errorf("Runs() has %+v", r)
		}
	}
	if fmt.Sprint(ids) != "[rxyz4 rabd3 rabc2]" {
		t.Fatalf("Runs() = %v, want newest first", ids)
	}
}

func TestLastThatIsAppliedIsCertain(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	named(t, s, k, "rabc2", "ann", start)
	for _, c := range []struct {
		name    string
		written time.Time
		want    string
	}{
		{"an older run cannot be read", start.Add(-time.Hour), ""},
		{"a newer run cannot be read", start.Add(time.Hour), "last could be run rabd3, which cannot be read: "},
	} {
		must(t, os.WriteFile(s.runFile("rabd3"), []byte(strings.Repeat("x", 5000)), 0o600))
		must(t, os.Chtimes(s.runFile("rabd3"), c.written, c.written))
		id, err := s.ResolveToApply("last")
		if c.want == "" && (err != nil || id != "rabc2") || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: ResolveToApply() = %q, %v, want %q", c.name, id, err, c.want)
		}
		for _, name := range []string{"rabc2", "rabc"} {
			if id, err := s.ResolveToApply(name); err != nil || id != "rabc2" {
				t.Errorf("%s: ResolveToApply(%q) = %q, %v", c.name, name, id, err)
			}
		}
		if id, err := s.Resolve("last"); err != nil || id != "rabc2" {
			t.Errorf("%s: Resolve() = %q, %v: reading goes on", c.name, id, err)
		}
	}
}

// TestLastOfRunsOfWhichNoneIsOnesOwn: one that cannot be read may be meant, if
// it says of no other that it is theirs.
func TestLastOfRunsOfWhichNoneIsOnesOwn(t *testing.T) {
	junk := func(s *Store, id string) {
		must(t, os.WriteFile(s.runFile(id), []byte(strings.Repeat("x", 5000)), 0o600))
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name      string
		unread    []string
		of        []string // users whose runs can be read
		want, err string
	}{
		{"none", nil, nil, "", "no such run: ann has not run anything here yet"},
		{"another's", nil, []string{"bob"}, "", "no such run: ann has not run anything here yet"},
		{"one of which it is not said whose it is", nil, []string{""}, "", "no such run: ann has not run anything here yet"},
		{"one that cannot be read", []string{"ra"}, nil, "ra", ""},
		{"one that cannot be read, and another's", []string{"ra"}, []string{"bob"}, "ra", ""},
		{"two that cannot be read", []string{"ra", "rb"}, nil, "", "last could be run ra or rb, none of which can be read; name the run"},
		{"one that cannot be read, and one's own", []string{"ra"}, []string{"ann"}, "r0", ""},
	} {
		s := newStore(t)
		k := newKeys(t, s)
		for _, id := range c.unread {
			junk(s, id)
		}
		for i, user := range c.of {
			named(t, s, k, fmt.Sprint("r", i), user, start)
		}
		text := ""
		got, err := s.Resolve("last")
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("%s: last is %q, %q; want %q, %q", c.name, got, text, c.want, c.err)
		}
	}
}

// TestNameOfARunIsFree: neither a run has it, nor one that is being planned.
func TestNameOfARunIsFree(t *testing.T) {
	name := func(text string) (source []byte) { // the bytes that are made into it
		for _, c := range text {
			source = append(source, byte(strings.IndexRune(letters, c)))
		}
		return source
	}
	s := newStore(t)
	must(t, os.WriteFile(s.runFile("raaaaa"), nil, 0o600))
	must(t, os.WriteFile(s.lockFile("rbbbbb"), nil, 0o600))
	s.rand = bytes.NewReader(slices.Concat(name("aaaaa"), name("bbbbb"), name("ccccc")))
	id, l, err := s.newID()
	must(t, err)
	defer l.remove()
	if id != "rccccc" || !files.Exists(s.lockFile(id)) {
		t.Errorf("the run is called %q", id)
	}
	if _, _, err := s.newID(); err == nil {
		t.Error("a name was made of nothing")
	}
	s.rand = bytes.NewReader(bytes.Repeat(name("aaaaa"), 2000))
	if id, _, err := s.newID(); err == nil || err.Error() != "state directory: no free name for a run" {
		t.Errorf("newID() = %q, %v", id, err)
	}
}

func TestBackupNamesARunWithADamagedPage(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 3000)
	commit(t, r, &journal.Record{Kind: journal.Started})
	must(t, r.Close())
	sound, err := os.ReadFile(s.runFile(r.ID()))
	must(t, err)
	const page = 4096
	for _, table := range []string{"sheet", "plan", "plan_fold", "grp", "grp_user"} {
		c := rawly(t, s, r.ID())
		root, err := c.one("SELECT rootpage FROM sqlite_schema WHERE name = ?", table)
		must(t, err)
		at := (root.int(0) - 1) * page
		must(t, c.close())
		text := bytes.Clone(sound)
		text[at] ^= 0xff // the kind of the page
		must(t, os.WriteFile(s.runFile(r.ID()), text, 0o600))
		b, err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "b"), "")
		must(t, err)
		if len(b.Damaged) != 1 || !strings.HasPrefix(b.Damaged[0], "run "+r.ID()+": ") || strings.Contains(b.Damaged[0], "\n") {
			t.Errorf("%s: Backup() calls %q damaged", table, b.Damaged)
		}
		must(t, os.WriteFile(s.runFile(r.ID()), sound, 0o600))
	}
	b, err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "b"), "")
	if err != nil || len(b.Damaged) != 0 {
		t.Fatalf("Backup() = %+v, %v", b, err)
	}
}

func TestRunsThatAreNoFilesAreNamed(t *testing.T) {
	s := newStore(t)
	must(t, os.MkdirAll(s.runs(), 0o700))
	must(t, unix.Mkfifo(s.runFile("rpipe"), 0o600))
	must(t, os.Mkdir(s.runFile("rdir2"), 0o700))
	must(t, os.Symlink("/dev/zero", s.runFile("rzero")))
	list, err := s.Runs()
	must(t, err)
	if len(list) != 3 {
		t.Fatalf("Runs() = %+v", list)
	}
	for _, r := range list {
		if r.Err == nil || !strings.HasSuffix(r.Err.Error(), r.Header.ID+".db is not a regular file") {
			t.Errorf("%s: %v", r.Header.ID, r.Err)
		}
	}
}

func TestLastOfSomebodyWithoutRunsIsNone(t *testing.T) {
	s := newStore(t)
	if _, err := s.Resolve("last"); !errors.Is(err, ErrNoRun) {
		t.Fatalf("Resolve() = %v, want ErrNoRun", err)
	}
}

func TestHeaderIsKept(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	h := Header{Script: "a.star", ScriptText: []byte("x\x00\xff"), Modules: []Module{{Name: "lib", Text: []byte("y")}}, Params: map[string]string{"a": "b"},
		Backends: []journal.BackendPin{{Name: "ldap", Label: "d", Config: `{"url":"x"}`}}, Sources: []SourcePin{{Name: "u.csv", SHA256: "00"}, {Stdin: true}},
		Schema: []byte("s"), Waves: []byte("w"), Settings: []byte("t"), Requestor: "r", SourceSystem: "q", OSUser: "ann", Host: "h", Version: "1", Recipients: []string{"age1"}}
	d, err := s.Draft(h, k)
	must(t, err)
	r, err := d.Freeze(nil)
	must(t, err)
	must(t, r.Close())
	ro, err := s.Read(d.ID())
	must(t, err)
	defer ro.Close()
	got := ro.Header()
	if got.ID != d.ID() || got.Created.IsZero() {
		t.Fatalf("Header() = %+v", got)
	}
	h.ID, h.Created = got.ID, got.Created
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", h) {
		t.Fatalf("Header() = %+v, want %+v", got, h)
	}
}

func TestStoreIsOpenedByManyAtOnce(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	var all sync.WaitGroup
	failed := make(chan error, 8)
	for range 8 {
		all.Go(func() {
			other, err := Open(s.Dir(), Options{})
			if err == nil {
				var d *Draft
				if d, err = other.Draft(Header{Script: "x"}, k); err == nil {
					var r *Run
					if r, err = d.Freeze(nil); err == nil {
						_, _, err = r.SignHead()
						err = errors.Join(err, r.Close())
					}
				}
			}
			failed <- err
		})
	}
	all.Wait()
	for range 8 {
		must(t, <-failed)
	}
	list, err := s.ids()
	must(t, err)
	if len(list) != 8 {
		t.Fatalf("%d runs, want 8", len(list))
	}
	for _, id := range list {
		audited(t, s, id, "") // all heads are signed with one key
	}
}

func TestFirstLoadMakesAnIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "identity.txt")
	k, created, err := LoadKeys(path, nil)
	must(t, err)
	if !created || len(k.Identities) != 1 || len(k.Recipients) != 1 {
		t.Fatalf("LoadKeys() = %+v, %v", k, created)
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %o, want 600", info.Mode().Perm())
	}
	again, created, err := LoadKeys(path, nil)
	must(t, err)
	if created || fmt.Sprint(again.Recipients) != fmt.Sprint(k.Recipients) {
		t.Fatal("the second LoadKeys() gave another identity")
	}
	if _, err := CreateIdentity(path); !errors.Is(err, os.ErrExist) {
		t.Fatalf("CreateIdentity() = %v, want it to exist", err)
	}
	if _, err := OpenKeys(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("OpenKeys() = %v, want it not to exist", err)
	}
}

func TestRecipientsThatAreNoneAreNamedEach(t *testing.T) {
	dir := t.TempDir()
	text, recipient, err := GenerateIdentity(time.Now())
	must(t, err)
	identity := strings.Split(string(text), "\n")[2]
	list := filepath.Join(dir, "team.txt")
	must(t, os.WriteFile(list, []byte("# team\n"+recipient+"\n\n"+recipient+"\n"), 0o600))
	bad := filepath.Join(dir, "bad.txt")
	must(t, os.WriteFile(bad, []byte("nonsense\n"), 0o600))
	hybrid, err := age.GenerateHybridIdentity()
	must(t, err)
	found, err := parseRecipients([]string{recipient, " ", list, hybrid.Recipient().String()})
	must(t, err)
	if len(found) != 4 {
		t.Fatalf("%d recipients, want 4", len(found))
	}
	_, err = parseRecipients([]string{"age1x", recipient, identity, filepath.Join(dir, "none"), bad})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 4 {
		t.Fatalf("parseRecipients() = %v, want four lines", err)
	}
	if strings.Contains(err.Error(), identity) {
		t.Fatalf("the error quotes an identity")
	}
	if _, _, err := LoadKeys(filepath.Join(dir, "id"), []string{"age1x"}); err == nil || files.Exists(filepath.Join(dir, "id")) {
		t.Fatalf("LoadKeys() = %v", err)
	}
}

func TestEveryRecipientOpensTheRun(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	x, err := age.GenerateX25519Identity()
	must(t, err)
	hybrid, err := age.GenerateHybridIdentity()
	must(t, err)
	k.Recipients = append(k.Recipients, x.Recipient(), hybrid.Recipient())
	r := newRun(t, s, k, 1)
	commit(t, r, intent(r, 1, 1, 0, canary))
	must(t, r.Close())
	stranger, err := age.GenerateX25519Identity()
	must(t, err)
	for name, c := range map[string]struct {
		ids  []age.Identity
		want string
	}{
		"the own identity":           {k.Identities, ""},
		"a recipient":                {[]age.Identity{x}, ""},
		"one behind a stranger":      {[]age.Identity{stranger, hybrid}, ""},
		"a stranger":                 {[]age.Identity{stranger}, "REKEY_AGE_IDENTITY"},
		"nobody":                     {nil, "REKEY_AGE_IDENTITY"},
		"a stranger who reads it so": {[]age.Identity{stranger}, "run " + r.ID()},
	} {
		ro, err := s.ReadWith(r.ID(), Keys{Identities: c.ids})
		must(t, err)
		u, err := ro.User("user-1")
		must(t, err)
		v, err := ro.Unseal(1, 1, 0, "value", u.History[0].Sealed)
		switch {
		case c.want == "" && (err != nil || v.Reveal() != canary):
			t.Errorf("%s: Unseal() = %v", name, err)
		case c.want != "" && (!errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: Unseal() = %v, want %q", name, err, c.want)
		}
		must(t, ro.Close())
	}
	locked, err := s.Lock(r.ID(), Keys{Identities: []age.Identity{stranger}})
	must(t, err)
	defer locked.Close()
	commit(t, locked, &journal.Record{Kind: journal.Started}) // what needs no key works
	rec := &journal.Record{Kind: journal.Intent, User: 1, Step: 2, Verb: "set", Sealed: locked.Seal(1, 2, 0, "value", secret.New("x"))}
	if err := locked.Commit([]*journal.Record{rec}); !errors.Is(err, ErrNoKey) {
		t.Fatalf("Commit() of a value that could not be sealed = %v, want ErrNoKey", err)
	}
}

func TestRunWithoutRecipientsIsRefused(t *testing.T) {
	s := newStore(t)
	if _, err := s.Draft(Header{}, Keys{}); err == nil {
		t.Fatal("Draft() gave no error")
	}
	if left := filesIn(t, s.runs()); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestOwnedFilesAreRemembered(t *testing.T) {
	s := newStore(t)
	if s.Owns("/out/a.csv") != nil {
		t.Fatal("a file is owned that nobody wrote")
	}
	must(t, s.Wrote("/out/a.csv", "1", "report"))
	must(t, s.Wrote("/out/b.csv", "2", "report"))
	must(t, s.Wrote("/out/a.csv", "3", "report"))
	again, err := Open(s.Dir(), Options{})
	must(t, err)
	must(t, again.Writes("/out/b.csv", "4", "report"))
	for path, want := range map[string][]string{"/out/a.csv": {"3"}, "/out/b.csv": {"2", "4"}} {
		if got := again.Owns(path); !slices.Equal(got, want) {
			t.Errorf("Owns(%q) = %q, want %q", path, got, want)
		}
	}
	for range 3 * attempts {
		must(t, again.Writes("/out/b.csv", "5", "report"))
	}
	if got := again.Owns("/out/b.csv"); len(got) > attempts || got[0] != "2" {
		t.Errorf("%d digests, the first %q", len(got), got[0])
	}
	if left := filesIn(t, filepath.Join(s.Dir(), "files")); len(left) != 2 {
		t.Errorf("notes %v, want 2", left)
	}
	must(t, os.WriteFile(s.noteFile("/out/a.csv"), []byte("torn"), 0o600))
	if again.Owns("/out/a.csv") != nil {
		t.Error("a torn note counts")
	}
}

func TestNewestAppliedLooksThroughAllRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.now = func() time.Time { clock = clock.Add(time.Second); return clock }
	target := journal.BackendPin{Name: "ldap", Label: "dir", Config: `{"url":"a"}`}
	other := journal.BackendPin{Name: "ldap", Label: "dir", Config: `{"url":"b"}`}
	renamed := target
	renamed.Label = "directory"
	run := func(pin journal.BackendPin, account, value string, o sdk.Outcome) *Run {
		d, err := s.Draft(Header{Script: "x", Backends: []journal.BackendPin{pin}}, k)
		must(t, err)
		must(t, d.Add(planned(1)))
		r, err := d.Freeze([]WavePlan{{Name: "all"}})
		must(t, err)
		rec, out := intent(r, 1, 1, 0, value), outcome(1, 1, 0, o, "")
		rec.Backend, rec.Account, out.Backend, out.Account = pin.Label, account, pin.Label, account
		commit(t, r, rec, out)
		must(t, r.Close())
		return r
	}
	run(target, "ann", "first", sdk.Applied)
	run(renamed, "ann", "second", sdk.AlreadyApplied)
	run(target, "ann", "refused", sdk.Refused)
	run(target, "ann", "lost", sdk.Unknown)
	run(other, "ann", "elsewhere", sdk.Applied)
	run(target, "bob", "bob's", sdk.Applied)
	now := run(target, "ann", "of this run", sdk.Applied)
	for range 2 {
		v, ok, err := s.NewestApplied(k, now.ID(), target.Target(), "ann", "")
		must(t, err)
		if !ok || v.Reveal() != "second" {
			t.Fatalf("NewestApplied() = %q, %v, want %q", v.Reveal(), ok, "second")
		}
	}
	for _, c := range []struct{ account, cred string }{{"ann", "sip"}, {"nobody", ""}} {
		if _, ok, err := s.NewestApplied(k, now.ID(), target.Target(), c.account, c.cred); ok || err != nil {
			t.Errorf("NewestApplied(%q, %q) = %v, %v", c.account, c.cred, ok, err)
		}
	}
	if _, ok, err := s.NewestApplied(Keys{}, "other run", target.Target(), "ann", ""); ok || err != nil {
		t.Errorf("NewestApplied() without a key = %v, %v", ok, err)
	}
	must(t, s.Close())
}

// TestFilesOfKeysAreReadAsSshReadsIts: by their modes, and without the mark of
// an editor.
func TestFilesOfKeysAreReadAsSshReadsIts(t *testing.T) {
	dir := t.TempDir()
	own, other := filepath.Join(dir, "id"), filepath.Join(dir, "recipients")
	text, recipient, err := GenerateIdentity(time.Now())
	must(t, err)
	write := func(path, text string, mode os.FileMode) {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		must(t, os.Chmod(path, mode))
	}
	for _, x := range []struct {
		identity, recipients         string
		identityMode, recipientsMode os.FileMode
		want                         string
	}{
		{string(text), recipient, 0o600, 0o600, ""},
		{string(text), recipient, 0o400, 0o400, ""},
		{string(text), recipient, 0o700, 0o700, ""},
		{"\ufeff" + string(text), "\ufeff" + recipient, 0o600, 0o600, ""},
		{strings.ReplaceAll(string(text), "\n", "\r\n"), recipient + "\r\n", 0o600, 0o600, ""},
		{string(text), recipient, 0o640, 0o600, "identity: " + own + ": its mode is 0640, so others than its owner may use it; chmod 600 " + own},
		{string(text), recipient, 0o604, 0o600, "chmod 600 "},
		{string(text), recipient, 0o620, 0o600, "chmod 600 "},
		{string(text), recipient, 0o602, 0o600, "chmod 600 "},
		{string(text), recipient, 0o600, 0o644, "recipients file " + other + ": its mode is 0644, so others than its owner may use it; chmod 600 " + other},
		{string(text), recipient, 0o600, 0o640, "its mode is 0640"},
		{string(text), recipient, 0o600, 0o604, "its mode is 0604"},
		{string(text), recipient, 0o600, 0o664, "its mode is 0664"},
		{string(text), recipient, 0o600, 0o646, "its mode is 0646"},
		{string(text), recipient, 0o600, 0o666, "its mode is 0666"},
		{"\xff\xfea\x00", recipient, 0o600, 0o600, "id: it is UTF-16; save it as UTF-8"},
		{string(text), "\xfe\xff\x00a", 0o600, 0o600, "recipients: it is UTF-16; save it as UTF-8"},
	} {
		write(own, x.identity, x.identityMode)
		write(other, x.recipients, x.recipientsMode)
		k, _, err := LoadKeys(own, []string{other})
		switch {
		case x.want == "" && (err != nil || len(k.Recipients) != 2 || len(k.PublicKeys()) != 1 || k.PublicKeys()[0] != recipient):
			t.Errorf("%04o, %04o: %v %v, want %s", x.identityMode, x.recipientsMode, k.PublicKeys(), err, recipient)
		case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)):
			t.Errorf("%04o, %04o: %v, want %s", x.identityMode, x.recipientsMode, err, x.want)
		}
	}
}

// TestNewestAppliedGoesByTheTargetThatWasAccepted: settings that are no target
// may differ, and a label that was moved before it was used counts as moved.
func TestNewestAppliedGoesByTheTargetThatWasAccepted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	pin := func(url, cost string) journal.BackendPin {
		return journal.BackendPin{Name: "ldap", Label: "dir", Config: `{"cost":"` + cost + `","url":"` + url + `"}`, Reaches: `{"url":"` + url + `"}`}
	}
	run := func(planned1, accepted journal.BackendPin, value string) {
		d, err := s.Draft(Header{Script: "x", Backends: []journal.BackendPin{planned1}}, k)
		must(t, err)
		must(t, d.Add(planned(1)))
		r, err := d.Freeze([]WavePlan{{Name: "all"}})
		must(t, err)
		if accepted.Name != "" {
			commit(t, r, &journal.Record{Kind: journal.Accepted, Detail: journal.Detail{Message: "moved", Backends: []journal.BackendPin{accepted}}})
		}
		rec, out := intent(r, 1, 1, 0, value), outcome(1, 1, 0, sdk.Applied, "")
		rec.Backend, rec.Account, out.Backend, out.Account = "dir", "ann", "dir", "ann"
		commit(t, r, rec, out)
		must(t, r.Close())
	}
	run(pin("a", "1"), journal.BackendPin{}, "of a")
	run(pin("a", "2"), pin("b", "2"), "of b")
	for url, want := range map[string]string{"a": "of a", "b": "of b"} {
		v, ok, err := s.NewestApplied(k, "", pin(url, "9").Target(), "ann", "")
		if must(t, err); !ok || v.Reveal() != want {
			t.Errorf("%s: %q %v, want %q", url, v.Reveal(), ok, want)
		}
	}
	must(t, s.Close())
}

// TestUsedIsWhereAUserHasOrMayHaveAValue is every outcome, and those in a row.
func TestUsedIsWhereAUserHasOrMayHaveAValue(t *testing.T) {
	in := func(verb string) journal.Record {
		return journal.Record{Kind: journal.Intent, Step: 1, Verb: verb, Backend: "b", Account: "a", Sealed: []byte{1}}
	}
	out := func(verb string, o sdk.Outcome, code sdk.Code) journal.Record {
		return journal.Record{Kind: journal.Outcome, Step: 1, Verb: verb, Backend: "b", Account: "a", Outcome: o, Code: code}
	}
	for _, x := range []struct {
		name    string
		history []journal.Record
		want    bool
	}{
		{"nothing", nil, false},
		{"sent", []journal.Record{in("set")}, true},
		{"applied", []journal.Record{in("set"), out("set", sdk.Applied, "")}, true},
		{"applied already", []journal.Record{in("change"), out("change", sdk.AlreadyApplied, "")}, true},
		{"unknown", []journal.Record{in("set"), out("set", sdk.Unknown, sdk.Timeout)}, true},
		{"refused", []journal.Record{in("set"), out("set", sdk.Refused, sdk.AccountNotFound)}, false},
		{"never sent", []journal.Record{in("set"), out("set", sdk.Refused, sdk.Unreachable)}, false},
		{"unknown, then refused", []journal.Record{in("set"), out("set", sdk.Unknown, sdk.Timeout), out("set", sdk.Refused, sdk.AccountNotFound)}, false},
		{"a reset that tells no value", []journal.Record{out("reset", sdk.Applied, "")}, true},
		{"unlocked", []journal.Record{in("unlock"), out("unlock", sdk.Applied, "")}, false},
		{"verified", []journal.Record{{Kind: journal.Answer, Step: 1, Verb: "verify", Backend: "b", Account: "a", Outcome: sdk.Applied}}, false},
	} {
		for i := range x.history {
			x.history[i].Index = int64(i)
		}
		if got := len(Used(x.history)) > 0; got != x.want {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}

func TestCandidatesTellWhatMayBeCurrent(t *testing.T) {
	n := int64(0)
	at := func(r journal.Record) journal.Record { n++; r.Index = n; return r }
	in := func(step, try int, account string) journal.Record {
		return at(journal.Record{Kind: journal.Intent, Step: step, Try: try, Verb: "set", Backend: "b", Account: account, Sealed: fmt.Appendf(nil, "%s%d%d", account, step, try)})
	}
	out := func(step, try int, account string, o sdk.Outcome, c sdk.Code) journal.Record {
		return at(journal.Record{Kind: journal.Outcome, Step: step, Try: try, Verb: "set", Backend: "b", Account: account, Outcome: o, Code: c})
	}
	verify := func(account string, o sdk.Outcome, c sdk.Code) journal.Record {
		return at(journal.Record{Kind: journal.Answer, Step: 9, Verb: "verify", Backend: "b", Account: account, Outcome: o, Code: c})
	}
	with := func(r journal.Record, change func(*journal.Record)) journal.Record { change(&r); return r }
	for _, c := range []struct {
		name string
		in   []journal.Record
		want string
	}{
		{"nothing", nil, ""},
		{"under way", []journal.Record{in(1, 0, "a")}, "a10 unknown"},
		{"applied", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, "")}, "a10 applied current"},
		{"applied before", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.AlreadyApplied, "")}, "a10 applied current"},
		{"unknown", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Unknown, sdk.Timeout)}, "a10 unknown"},
		{"refused", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Refused, sdk.Conflict)}, "a10 refused"},
		{"cancelled", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Refused, sdk.Cancelled)}, "a10 unsent"},
		{"never reached", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Refused, sdk.Unreachable)}, "a10 unsent"},
		{"refused, then another value", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Refused, sdk.PolicyViolation), in(1, 1, "a"), out(1, 1, "a", sdk.Applied, "")},
			"a11 applied current, a10 refused"},
		{"applied twice", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), in(2, 0, "a"), out(2, 0, "a", sdk.Applied, "")}, "a20 applied current, a10 superseded"},
		{"applied, then unknown", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), in(2, 0, "a")}, "a20 unknown, a10 applied"},
		{"lost, then settled by another", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Unknown, ""), in(1, 1, "a"), out(1, 1, "a", sdk.Applied, "")}, "a11 applied current, a10 superseded"},
		{"a bridge, then its end", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Unknown, ""), with(in(1, 1, "a"), func(r *journal.Record) { r.Detail.Bridge = true }),
			out(1, 1, "a", sdk.Applied, ""), in(1, 2, "a"), out(1, 2, "a", sdk.Applied, "")}, "a12 applied current, a11 superseded, a10 superseded"},
		{"a bridge and no end", []journal.Record{with(in(1, 0, "a"), func(r *journal.Record) { r.Detail.Bridge = true }), out(1, 0, "a", sdk.Applied, ""), in(1, 1, "a")}, "a11 unknown, a10 applied"},
		{"two accounts", []journal.Record{in(1, 0, "a"), in(2, 0, "b"), out(2, 0, "b", sdk.Applied, ""), out(1, 0, "a", sdk.Applied, "")}, "b20 applied current, a10 applied current"},
		{"two credentials of one account", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), with(in(2, 0, "a"), func(r *journal.Record) { r.Cred = "sip" }),
			with(out(2, 0, "a", sdk.Unknown, ""), func(r *journal.Record) { r.Cred = "sip" })}, "a20 unknown, a10 applied current"},
		{"verified", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), verify("a", sdk.Applied, "")}, "a10 applied current"},
		{"not accepted", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), verify("a", sdk.Refused, sdk.NotAccepted)}, "a10 applied"},
		{"not accepted at first", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), verify("a", sdk.Refused, sdk.NotAccepted), verify("a", sdk.Applied, "")}, "a10 applied current"},
		{"not accepted, then replaced", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), verify("a", sdk.Refused, sdk.NotAccepted),
			in(2, 0, "a"), out(2, 0, "a", sdk.Applied, "")}, "a20 applied current, a10 superseded"},
		{"could not be verified", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), verify("a", sdk.Refused, sdk.AccountStatus)}, "a10 applied current"},
		{"a reset that tells", []journal.Record{with(out(1, 0, "a", sdk.Applied, ""), func(r *journal.Record) { r.Verb, r.Sealed = "reset", []byte("picked") })}, "picked applied current"},
		{"a reset that tells none supersedes", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""),
			with(in(2, 0, "a"), func(r *journal.Record) { r.Verb, r.Sealed = "reset", nil }), with(out(2, 0, "a", sdk.Applied, ""), func(r *journal.Record) { r.Verb = "reset" })}, "a10 superseded"},
		{"a lost reset leaves doubt", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), with(in(2, 0, "a"), func(r *journal.Record) { r.Verb, r.Sealed = "reset", nil })}, "a10 applied"},
		{"reverted", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), with(in(2, 0, "a"), func(r *journal.Record) { r.Verb = "revert" }),
			with(out(2, 0, "a", sdk.Applied, ""), func(r *journal.Record) { r.Verb = "revert" })}, "a20 applied current, a10 superseded"},
		{"unlocked", []journal.Record{in(1, 0, "a"), out(1, 0, "a", sdk.Applied, ""), with(in(2, 0, "a"), func(r *journal.Record) { r.Verb, r.Sealed = "unlock", nil })}, "a10 applied current"},
	} {
		var got []string
		for _, x := range Candidates(c.in) {
			text := string(x.Sealed) + " " + x.State
			if x.Current {
				text += " current"
			}
			got = append(got, text)
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
	}
}

func TestCandidateKnowsItsForm(t *testing.T) {
	rec := journal.Record{Kind: journal.Intent, Step: 1, Verb: "set", Sealed: []byte("x"), Detail: journal.Detail{HashFormat: "sha512-base64"}}
	if got := Candidates([]journal.Record{rec})[0].Form; got != "sha512-base64" {
		t.Fatalf("Form = %q", got)
	}
	rec.Detail.HashFormat = ""
	if got := Candidates([]journal.Record{rec})[0].Form; got != "plain" {
		t.Fatalf("Form = %q", got)
	}
}

func TestLateOutcomeWins(t *testing.T) {
	history := []journal.Record{{Kind: journal.Intent, Index: 1, Step: 1, Verb: "set", Sealed: []byte("x")}, {Kind: journal.Outcome, Index: 2, Step: 1, Verb: "set", Outcome: sdk.Unknown},
		{Kind: journal.Reopened, Index: 3}, {Kind: journal.Outcome, Index: 4, Step: 1, Verb: "set", Outcome: sdk.Applied}}
	if got := Candidates(history); len(got) != 1 || got[0].State != journal.CandidateApplied || !bytes.Equal(got[0].Record.Sealed, []byte("x")) {
		t.Fatalf("Candidates() = %+v", got)
	}
}
