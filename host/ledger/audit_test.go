package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// audited verifies a run and demands that nothing is wrong.
func audited(t bench, s *Store, id, checkpoint string) hashlog.Audit {
	t.Helper()
	a, err := s.Verify(id, checkpoint)
	must(t, err)
	if !a.OK {
		t.Fatalf("Verify(%s) found %v", id, a.Problems)
	}
	return a
}

// story makes a run with a record of every kind: ann is done (records 3 to 5),
// bob was refused, put back and is done (6 to 12), cid is failed (13 to 15),
// dan is skipped by the plan.
func story(t bench, s *Store, k Keys) *Run {
	t.Helper()
	d := draftOf(t, s, k, []PlannedUser{{Key: "ann"}, {Key: "bob"}, {Key: "cid", Wave: 1}, {Key: "dan", Skipped: true, Reason: "frozen"}})
	r, err := d.Freeze([]WavePlan{{Name: "canary"}, {Name: "rest"}})
	must(t, err)
	t.Cleanup(func() { r.Close() })
	unlocked := func(user int64) *journal.Record {
		return &journal.Record{Kind: journal.Answer, User: user, Step: 2, Verb: "verify", Backend: "b", Outcome: sdk.Applied, Detail: journal.Detail{Verdict: "accepted"}}
	}
	for _, group := range [][]*journal.Record{
		{{Kind: journal.Started, Detail: journal.Detail{Command: "run"}}},
		{intent(r, 1, 1, 0, "a"), outcome(1, 1, 0, sdk.Applied, ""), finished(1, journal.Done, "")},
		{intent(r, 2, 1, 0, "b"), outcome(2, 1, 0, sdk.Refused, sdk.Conflict), finished(2, journal.Failed, sdk.Conflict)},
		{{Kind: journal.Reopened, User: 2}, intent(r, 2, 1, 1, "c"), outcome(2, 1, 1, sdk.Applied, ""), finished(2, journal.Done, "")},
		{intent(r, 3, 1, 0, "d"), unlocked(3), outcome(3, 1, 0, sdk.Refused, sdk.AccountNotFound)},
		{finished(3, journal.Failed, sdk.AccountNotFound)},
		{{Kind: journal.Held, Detail: journal.Detail{Wave: "canary"}}, {Kind: journal.Approved, Detail: journal.Detail{Wave: "canary"}}},
		{{Kind: journal.Accepted}, {Kind: journal.Revealed}, {Kind: journal.Reported}, {Kind: journal.Stopped}, {Kind: journal.Ended, Detail: journal.Detail{State: journal.StateFinished}}},
	} {
		commit(t, r, group...)
		_, _, err := r.SignHead()
		must(t, err)
	}
	return r
}

// storySize is how many records story makes.
const storySize = 24

// flip flips one bit of a record's bytes, from the front or, negative, from the
// back.
func flip(id int64, at int) func(t bench, s *Store, run string) {
	return func(t bench, s *Store, run string) {
		editRecord(t, s, run, id, func(frame []byte) []byte {
			frame[(at+len(frame))%len(frame)] ^= 1
			return frame
		})
	}
}

// swap exchanges two records, with what stands beside them.
func swap(a, b int) func(t bench, s *Store, run string) {
	return sql(fmt.Sprintf("UPDATE REC SET ID = -1 WHERE ID = %d", a), fmt.Sprintf("UPDATE REC SET ID = %d WHERE ID = %d", a, b),
		fmt.Sprintf("UPDATE REC SET ID = %d WHERE ID = -1", b))
}

func TestEveryTamperingIsNamed(t *testing.T) {
	for name, store := range map[string]func(t bench, s *Store, id string){
		"groups": func(bench, *Store, string) {},
		"rows":   asRows,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyTampering(t, store)
		})
	}
}

func everyTampering(t *testing.T, store func(t bench, s *Store, id string)) {
	s := newStore(t)
	k := newKeys(t, s)
	r := story(t, s, k)
	id := r.ID()
	size, head, err := r.SignHead()
	must(t, err)
	if size != storySize {
		t.Fatalf("the story has %d records, want %d", size, storySize)
	}
	must(t, r.Close())
	store(t, s, id)
	type tampering struct {
		name string
		how  func(t bench, s *Store, run string)
		want string
	}
	var table []tampering
	for i := int64(1); i <= storySize; i++ {
		table = append(table,
			tampering{fmt.Sprintf("flip the front of record %d", i-1), flip(i, 1), fmt.Sprintf("record %d", i-1)},
			tampering{fmt.Sprintf("flip the middle of record %d", i-1), flip(i, 8), fmt.Sprintf("record %d", i-1)},
			tampering{fmt.Sprintf("flip the sum of record %d", i-1), flip(i, -1), fmt.Sprintf("record %d", i-1)},
			tampering{fmt.Sprintf("drop record %d", i-1), sql(fmt.Sprintf("DELETE FROM REC WHERE ID = %d", i)), fmt.Sprintf("record %d: it is missing", i-1)},
		)
		if i < storySize {
			table = append(table,
				tampering{fmt.Sprintf("truncate after record %d", i-1), sql(fmt.Sprintf("DELETE FROM REC WHERE ID > %d", i)), cutOff(i)},
				tampering{fmt.Sprintf("swap records %d and %d", i-1, i), swap(int(i), int(i+1)), fmt.Sprintf("record %d", i-1)},
				tampering{fmt.Sprintf("put in behind record %d", i-1), sql(fmt.Sprintf("UPDATE REC SET ID = -ID-1 WHERE ID > %d", i), "UPDATE REC SET ID = -ID WHERE ID < 0",
					fmt.Sprintf("INSERT INTO REC SELECT ID+1, BESIDE, body FROM REC WHERE ID = %d", i)), fmt.Sprintf("record %d", i)})
		}
	}
	table = append(table,
		tampering{"name in the dropped outcome", sql("DELETE FROM REC WHERE ID = 5"), `record 5 (user "ann"): finished as done, but step 1 has no outcome`},
		tampering{"name in the dropped intent", sql("DELETE FROM REC WHERE ID = 4"), `record 4 (user "ann", step 1): outcome without an intent`},
		tampering{"name in the dropped status", sql("DELETE FROM REC WHERE ID = 6", "UPDATE user SET rec = rec"), `record 5 (user "ann"): the table of users says done, the records say nothing`},
		tampering{"name in the dropped reopening", sql("DELETE FROM REC WHERE ID = 10"), `record 10 (user "bob", step 1): intent of a user who has a status already`},
		tampering{"name in the flipped record", flip(4, 12), `record 3 (user "ann"`},
		tampering{"drop and close the gap", sql("DELETE FROM REC WHERE ID = 8", "UPDATE REC SET ID = -ID+1 WHERE ID > 8", "UPDATE REC SET ID = -ID WHERE ID < 0"), "record 7 (user \"bob\"): here stands what was written as record 8 (finished)"},
		tampering{"append", sql("INSERT INTO REC SELECT 25, BESIDE, body FROM REC WHERE ID = 24"), "record 24"},
		tampering{"put in before the first", sql("INSERT INTO REC SELECT -5, BESIDE, body FROM REC WHERE ID = 4"), "1 records were put in before the first"},
		tampering{"put in far behind", sql("INSERT INTO REC SELECT 1 << 60, BESIDE, body FROM REC WHERE ID = 4"), "are missing"},
		tampering{"another kind beside", sql("UPDATE REC SET kind = 6 WHERE ID = 4"), `record 3 (user "ann", step 1): it is listed as answer`},
		tampering{"another user beside", sql("UPDATE REC SET user = 2 WHERE ID = 4"), `record 3`},
		tampering{"truncate, state too", sql("DELETE FROM REC WHERE ID > 20", "UPDATE state SET size = 20"), "signed head at 24 records: the log has only 20 now"},
		tampering{"truncate, state and heads too", truncateWell(14), "the log had 24 records when it was taken and has 14 now: its end was cut off"},
		tampering{"rewrite a record and its sum", rewrite(5), "some record before 24 is not what it was when the checkpoint was taken; the signed heads say it is one of records 3 to 5"},
		tampering{"status of a user", sql("UPDATE user SET status = 2 WHERE pos = 1"), `user "ann"): the table of users says failed, the records say done`},
		tampering{"code of a user", sql("UPDATE user SET code = 'Protected' WHERE pos = 3"), `user "cid"): the table of users has code "Protected", the record "AccountNotFound"`},
		tampering{"another record of a status", sql("UPDATE user SET rec = 12 WHERE pos = 1"), `user "ann"`},
		tampering{"status dropped", sql("DELETE FROM user WHERE pos = 2"), `user "bob"): its status is missing`},
		tampering{"status put in", sql("INSERT INTO user VALUES (4, 1, '', 1)"), `user "dan"): the table of users says done, the records say nothing`},
		tampering{"status of nobody", sql("INSERT INTO user VALUES (9, 1, '', 1)"), `table of users: position 9 is not in the plan`},
		tampering{"status just behind the plan", sql("INSERT INTO user VALUES (5, 1, '', 1)"), `table of users: position 5 is not in the plan`},
		tampering{"status before the plan", sql("INSERT INTO user VALUES (0, 1, '', 1)"), `table of users: position 0 is not in the plan`},
		tampering{"key of a user", sql("UPDATE plan SET key = 'eve', fold = 'eve' WHERE pos = 1"), `user "eve": its row of the plan was changed`},
		tampering{"folded key of a user", sql("UPDATE plan SET fold = 'eve' WHERE pos = 1"), `user "ann": its row of the plan was changed`},
		tampering{"cells of a user", sql("UPDATE plan SET row = 'x' WHERE pos = 2"), `user "bob": its row of the plan was changed`},
		tampering{"reason of a user", sql("UPDATE plan SET reason = 'x' WHERE pos = 4"), `user "dan": its row of the plan was changed`},
		tampering{"user dropped from the plan", sql("DELETE FROM plan WHERE pos = 2"), `user at position 2: its row of the plan is missing`},
		tampering{"users swapped in the plan", sql("UPDATE plan SET pos = -1 WHERE pos = 1", "UPDATE plan SET pos = 1 WHERE pos = 2", "UPDATE plan SET pos = 2 WHERE pos = -1"), `plan: rows, their order or the bounds`},
		tampering{"bounds of the waves", sql("UPDATE wave SET last = 1 WHERE n = 0", "UPDATE wave SET first = 2 WHERE n = 1"), `plan: wave "canary" has 1 users, frozen were 2`},
		tampering{"total of the plan", sql("UPDATE run SET total = 5"), "plan: the run says 5 rows, frozen were 4"},
		tampering{"name of a wave", sql("UPDATE wave SET name = 'x' WHERE n = 0"), `plan: wave "x"`},
		tampering{"script", sql("UPDATE run SET header = replace(header, 'test.star', 'evil.star')"), "header: the script"},
		tampering{"counts", sql("UPDATE state SET standing = replace(standing, '[0,2,', '[0,1,')"), "state: counts or state"},
		tampering{"state", sql("UPDATE state SET standing = replace(standing, 'finished', 'running')"), "state: counts or state"},
		tampering{"state dropped", sql("DELETE FROM state"), "state: its row is missing"},
		tampering{"right edge", sql("UPDATE state SET frontier = zeroblob(length(frontier))"), "log: some record or the root"},
		tampering{"text of a head", sql("UPDATE head SET note = replace(note, 'rekey/run/', 'rekey/run/x') WHERE size = 3"), "signed head at 3 records: its text was changed"},
		tampering{"signature of a head", sql("UPDATE head SET note = replace(note, 'rekey-test-host ', 'rekey-test-host A') WHERE size = 3"), "signed head at 3 records: its signature does not fit"},
	)
	if !isOfRows(t, crashed(t, s), id) { // of a group nothing of one record stands beside it
		table = slices.DeleteFunc(table, func(c tampering) bool { return strings.HasSuffix(c.name, "beside") })
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			copied := crashed(t, s)
			audited(t, copied, id, head)
			c.how(t, copied, id)
			a, err := copied.Verify(id, head)
			must(t, err)
			if a.OK {
				t.Fatal("nothing was found")
			}
			text := listed(a)
			if !strings.Contains(text, c.want) {
				t.Fatalf("found:\n%swant %q", text, c.want)
			}
		})
	}
}

func listed(a hashlog.Audit) string {
	text := ""
	for _, p := range a.Problems {
		text += p.String() + "\n"
	}
	return text
}

func cutOff(size int64) string {
	return fmt.Sprintf("record %d: it is missing: the end of the log was cut off", size)
}

// truncateWell cuts a log off as the program itself would have left it.
func truncateWell(size int64) func(t bench, s *Store, run string) {
	return func(t bench, s *Store, run string) {
		c := rawly(t, s, run)
		defer c.close()
		edit(t, s, run, fmt.Sprintf("DELETE FROM REC WHERE ID > %d", size))
		must(t, c.run("DELETE FROM head WHERE size > ?", size))
		must(t, c.run("DELETE FROM user WHERE rec > ?", size))
		settle(t, c, run)
	}
}

// rewrite changes what a record says, and all sums and roots that are not
// signed with it.
func rewrite(id int64) func(t bench, s *Store, run string) {
	return func(t bench, s *Store, run string) {
		c := rawly(t, s, run)
		defer c.close()
		names := namesOf(t, c)
		enc, dec := hashlog.Encoder{Key: &names}, hashlog.Decoder{}
		editRecord(t, s, run, id, func(frame []byte) []byte {
			rec, err := dec.Record(frame)
			must(t, err)
			rec.Detail.Ref = "forged"
			f, err := hashlog.FrameOf(&rec)
			must(t, err)
			body, _ := enc.Stored(nil, &f)
			return body
		})
		settle(t, c, run)
	}
}

func namesOf(t bench, c *conn) hashlog.NamesKey {
	found, err := c.one("SELECT names FROM run")
	must(t, err)
	return hashlog.NamesKey(found.bytes(0))
}

// settle makes the row of the state what the records say.
func settle(t bench, c *conn, _ string) {
	t.Helper()
	names := namesOf(t, c)
	enc, dec := hashlog.Encoder{Key: &names}, hashlog.Decoder{}
	var bounds []hashlog.Wave
	must(t, c.each("SELECT name, first, last FROM wave ORDER BY n", func(w row) error {
		bounds = append(bounds, hashlog.Wave{Name: w.text(0), First: w.int(1), Last: w.int(2)})
		return nil
	}))
	now, tree, was := newStanding(bounds), hashlog.Frontier{}, map[int64]statusNumber{}
	for _, p := range everyRecord(t, c) {
		f, err := dec.Split(p.frame)
		must(t, err)
		tree.Push(enc.Leaf(&f, p.frame))
		rec, err := f.Record()
		must(t, err)
		now.apply(&rec, was[rec.User])
		if rec.Kind == journal.Finished {
			was[rec.User] = finalStatuses[rec.Detail.Status]
		}
	}
	text, err := json.Marshal(now)
	must(t, err)
	must(t, c.run("UPDATE state SET size = ?, frontier = ?, standing = ?", tree.Size, tree.Bytes(), string(text)))
}

func TestWithoutACheckpointOnlyConsistencyIsProved(t *testing.T) {
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	size, head, err := r.SignHead()
	must(t, err)
	text, err := r.Checkpoint()
	must(t, err)
	if a := audited(t, s, r.ID(), ""); !a.ConsistencyOnly || a.Size != size || a.Head != head || a.Signed != size {
		t.Fatalf("Verify() = %+v", a)
	}
	_, hash, _ := strings.Cut(head, ":")
	_, _, root, err := hashlog.ParseHead(text)
	must(t, err)
	for _, kept := range []string{head, hash, text, fmt.Sprintf("%d:%s", size, root), root.String(), " " + head + "\n", strings.ReplaceAll(text, "\n", "\r\n")} {
		if a := audited(t, s, r.ID(), kept); a.ConsistencyOnly {
			t.Errorf("Verify(%q) says that nothing was kept", kept)
		}
	}
	commit(t, r, &journal.Record{Kind: journal.Started})
	audited(t, s, r.ID(), head)
	truncateWell(14)(t, s, r.ID())
	must(t, os.Remove(s.markFile(r.ID())))
	audited(t, s, r.ID(), "") // nobody can tell
}

func TestCheckpointThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	r, other := story(t, s, k), story(t, s, k)
	for _, text := range []string{"x", "12:", ":ab", "-1:" + strings.Repeat("ab", 32), "rekey/run/x", "rekey/run/x\nnine\n"} {
		if _, err := s.Verify(r.ID(), text); err == nil {
			t.Errorf("Verify(%q) gave no error", text)
		}
	}
	foreign, err := other.Checkpoint()
	must(t, err)
	_, foreignHead, err := other.SignHead()
	must(t, err)
	own, err := r.Checkpoint()
	must(t, err)
	for text, want := range map[string]string{
		foreign:                              "checkpoint: it is of run " + other.ID(),
		foreignHead:                          "checkpoint: some record before 24",
		strings.Repeat("ab", 32):             "checkpoint: the log never had this head",
		strings.Replace(own, "— ", "— x", 1): "checkpoint: it is not signed",
	} {
		a, err := s.Verify(r.ID(), text)
		must(t, err)
		if !strings.Contains(listed(a), want) {
			t.Errorf("Verify(%q) found %q, want %q", text, listed(a), want)
		}
	}
}

func TestRunThatIsNotThereIsNotVerified(t *testing.T) {
	s := newStore(t)
	if _, err := s.Verify("rnone", ""); !errors.Is(err, ErrNoRun) {
		t.Fatalf("Verify() = %v, want ErrNoRun", err)
	}
	must(t, os.WriteFile(s.runFile("rbad"), []byte("no database"), 0o600))
	if _, err := s.Verify("rbad", ""); err == nil {
		t.Fatal("Verify() of what is no database gave no error")
	}
	list, err := s.Runs()
	must(t, err)
	if len(list) != 1 || list[0].Err == nil || list[0].Header.ID != "rbad" {
		t.Fatalf("Runs() = %+v", list)
	}
}

func TestHeadsAreSignedByTheStateDirectory(t *testing.T) {
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	text, err := r.Checkpoint()
	must(t, err)
	vkey, err := s.VerifierKey()
	must(t, err)
	verifier, err := note.NewVerifier(vkey)
	must(t, err)
	n, err := note.Open([]byte(text), note.VerifierList(verifier))
	must(t, err)
	if n.Sigs[0].Name != "rekey-test-host" || !strings.HasPrefix(n.Text, "rekey/run/"+r.ID()+"\n24\n") {
		t.Fatalf("head %q signed by %q", n.Text, n.Sigs[0].Name)
	}
	again, err := Open(s.Dir(), Options{Host: "another name"})
	must(t, err)
	if got, err := again.VerifierKey(); err != nil || got != vkey {
		t.Fatalf("VerifierKey() = %q, %v, want %q", got, err, vkey)
	}
}

func TestHeadsAreFewWhileRecordsAreMany(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 300)
	for user := int64(1); user <= 300; user++ {
		commit(t, r, finished(user, journal.Failed, "X"))
	}
	n := asked(t, s, r.ID(), "SELECT count(*) FROM head")
	if n > 150 {
		t.Fatalf("%d heads for 300 quick commits", n)
	}
	_, head, err := r.SignHead()
	must(t, err)
	_, again, err := r.SignHead()
	must(t, err)
	if head != again {
		t.Fatalf("SignHead() = %s, then %s", head, again)
	}
}

// bundled exports and verifies.
func bundled(t *testing.T, s *Store, r *Run, o ExportOptions) (hashlog.Bundle, []journal.Record, []byte) {
	t.Helper()
	var out bytes.Buffer
	must(t, r.Export(&out, o))
	vkey, err := s.VerifierKey()
	must(t, err)
	var recs []journal.Record
	b, err := hashlog.VerifyBundle(bytes.NewReader(out.Bytes()), vkey, func(r journal.Record) error { recs = append(recs, r); return nil })
	must(t, err)
	return b, recs, out.Bytes()
}

func TestBundleProves(t *testing.T) {
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	for _, c := range []struct {
		name    string
		o       ExportOptions
		records int64
		rows    int64
	}{
		{"one user", ExportOptions{Keys: []string{"BOB"}}, 2 + 7, 1},
		{"one user, names withheld", ExportOptions{Keys: []string{"bob"}, Withhold: true}, 2 + 7, 1},
		{"two users", ExportOptions{Keys: []string{"ann", "dan"}}, 2 + 3, 2},
		{"all", ExportOptions{}, storySize, 4},
		{"all, names withheld", ExportOptions{Withhold: true}, storySize, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, recs, text := bundled(t, s, r, c.o)
			if !b.OK || b.Records != c.records || b.Rows != c.rows || b.Complete != (c.o.Keys == nil) || b.Withheld != c.o.Withhold || b.Run != r.ID() || b.Size != storySize {
				t.Fatalf("VerifyBundle() = %+v", b)
			}
			if int64(len(recs)) != c.records {
				t.Fatalf("%d records, want %d", len(recs), c.records)
			}
			for _, name := range []string{`"ann"`, `"bob"`, "user-1", "user-2"} {
				if c.o.Withhold && bytes.Contains(text, []byte(`"`+name+`"`)) { // quoted: three letters alone turn up in base64
					t.Errorf("the bundle names %q", name)
				}
			}
			if !json.Valid(text) {
				t.Error("the bundle is not JSON")
			}
		})
	}
}

func TestWhatFollowsABundleIsNotProved(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	_, _, text := bundled(t, s, r, ExportOptions{})
	vkey, err := s.VerifierKey()
	must(t, err)
	for _, c := range []struct {
		more string
		ok   bool
	}{{"", true}, {"\n \r\n", true}, {`{"shows":{"kind":"outcome"}}`, false}, {"x", false}, {",", false}, {"}", false}, {"\x00", false}, {string(text), false}} {
		b, err := hashlog.VerifyBundle(strings.NewReader(string(text)+c.more), vkey, nil)
		must(t, err)
		if b.OK != c.ok {
			t.Errorf("followed by %.20q: OK %v %v, want %v", c.more, b.OK, b.Problems, c.ok)
		}
	}
}

func TestBundleOfALargeLogProves(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	r := mixed(t, s, k, 6000)
	b, recs, _ := bundled(t, s, r, ExportOptions{Keys: []string{"user-1", "user-4", "user-5999", "user-10"}})
	if !b.OK || b.Rows != 4 || len(recs) != 2+3+3 {
		t.Fatalf("VerifyBundle() = %+v with %d records", b, len(recs))
	}
}

func TestProofOfARunThatIsReadIsUnderAFreshHead(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 2)
	commit(t, r, &journal.Record{Kind: journal.Started})
	commit(t, r, intent(r, 1, 1, 0, "x"))
	ro, err := s.Read(r.ID())
	must(t, err)
	defer ro.Close()
	text, err := ro.Prove("user-1")
	must(t, err)
	vkey, err := s.VerifierKey()
	must(t, err)
	b, err := hashlog.VerifyBundle(bytes.NewReader(text), vkey, nil)
	must(t, err)
	if !b.OK || b.Records != 3 || b.Size != 4 {
		t.Fatalf("VerifyBundle() = %+v", b)
	}
	commit(t, r, outcome(1, 1, 0, sdk.Applied, ""))
	if _, err := ro.Prove("nobody"); !errors.Is(err, ErrNoUser) {
		t.Fatalf("Prove() = %v, want ErrNoUser", err)
	}
}

func TestTamperedBundleProvesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	vkey, err := s.VerifierKey()
	must(t, err)
	other := newStore(t)
	foreign, err := other.VerifierKey()
	must(t, err)
	for _, o := range []ExportOptions{{Keys: []string{"bob"}}, {}} {
		_, _, text := bundled(t, s, r, o)
		for _, c := range []struct {
			name string
			old  string
			new  string
		}{
			{"what a record shows", `"code":"Conflict"`, `"code":"Protected"`},
			{"what a row shows", `"key":"bob"`, `"key":"eve"`},
			{"a sealed value in the view", `"sealed":"`, `"sealed":"AAAA`},
			{"the bytes of a leaf", `"public":"AQ`, `"public":"Ag`},
			{"a salt", `"salt":"`, `"salt":"AAAA`},
			{"the run", `"run": "r`, `"run": "x`},
			{"the head", "\\n24\\n", "\\n23\\n"},
			{"a claim to be complete", `"complete": false`, `"complete": true`},
			{"a claim to be a part", `"complete": true`, `"complete": false`},
			{"a proof", `"proof":["`, `"proof":["AAAA`},
			{"a name withheld", `"withheld": false`, `"withheld": true`},
			{"the format", "rekey-audit-bundle/1", "x"},
		} {
			bad := bytes.Replace(text, []byte(c.old), []byte(c.new), 1)
			if bytes.Equal(bad, text) {
				continue // not in this one
			}
			b, err := hashlog.VerifyBundle(bytes.NewReader(bad), vkey, nil)
			if err == nil && b.OK {
				t.Errorf("%s was changed, keys %v: it proves", c.name, o.Keys)
			}
		}
		if b, err := hashlog.VerifyBundle(bytes.NewReader(text), foreign, nil); err == nil && b.OK {
			t.Error("it proves under another key")
		}
		for n := 0; n < len(text)-2; n += 97 {
			if b, err := hashlog.VerifyBundle(bytes.NewReader(text[:n]), vkey, nil); err == nil && b.OK {
				t.Errorf("cut off at %d it proves", n)
			}
		}
	}
	if _, err := hashlog.VerifyBundle(strings.NewReader("{}"), "nonsense", nil); err == nil {
		t.Error("a key that is none is taken")
	}
}

// TestBundleOfTheSameTwiceProvesNothing: what it counts would be no count of
// the log's records, and what it shows no order of what happened.
func TestBundleOfTheSameTwiceProvesNothing(t *testing.T) {
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	vkey, err := s.VerifierKey()
	must(t, err)
	for _, o := range []ExportOptions{{Keys: []string{"bob"}}, {Keys: []string{"ann", "dan"}}, {Keys: []string{"bob"}, Withhold: true}, {}} {
		_, _, text := bundled(t, s, r, o)
		head, leaves, ends := arrays(t, string(text))
		for _, c := range []struct {
			name  string
			array int
			edit  func(list []string) []string
		}{
			{"the last record 20 times", 0, func(l []string) []string { return append(l, slices.Repeat(l[len(l)-1:], 20)...) }},
			{"a record in another's place", 0, func(l []string) []string { l[len(l)-2] = l[len(l)-1]; return l }},
			{"the first record at the end", 0, func(l []string) []string { return append(l, l[0]) }},
			{"records in reversed order", 0, func(l []string) []string { slices.Reverse(l); return l }},
			{"two records exchanged", 0, func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }},
			{"a row twice", 1, func(l []string) []string { return append(l, l[0]) }},
			{"all rows twice", 1, func(l []string) []string { return append(l, l...) }},
		} {
			changed := [2][]string{slices.Clone(leaves[0]), slices.Clone(leaves[1])}
			changed[c.array] = c.edit(changed[c.array])
			bad := head + strings.Join(changed[0], ",") + ends[0] + strings.Join(changed[1], ",") + ends[1]
			if !json.Valid([]byte(bad)) {
				t.Fatalf("%s: the test makes no JSON", c.name)
			}
			if b, err := hashlog.VerifyBundle(strings.NewReader(bad), vkey, nil); err == nil && b.OK {
				t.Errorf("%s, keys %v: it proves %d of %d records", c.name, o.Keys, b.Records, b.Size)
			}
		}
	}
}

// arrays takes a bundle apart at its records and its rows.
func arrays(t *testing.T, text string) (head string, leaves [2][]string, ends [2]string) {
	t.Helper()
	head, rest, ok := strings.Cut(text, "\"records\": [\n")
	records, rest, ok2 := strings.Cut(rest, "],\n\"rows\": [\n")
	at := strings.LastIndex(rest, "]}")
	if !ok || !ok2 || at < 0 {
		t.Fatalf("the bundle is laid out otherwise: %s", text)
	}
	return head + "\"records\": [\n", [2][]string{strings.Split(records, "\n,"), strings.Split(rest[:at], "\n,")}, [2]string{"],\n\"rows\": [\n", rest[at:]}
}

func TestCompleteBundleWithoutARecordProvesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	vkey, err := s.VerifierKey()
	must(t, err)
	_, _, text := bundled(t, s, r, ExportOptions{})
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, ",{") {
			continue
		}
		bad := strings.Join(append(append([]string(nil), lines[:i]...), lines[i+1:]...), "")
		b, err := hashlog.VerifyBundle(strings.NewReader(bad), vkey, nil)
		if err == nil && b.OK {
			t.Errorf("without line %d it proves: %s", i, line)
		}
	}
}

func TestBundleHoldsNoCell(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r, err := draftOf(t, s, k, []PlannedUser{{Key: "ann", Row: []byte(canary)}}).Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	defer r.Close()
	commit(t, r, &journal.Record{Kind: journal.Intent, User: 1, Step: 1, Verb: "set", Sealed: r.Seal(1, 1, 0, "value", secret.New(canary))})
	_, _, text := bundled(t, s, r, ExportOptions{})
	for form, needle := range forms(canary) {
		if bytes.Contains(text, needle) {
			t.Errorf("the bundle holds a cell of the source as %s", form)
		}
	}
}

func TestVerifyMakesNoKey(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 1)
	must(t, r.Close())
	must(t, os.Remove(filepath.Join(s.Dir(), "audit.key")))
	s, err := Open(s.Dir(), Options{})
	must(t, err)
	audited(t, s, r.ID(), "")
	if files.Exists(filepath.Join(s.Dir(), "audit.key")) {
		t.Fatal("there is an audit key")
	}
}
