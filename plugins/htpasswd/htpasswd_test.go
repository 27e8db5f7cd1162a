package htpasswd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// open makes a file of content and an instance on it, cheap to hash.
func open(t *testing.T, content string, more ...any) (*Instance, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.htpasswd")
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	return configure(t, path, more...), path
}

func configure(t *testing.T, path string, more ...any) *Instance {
	t.Helper()
	values := map[string]any{"path": path, "hash": "sha256", "cost": int64(1000)}
	for n := 0; n < len(more); n += 2 {
		values[more[n].(string)] = more[n+1]
	}
	i, err := New().Configure(t.Context(), sdk.Config{Values: values})
	if err != nil {
		t.Fatal(err)
	}
	return i.(*Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: account, Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

func change(account, old, value string) sdk.Operation {
	op := set(account, value)
	op.Verb, op.Old = sdk.Change, secret.New(old)
	return op
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantVerdict(t *testing.T, i *Instance, account, value string, want sdk.Verdict) {
	t.Helper()
	got, err := i.Verify(t.Context(), account, "", secret.New(value))
	if err != nil || got != want {
		t.Errorf("Verify(%q) = %v, %v, want %v", account, got, err, want)
	}
}

func TestSetReplacesOneHashAndNothingElse(t *testing.T) {
	const file = "# the team\r\n\r\nalice:$1$abcdefgh$Ww68vb0WBWYyVwsm5SvrT/:Alice\r\n  \nbob:{SHA}2AuZKu3eSAvTaNdQc/ftHRnqz9c=\nodd line\ncarol:abJnggxhB/yWI"
	i, path := open(t, file)
	before, err := i.Find(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	r := i.Apply(t.Context(), set("alice", canary+"2"))
	if r.Outcome != sdk.Applied || r.Err != nil {
		t.Fatalf("Apply = %v %v, want applied", r.Outcome, r.Err)
	}
	head, tail := "# the team\r\n\r\nalice:", ":Alice\r\n  \nbob:{SHA}2AuZKu3eSAvTaNdQc/ftHRnqz9c=\nodd line\ncarol:abJnggxhB/yWI"
	if got := content(t, path); !strings.HasPrefix(got, head+"$5$") || !strings.HasSuffix(got, tail) {
		t.Errorf("file is %q, want only the hash of alice new", got)
	}
	wantVerdict(t, i, "alice", canary+"2", sdk.Accepted)
	wantVerdict(t, i, "alice", canary, sdk.Rejected)
	wantVerdict(t, i, "bob", canary, sdk.Accepted)
	wantVerdict(t, i, "carol", canary, sdk.CannotTell)
	after, err := i.Find(t.Context(), "alice")
	if err != nil || after.Stamp == before.Stamp || after.Stamp != r.Stamp {
		t.Errorf("stamps: %q before, %q in the receipt, %q after", before.Stamp, r.Stamp, after.Stamp)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name string
		op   func() sdk.Operation
		want sdk.Code
	}{
		{"missing account", func() sdk.Operation { return set("nobody", "x") }, sdk.AccountNotFound},
		{"change of a missing account", func() sdk.Operation { return change("nobody", "x", "y") }, sdk.AccountNotFound},
		{"wrong old value", func() sdk.Operation { return change("alice", "wrong", "y") }, sdk.WrongCurrentPassword},
		{"hash that cannot be compared", func() sdk.Operation { return change("des", "wrong", "y") }, sdk.Unsupported},
		{"colon in the name", func() sdk.Operation { return set("a:b", "x") }, sdk.InvalidOperation},
		{"newline in the name", func() sdk.Operation { return set("a\nroot", "x") }, sdk.InvalidOperation},
		{"empty value", func() sdk.Operation { return set("alice", "") }, sdk.PolicyViolation},
		{"long value", func() sdk.Operation { return set("alice", strings.Repeat("é", 128)) }, sdk.PolicyViolation},
	}
	const file = "alice:$1$abcdefgh$Ww68vb0WBWYyVwsm5SvrT/\ndes:abJnggxhB/yWI\n"
	i, path := open(t, file)
	for _, tt := range tests {
		r := i.Apply(t.Context(), tt.op())
		if r.Outcome != sdk.Refused || r.Err == nil || r.Err.Code != tt.want {
			t.Errorf("%s: got %v %v, want refused %s", tt.name, r.Outcome, r.Err, tt.want)
		}
	}
	if got := content(t, path); got != file {
		t.Errorf("file is %q, want it untouched", got)
	}
}

func TestBcryptRefusesWhatItWouldCutOff(t *testing.T) {
	i, _ := open(t, "alice:x\n", "hash", "bcrypt", "cost", int64(4))
	r := i.Apply(t.Context(), set("alice", strings.Repeat("é", 36)+"x"))
	if r.Err == nil || r.Err.Code != sdk.PolicyViolation {
		t.Fatalf("73 bytes: got %v %v, want PolicyViolation", r.Outcome, r.Err)
	}
	want := []sdk.Violation{{Rule: sdk.RuleMaxLength, Limit: 72, Native: "bytes", Message: "bcrypt takes no more bytes of UTF-8 than the limit"}}
	if d := cmp.Diff(want, r.Err.Violations); d != "" {
		t.Errorf("violations (-want +got):\n%s", d)
	}
	if r := i.Apply(t.Context(), set("alice", strings.Repeat("é", 36))); r.Outcome != sdk.Applied {
		t.Errorf("72 bytes: got %v %v, want applied", r.Outcome, r.Err)
	}
	p, err := i.Policy(t.Context(), "", "")
	if d := cmp.Diff(sdk.Policy{MinLength: 1, MaxBytes: 72}, p); err != nil || d != "" {
		t.Errorf("Policy: %v (-want +got):\n%s", err, d)
	}
}

func TestChangeWantsTheOldValueAndKnowsItsOwnRepetition(t *testing.T) {
	i, _ := open(t, "alice:{SHA}2AuZKu3eSAvTaNdQc/ftHRnqz9c=\n")
	if r := i.Apply(t.Context(), change("alice", canary, "two")); r.Outcome != sdk.Applied {
		t.Fatalf("got %v %v, want applied", r.Outcome, r.Err)
	}
	again := change("alice", canary, "two")
	if r := i.Apply(t.Context(), again); r.Err == nil || r.Err.Code != sdk.WrongCurrentPassword {
		t.Errorf("first attempt: got %v %v, want WrongCurrentPassword", r.Outcome, r.Err)
	}
	again.Attempt = 2
	if r := i.Apply(t.Context(), again); r.Outcome != sdk.AlreadyApplied {
		t.Errorf("second attempt: got %v %v, want already-applied", r.Outcome, r.Err)
	}
}

func TestCreateMakesAccountsFileAndDirectories(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "users")
	i := configure(t, path, "create", true)
	rs := i.ApplyBatch(t.Context(), []sdk.Operation{set("zoë", "1"), set("adam", "2"), change("eve", "1", "2")})
	got := []string{rs[0].Outcome.String(), rs[1].Outcome.String(), string(rs[2].Err.Code)}
	if want := []string{"applied", "applied", "AccountNotFound"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	names := ""
	for e := range entries([]byte(content(t, path)), nil) {
		names += string(e.name) + " "
	}
	if names != "zoë adam " {
		t.Errorf("accounts %q, want them in the order of the operations", names)
	}
	for _, p := range []struct {
		path string
		want os.FileMode
	}{{path, 0o600}, {filepath.Dir(path), 0o700}} {
		info, err := os.Stat(p.path)
		if err != nil || info.Mode().Perm() != p.want {
			t.Errorf("%s: mode %v, %v, want %v", filepath.Base(p.path), info.Mode(), err, p.want)
		}
	}
}

func TestAddedLineDoesNotJoinTheLastOne(t *testing.T) {
	i, path := open(t, "alice:h", "create", true)
	if r := i.Apply(t.Context(), set("bob", "x")); r.Outcome != sdk.Applied {
		t.Fatalf("got %v %v, want applied", r.Outcome, r.Err)
	}
	if got := content(t, path); !strings.HasPrefix(got, "alice:h\nbob:$5$") || !strings.HasSuffix(got, "\n") {
		t.Errorf("file is %q", got)
	}
}

func TestMissingFileIsAConfigurationError(t *testing.T) {
	i := configure(t, filepath.Join(t.TempDir(), "absent"))
	if r := i.Apply(t.Context(), set("alice", "x")); r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidConfig {
		t.Errorf("Apply: got %v %v, want refused InvalidConfig", r.Outcome, r.Err)
	}
	if _, err := i.Find(t.Context(), "alice"); !errors.Is(err, &sdk.Error{Code: sdk.InvalidConfig}) {
		t.Errorf("Find: got %v, want InvalidConfig", err)
	}
}

func TestSymbolicLinkIsKeptAndModeToo(t *testing.T) {
	i, path := open(t, "alice:h\n")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	i.file.path = link
	if r := i.Apply(t.Context(), set("alice", "x")); r.Outcome != sdk.Applied {
		t.Fatalf("got %v %v, want applied", r.Outcome, r.Err)
	}
	if target, err := os.Readlink(link); err != nil || target != path {
		t.Errorf("link points to %q, %v, want %q", target, err, path)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v, want 0640", info.Mode(), err)
	}
	wantVerdict(t, i, "alice", "x", sdk.Accepted)
}

func TestEveryNameOfAFileHasTheSameLock(t *testing.T) {
	i, path := open(t, "alice:h\n")
	dir := t.TempDir()
	relative, err := filepath.Rel(dir, path)
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"second": "first", "first": relative} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	i.file.path = filepath.Join(dir, "second")
	held, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	if err := files.Flock(held); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r := i.Apply(ctx, set("alice", "x")); r.Outcome != sdk.Refused || r.Err.Code != sdk.Timeout {
		t.Errorf("through two links, with the lock held: got %v %v, want refused Timeout", r.Outcome, r.Err)
	}
	_ = held.Close()
	if r := i.Apply(t.Context(), set("alice", "x")); r.Outcome != sdk.Applied {
		t.Errorf("through two links: got %v %v, want applied", r.Outcome, r.Err)
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || !strings.HasPrefix(content(t, path), "alice:$5$") {
		t.Errorf("the file behind the links is %v, %v, want a regular one with a new hash", info, err)
	}
	wantVerdict(t, i, "alice", "x", sdk.Accepted)
}

func TestBatchHoldsEveryReceiptInOrder(t *testing.T) {
	var lines strings.Builder
	for n := range 200 {
		fmt.Fprintf(&lines, "u%03d:h\n", n)
	}
	i, _ := open(t, lines.String())
	var ops []sdk.Operation
	for n := range batch {
		op := set(fmt.Sprintf("u%03d", 199-n), fmt.Sprint("value ", n))
		if n%8 == 3 {
			op.Account = fmt.Sprint("ghost", n)
		}
		ops = append(ops, op)
	}
	for n, r := range i.ApplyBatch(t.Context(), ops) {
		if n%8 == 3 {
			if r.Outcome != sdk.Refused || r.Err.Code != sdk.AccountNotFound {
				t.Errorf("%d: got %v %v, want AccountNotFound", n, r.Outcome, r.Err)
			}
			continue
		}
		if r.Outcome != sdk.Applied {
			t.Errorf("%d: got %v %v, want applied", n, r.Outcome, r.Err)
		}
		wantVerdict(t, i, ops[n].Account, ops[n].Value.Reveal(), sdk.Accepted)
	}
	wantVerdict(t, i, "u000", "value 0", sdk.CannotTell)
}

func TestNothingIsWrittenAfterTheDeadline(t *testing.T) {
	const file = "alice:h\nbob:h\n"
	i, path := open(t, file, "hash", "bcrypt", "cost", int64(10))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if r := i.Apply(gone, set("alice", "x")); r.Outcome != sdk.Refused || r.Err.Code != sdk.Cancelled {
		t.Errorf("cancelled: got %v %v, want refused Cancelled", r.Outcome, r.Err)
	}
	// bcrypt of cost 10 takes longer than the millisecond.
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	for n, r := range i.ApplyBatch(short, []sdk.Operation{set("alice", "x"), set("bob", "x")}) {
		if r.Outcome != sdk.Refused || r.Err.RetryAfter == 0 {
			t.Errorf("%d: got %v %v, want refused, to come again", n, r.Outcome, r.Err)
		}
	}
	if got := content(t, path); got != file {
		t.Errorf("file is %q, want it untouched", got)
	}
}

func TestLockHeldElsewhereEndsAtTheDeadline(t *testing.T) {
	i, path := open(t, "alice:h\n")
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	if err := files.Flock(dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := i.Apply(ctx, set("alice", "x"))
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.Timeout || !strings.Contains(r.Err.Message, "another process is changing it") {
		t.Errorf("got %v %v, want refused Timeout that names the lock", r.Outcome, r.Err)
	}
	_ = dir.Close()
	if r := i.Apply(t.Context(), set("alice", "x")); r.Outcome != sdk.Applied {
		t.Errorf("after the lock was released: got %v %v, want applied", r.Outcome, r.Err)
	}
}

func TestWriterWithoutLockIsNotOverwritten(t *testing.T) {
	i, path := open(t, "alice:h\nbob:h\n")
	calls := 0
	outcome, failed := i.file.update(t.Context(), func(now *view) *view {
		if calls++; calls == 1 { // Apache's htpasswd strikes between read and rename
			if err := os.WriteFile(path, []byte("alice:h\nbob:h\ncarol:h\n"), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		return i.file.parse(append([]byte("# seen\n"), now.content...))
	})
	if outcome != sdk.Applied || failed != nil || calls != 2 {
		t.Errorf("got %v %v after %d calls, want applied after 2", outcome, failed, calls)
	}
	if got := content(t, path); got != "# seen\nalice:h\nbob:h\ncarol:h\n" {
		t.Errorf("file is %q, want carol in it", got)
	}
	outcome, failed = i.file.update(t.Context(), func(now *view) *view {
		more := append(slices.Clone(now.content), "x:h\n"...)
		if err := os.WriteFile(path, more, 0o640); err != nil {
			t.Fatal(err)
		}
		return now
	})
	if outcome != sdk.Refused || failed == nil || failed.Code != sdk.Conflict {
		t.Errorf("a file that never rests: got %v %v, want refused Conflict", outcome, failed)
	}
}

func TestDraftsOfKilledProcessesAreRemoved(t *testing.T) {
	i, path := open(t, "alice:h\n")
	stale := filepath.Join(filepath.Dir(path), ".users.htpasswd.rekey-123")
	other := filepath.Join(filepath.Dir(path), ".other.htpasswd.rekey-123")
	for _, p := range []string{stale, other} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	i.Apply(t.Context(), set("alice", "x"))
	if exists(stale) || !exists(other) {
		t.Errorf("stale draft there: %v, another file's there: %v", exists(stale), exists(other))
	}
}

func TestListSelectsByPattern(t *testing.T) {
	i, _ := open(t, "# x\nteam-a:{SHA}2AuZKu3eSAvTaNdQc/ftHRnqz9c=\nbob:!\nteam-b:$1$abcdefgh$x\nteam-a:dead\n")
	list := func(filter string) string {
		var got []string
		err := i.List(t.Context(), filter, []string{"hash", "line"}, func(a sdk.Account) error {
			got = append(got, fmt.Sprint(a.Account, " ", a.Status, " ", a.Attributes["hash"], " ", a.Attributes["line"]))
			return nil
		})
		if err != nil {
			return err.Error()
		}
		return strings.Join(got, ", ")
	}
	tests := []struct{ filter, want string }{
		{"", "team-a active sha 2, bob unknown  3, team-b active md5 4"},
		{"team-*", "team-a active sha 2, team-b active md5 4"},
		{"nobody", ""},
		{"[", `InvalidOperation: filter "[": not a shell pattern`},
	}
	for _, tt := range tests {
		if got := list(tt.filter); got != tt.want {
			t.Errorf("List(%q) = %s, want %s", tt.filter, got, tt.want)
		}
	}
	stop := errors.New("enough")
	if err := i.List(t.Context(), "", nil, func(sdk.Account) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("List = %v, want yield's error", err)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	tests := []struct {
		name, file string
		want       []string
	}{
		{"fine", "alice:h\n# c\n\n", nil},
		{"broken lines", "alice:h\nodd\n:h\n", []string{"bad InvalidConfig FILE:2: no colon, want NAME:HASH", "bad InvalidConfig FILE:3: no name before the colon"}},
		{"many", strings.Repeat("x\n", 7), []string{
			"bad InvalidConfig FILE:1: no colon, want NAME:HASH", "bad InvalidConfig FILE:2: no colon, want NAME:HASH", "bad InvalidConfig FILE:3: no colon, want NAME:HASH",
			"bad InvalidConfig FILE:4: no colon, want NAME:HASH", "bad InvalidConfig FILE:5: no colon, want NAME:HASH", "bad InvalidConfig FILE: 2 more broken lines"}},
		{"twice", "a:h\nb:h\na:g\n", []string{`warning  FILE:3: "a" again; line 1 is the one that counts`}},
	}
	for _, tt := range tests {
		i, path := open(t, tt.file)
		if d := cmp.Diff(tt.want, findings(i, path)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func findings(i *Instance, path string) []string {
	var got []string
	for _, f := range i.Check(context.Background()) {
		severity := [...]string{"info", "warning", "bad"}[f.Severity]
		got = append(got, fmt.Sprint(severity, " ", f.Code, " ", strings.ReplaceAll(f.Message, path, "FILE")))
	}
	return got
}

func TestCheckOfFilesThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Symlink(path("nothing"), path("dangling")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path   string
		create bool
		want   []string
	}{
		{path("absent"), false, []string{`bad InvalidConfig path: "FILE" does not exist; create = True makes it`}},
		{path("absent"), true, []string{`info  "FILE" does not exist and will be made`}},
		{path("deep/er"), true, []string{`info  "FILE" does not exist and will be made`}},
		{dir, false, []string{`bad InvalidConfig path: "FILE" is not a regular file`}},
		{path("dangling"), true, []string{`bad InvalidConfig path: "FILE" is a symbolic link to nothing`}},
	}
	for _, tt := range tests {
		i := configure(t, tt.path, "create", tt.create)
		got := findings(i, tt.path)
		if d := cmp.Diff(tt.want, got[:1]); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.path, d)
		}
	}
	if got := findings(configure(t, path("file/under"), "create", true), path("file/under")); !strings.HasPrefix(got[0], "bad InvalidConfig") {
		t.Errorf("a file where a directory should be: got %q", got)
	}
}

func TestDescriptionIsStaticAndNamesEveryAbility(t *testing.T) {
	d := New().Describe()
	if diff := cmp.Diff(d, New().Describe()); diff != "" {
		t.Errorf("Describe differs from call to call:\n%s", diff)
	}
	for _, a := range []sdk.Ability{sdk.CanFind, sdk.CanList, sdk.CanPolicy, sdk.CanVerify, sdk.CanCheck, sdk.CanBatch} {
		if !d.Can(a) {
			t.Errorf("Describe lacks ability %s", a)
		}
	}
	if !d.CanReplay(sdk.Set) || d.CanReplay(sdk.Change) || d.VerifyIsLogon {
		t.Error("a set is to be replay-safe, a change not, and a verify no logon")
	}
}

func TestConfigureChecksItsSettings(t *testing.T) {
	for _, values := range []map[string]any{
		{}, {"path": "x", "hash": "des"}, {"path": "x", "cost": int64(99)}, {"path": "x", "hash": "apr1", "cost": int64(5)},
	} {
		_, err := New().Configure(t.Context(), sdk.Config{Values: values})
		if !errors.Is(err, &sdk.Error{Code: sdk.InvalidConfig}) {
			t.Errorf("Configure(%v) = %v, want InvalidConfig", values, err)
		}
	}
}

func TestNoAnswerQuotesAValue(t *testing.T) {
	i, _ := open(t, "alice:{SHA}AAAA\ndes:abJnggxhB/yWI\n", "hash", "bcrypt", "cost", int64(4))
	long := strings.Repeat(canary, 9)
	for _, op := range []sdk.Operation{set("alice", long), set("nobody", canary), change("alice", canary, canary+"2"), change("des", canary, long)} {
		r := i.Apply(t.Context(), op)
		if text := fmt.Sprintf("%+v %q %v", r, r.Err.Message, r.Err.Violations); strings.Contains(text, "y é") {
			t.Errorf("%s %s: %s", op.Verb, op.Account, text)
		}
	}
}

func TestOneFileUnderTwoNamesIsOneTarget(t *testing.T) {
	dir := t.TempDir()
	path, link, other := filepath.Join(dir, "users"), filepath.Join(dir, "link"), filepath.Join(dir, "other")
	for name, err := range map[string]error{
		path:  os.WriteFile(path, []byte("ann:x\n"), 0o600),
		other: os.WriteFile(other, []byte("ann:x\n"), 0o600),
		link:  os.Symlink(path, link),
	} {
		if err != nil {
			t.Fatal(name, err)
		}
	}
	ask := func(path, name string) sdk.Identity {
		i, err := New().Configure(t.Context(), sdk.Config{Values: map[string]any{"path": path, "create": true}})
		if err != nil {
			t.Fatal(err)
		}
		found, err := i.(sdk.Resolver).Resolve(t.Context(), []string{name})
		if err != nil || len(found) != 1 || found[0].ID == "" {
			t.Fatalf("%+v, %v", found, err)
		}
		return found[0]
	}
	for _, c := range []struct {
		a, b [2]string
		same bool
	}{
		{[2]string{path, "ann"}, [2]string{link, "ann"}, true},
		{[2]string{path, "ann"}, [2]string{dir + "/./users", "ann"}, true},
		{[2]string{path, "ann"}, [2]string{path, "Ann"}, false},
		{[2]string{path, "ann"}, [2]string{other, "ann"}, false},
		{[2]string{dir + "/new", "ann"}, [2]string{dir + "/../" + filepath.Base(dir) + "/new", "ann"}, true},
	} {
		if a, b := ask(c.a[0], c.a[1]), ask(c.b[0], c.b[1]); (a == b) != c.same {
			t.Errorf("%v is %+v, %v is %+v: want one: %v", c.a, a, c.b, b, c.same)
		}
	}
}
