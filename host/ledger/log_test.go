package ledger

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// edit changes a run's database as somebody does who can write it and knows
// SQLite. In a query, REC is the table of its records, ID the column of a
// record's id, BESIDE the columns between that and the record: each record of a
// group is made a group of its own first. Where a query is about the table user,
// all users get their rows there first.
func edit(t bench, s *Store, id string, queries ...string) {
	t.Helper()
	c, err := openConn(s.runFile(id), readWrite, s.temp())
	must(t, err)
	defer c.close()
	l, err := logOf(c)
	must(t, err)
	words := strings.NewReplacer("REC", "grp", "ID", "first", "BESIDE", "n, lo, hi, span")
	if l.rows {
		words = strings.NewReplacer("REC", "rec", "ID", "id", "BESIDE", "kind, user")
	} else if strings.Contains(strings.Join(queries, ""), "REC") {
		must(t, c.within(func() error { oneByOne(t, l); return nil }))
	}
	if strings.Contains(strings.Join(queries, "")+" ", " user ") {
		must(t, c.within(func() error { doneAsRows(t, l); return nil }))
	}
	if strings.Contains(strings.Join(queries, "")+" ", " plan ") {
		must(t, c.within(func() error { plannedAsRows(t, l); return nil }))
	}
	for _, q := range queries {
		must(t, c.run(words.Replace(q)))
	}
}

// plannedAsRows takes the rows of the plan from their sheets to the table plan.
func plannedAsRows(t bench, l *log) {
	t.Helper()
	if !l.sheets {
		return
	}
	found, err := l.c.one("SELECT names FROM run")
	must(t, err)
	names, private := hashlog.NamesKey(found.bytes(0)), []byte(nil)
	enc := hashlog.Encoder{Key: &names}
	var list []hashlog.PlannedRow
	must(t, l.eachSheet(1, 1<<62, func(s *hashlog.Sheet) error {
		return s.Rows(func(p *hashlog.PlannedRow) error {
			list = append(list, *p)
			return nil
		})
	}))
	for i := range list {
		p := &list[i]
		hidden, ok := p.Is(&enc, &private)
		if !ok {
			t.Fatalf("row %d is not what was planned", p.Pos)
		}
		must(t, l.c.run("INSERT INTO plan VALUES (?,?,?,?,?,?,NULL,?)", p.Pos, p.Seq, int64(p.Line), p.Key, diag.Fold(p.Key), p.Cells, hidden[:]))
	}
	must(t, l.c.run("DELETE FROM sheet"))
}

func sql(queries ...string) func(t bench, s *Store, run string) {
	return func(t bench, s *Store, run string) { edit(t, s, run, queries...) }
}

// recordsOf returns the records that the groups have.
func recordsOf(t bench, l *log) (list []place) {
	t.Helper()
	must(t, l.eachGroup(0, 1<<62, func(g *hashlog.Group) error {
		return g.Each(func(r *hashlog.Stored) error {
			list = append(list, place{r.User, r.ID, r.Body})
			return nil
		})
	}))
	return list
}

// kindOf returns the kind of a stored record; 0: it is none.
func kindOf(body []byte) journal.Kind {
	f, _ := (&hashlog.Decoder{}).Split(body)
	return f.Kind
}

// oneByOne makes each record a group.
func oneByOne(t bench, l *log) {
	t.Helper()
	list := recordsOf(t, l)
	must(t, l.c.run("DELETE FROM grp"))
	for _, p := range list {
		g := hashlog.Group{First: p.id}
		g.Add(p.user, p.frame)
		must(t, l.put(&g))
	}
}

// doneAsRows gives users that are plainly done their rows in the table user.
func doneAsRows(t bench, l *log) {
	t.Helper()
	finishedBy := map[int64]int64{}
	for _, p := range recordsOf(t, l) {
		if kindOf(p.frame) == journal.Finished {
			finishedBy[p.user] = p.id
		}
	}
	must(t, l.eachDone(func(n int64, bytes []byte) error {
		for i, b := range bytes {
			if pos := n<<blockBits + int64(i); b != 0 {
				must(t, l.c.run("INSERT INTO user VALUES (?,?,'',?)", pos, int64(b), finishedBy[pos]))
			}
		}
		return nil
	}))
	if l.groups {
		must(t, l.c.run("DELETE FROM done"))
	}
}

// asRows makes a run one of format 1.
func asRows(t bench, s *Store, id string) {
	t.Helper()
	c, err := openConn(s.runFile(id), readWrite, s.temp())
	must(t, err)
	defer c.close()
	must(t, c.run("BEGIN"))
	must(t, c.run(rowSchema))
	l := &log{c: c, groups: true, sheets: true}
	withoutSheets(t, l)
	for _, p := range recordsOf(t, l) {
		must(t, c.run("INSERT INTO rec VALUES (?,?,?,?)", p.id, int64(kindOf(p.frame)), p.user, p.frame))
	}
	doneAsRows(t, l)
	must(t, c.run("DROP TABLE done"))
	must(t, c.run("DROP TABLE tile"))
	must(t, c.run("DROP TABLE grp"))
	must(t, c.run("UPDATE run SET format = 1"))
	must(t, c.run("COMMIT"))
}

// withoutSheets makes a ledger one of format 2.
func withoutSheets(t bench, l *log) {
	t.Helper()
	plannedAsRows(t, l)
	must(t, l.c.run("DROP TABLE sheet"))
	must(t, l.c.run("UPDATE run SET format = 2"))
}

// asGroups makes a run one of format 2.
func asGroups(t bench, s *Store, id string) {
	t.Helper()
	c, err := openConn(s.runFile(id), readWrite, s.temp())
	must(t, err)
	defer c.close()
	must(t, c.within(func() error { withoutSheets(t, &log{c: c, groups: true, sheets: true}); return nil }))
	must(t, c.run("VACUUM")) // another table is where the sheets were
}

// isOfRows reports whether a ledger has records of format 1.
func isOfRows(t bench, s *Store, id string) bool {
	t.Helper()
	c, err := openConn(s.runFile(id), readOnly, s.temp())
	must(t, err)
	defer c.close()
	l, err := logOf(c)
	must(t, err)
	return l.rows
}

// editRecord changes the bytes of one record where they are stored.
func editRecord(t bench, s *Store, run string, id int64, change func(frame []byte) []byte) {
	t.Helper()
	c, err := openConn(s.runFile(run), readWrite, s.temp())
	must(t, err)
	defer c.close()
	l, err := logOf(c)
	must(t, err)
	if l.rows {
		found, err := c.one("SELECT body FROM rec WHERE id = ?", id)
		must(t, err)
		if found != nil {
			must(t, c.run("UPDATE rec SET body = ? WHERE id = ?", change(bytes.Clone(found.bytes(0))), id))
			return
		}
	}
	found, err := c.one("SELECT first, body FROM grp WHERE first <= ? ORDER BY first DESC LIMIT 1", id)
	must(t, err)
	var g hashlog.Group
	at, list := found.int(0), hashlog.Frames{Rest: found.bytes(1)}
	for frame := list.Next(); frame != nil; frame = list.Next() {
		if at == id {
			frame = change(bytes.Clone(frame))
		}
		g.Add(0, frame)
		at++
	}
	must(t, c.run("UPDATE grp SET body = ? WHERE first = ?", g.Body, found.int(0)))
}

// TestLogGivesBackWhatWasPutIn, whatever the groups are, in the order of the log
// and by user.
func TestLogGivesBackWhatWasPutIn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 1)
	rapid.Check(t, func(rt *rapid.T) {
		b := bothTests{rt, t}
		c := r.writer.db
		must(b, c.run("BEGIN"))
		defer func() { must(b, c.run("ROLLBACK")) }()
		must(b, c.run("DELETE FROM grp"))
		l := &log{c: c, groups: true}
		want := drawGroups(b, l)
		from := rapid.Int64Range(0, int64(len(want))).Draw(rt, "from")
		to := rapid.Int64Range(from, int64(len(want))+2).Draw(rt, "to")
		var got []place
		must(b, l.each(from, to, func(r *hashlog.Stored) error { got = append(got, place{r.User, r.ID, r.Body}); return nil }))
		same(rt, "each", got, want[from:min(to, int64(len(want)))])
		users := &byUser{log: l}
		for range 3 {
			first := rapid.Int64Range(1, 200).Draw(rt, "first")
			last := rapid.Int64Range(first, 210).Draw(rt, "last")
			got = nil
			must(b, users.between(first, last, func(_ int64, records []place) error { got = append(got, records...); return nil }))
			some := slices.DeleteFunc(slices.Clone(want), func(p place) bool { return p.user < first || p.user > last })
			slices.SortFunc(some, place.order)
			same(rt, "between", got, some)
		}
	})
}

// drawGroups puts groups into a log and returns the records in them.
func drawGroups(t bothTests, l *log) (list []place) {
	for range rapid.IntRange(0, 8).Draw(t.T, "groups") {
		g := hashlog.Group{First: int64(len(list) + 1)}
		for range rapid.IntRange(1, 12).Draw(t.T, "records") {
			f := hashlog.Frame{Kind: journal.Intent, Index: int64(len(list)), User: rapid.Int64Range(0, 200).Draw(t.T, "user"), Verb: "set"}
			body, _ := (&hashlog.Encoder{Key: &hashlog.NamesKey{}}).Stored(nil, &f)
			g.Add(f.User, body)
			list = append(list, place{f.User, f.Index + 1, body})
		}
		must(t, l.put(&g))
	}
	return list
}

func same(t *rapid.T, what string, got, want []place) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(p, q place) bool { return p.user == q.user && p.id == q.id && bytes.Equal(p.frame, q.frame) }) {
		t.Fatalf("%s: %d records, want %d", what, len(got), len(want))
	}
}

// TestLargeCommitIsMoreThanOneGroup: none has more than a reading can hold.
func TestLargeCommitIsMoreThanOneGroup(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	const users = 2*hashlog.MaxGroup + 10
	r := newRun(t, s, k, users)
	var recs []*journal.Record
	for user := int64(1); user <= users; user++ {
		recs = append(recs, intent(r, user, 1, 0, "x"))
	}
	commit(t, r, recs...)
	large := finished(1, journal.Unresolved, "")
	large.Detail.Backtrace = strings.Repeat("x", hashlog.MaxBody)
	commit(t, r, large, finished(2, journal.Unresolved, ""))
	var sizes []int64
	l, err := logOf(r.writer.db)
	must(t, err)
	must(t, l.eachGroup(2, 1<<62, func(g *hashlog.Group) error { sizes = append(sizes, g.N); return nil }))
	if want := []int64{hashlog.MaxGroup, hashlog.MaxGroup, 10, 1, 1}; !slices.Equal(sizes, want) {
		t.Errorf("groups of %d records, want %d", sizes, want)
	}
	must(t, r.Confirm())
	audited(t, s, r.ID(), "")
}

// TestLedgerOfRowsGoesOnInGroups: what an older rekey wrote is read as it is,
// and what is added makes that version refuse the file.
func TestLedgerOfRowsGoesOnInGroups(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	r := mixed(t, s, k, 3000)
	id := r.ID()
	must(t, r.Close())
	want, err := contents(s, k, id)
	must(t, err)
	asRows(t, s, id)
	got, err := contents(s, k, id)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Fatal("a ledger of rows says something else")
	}
	formatIs := func(want int64) {
		t.Helper()
		c, err := s.openReader(s.runFile(id))
		must(t, err)
		defer c.close()
		if n, err := c.count("SELECT format FROM run"); err != nil || n != want {
			t.Fatalf("format %d, %v, want %d", n, err, want)
		}
	}
	r, err = s.Lock(id, k)
	must(t, err)
	formatIs(1) // nothing was added
	list, err := r.OpenUsers(0, 0, 10)
	must(t, err)
	if len(list) == 0 || len(list[0].History) == 0 {
		t.Fatalf("OpenUsers() = %+v, want a user with a history", list)
	}
	commit(t, r, outcome(list[0].Pos, 1, 0, sdk.Applied, ""), finished(list[0].Pos, journal.Done, ""))
	formatIs(2)
	must(t, r.Confirm())
	must(t, r.Close())
	a := audited(t, s, id, "")
	again, err := s.ReadWith(id, k)
	must(t, err)
	defer again.Close()
	u, err := again.User(list[0].Key)
	must(t, err)
	if u.Status != journal.Done || len(u.History) != 3 || u.History[2].Index != a.Size-1 {
		t.Fatalf("User() = %+v", u)
	}
	bundle, err := again.Prove(u.Key)
	must(t, err)
	key, err := s.VerifierKey()
	must(t, err)
	if b, err := hashlog.VerifyBundle(bytes.NewReader(bundle), key, nil); err != nil || !b.OK || b.Records != 5 {
		t.Fatalf("VerifyBundle() = %+v, %v", b, err)
	}
}

// namesEach makes each edit of a ledger by itself, and wants verification to say
// of it what is beside it.
func namesEach(t *testing.T, edits map[string]string) {
	t.Helper()
	s := newStore(t)
	r := fuzzedRun(t, s)
	id := r.ID()
	must(t, r.Close())
	for query, want := range edits {
		copied := crashed(t, s)
		edit(t, copied, id, query)
		a, err := copied.Verify(id, "")
		must(t, err)
		if text := listed(a); a.OK || !strings.Contains(text, want) {
			t.Errorf("%s: found:\n%swant %q", query, text, want)
		}
	}
}

// TestGroupThatIsListedWronglyIsNamed: readers find records by what groups are
// listed under.
func TestGroupThatIsListedWronglyIsNamed(t *testing.T) {
	t.Parallel()
	namesEach(t, map[string]string{
		"UPDATE grp SET n = n + 1 WHERE first = 7":                                   "record 6: its group is listed with 5 records, and has 4",
		"UPDATE grp SET n = n - 1 WHERE first = 7":                                   "record 6: its group is listed with 3 records, and has 4",
		"UPDATE grp SET lo = 3 WHERE first = 7":                                      "record 6: its group is listed under the users at positions 3 to 3",
		"UPDATE grp SET hi = 2 WHERE first = 7":                                      "record 6: its group is listed under the users at positions 2 to 2",
		"UPDATE grp SET span = 9 WHERE first = 7":                                    "record 6: its group is listed under",
		"DELETE FROM grp WHERE first = 7":                                            "record 6: it is missing",
		"UPDATE grp SET first = 8 WHERE first = 7":                                   "record 6: it is missing",
		"UPDATE grp SET first = 6 WHERE first = 7":                                   "record 5: it stands there a second time",
		"UPDATE grp SET body = x'' WHERE first = 7":                                  "record 6: it is missing",
		"UPDATE grp SET body = x'ffff' WHERE first = 7":                              "record 6: record: its bytes were changed: they are no record",
		"UPDATE grp SET body = body || x'0101' WHERE first = 7":                      "record 10",
		"UPDATE grp SET body = substr(body, 1, length(body) - 3)":                    "its bytes were changed: they are no record",
		"INSERT INTO grp SELECT 12, n, lo, hi, span, body FROM grp WHERE first = 11": "record 11",
	})
}

// TestLostPageOfALargeGroupHidesOnlyItself: it leads to the rest of the group.
func TestLostPageOfALargeGroupHidesOnlyItself(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	const users = 400
	r := newRun(t, s, k, users)
	var recs []*journal.Record
	for user := int64(1); user <= users; user++ {
		recs = append(recs, intent(r, user, 1, 0, fmt.Sprint(canary, user)))
	}
	commit(t, r, recs...)
	id := r.ID()
	must(t, r.Close())
	sound, err := os.ReadFile(s.runFile(id))
	must(t, err)
	lost := 0
	for page := 2; page < len(sound)/pageSize; page++ {
		if page+1 == 3 { // the key
			continue
		}
		harmed := bytes.Clone(sound)
		clear(harmed[page*pageSize : (page+1)*pageSize])
		must(t, os.WriteFile(s.runFile(id), harmed, 0o600))
		values, _, damage := whatRests(t, s, k, id)
		if values < users-60 || values < users && damage == nil {
			t.Errorf("page %d: %d values, %v", page+1, values, damage)
		}
		if values < users {
			lost++
		}
	}
	if lost < 8 {
		t.Errorf("%d pages had values: the test shows nothing", lost)
	}
}

// TestByteOfAUserThatWasChangedIsNamed: it says as much as a row.
func TestByteOfAUserThatWasChangedIsNamed(t *testing.T) {
	t.Parallel()
	namesEach(t, map[string]string{
		"DELETE FROM done":                                                                      `record 5 (user "user-1"): its status is missing from the table of users`,
		"UPDATE done SET bytes = zeroblob(1024)":                                                `record 5 (user "user-1"): its status is missing`,
		"UPDATE done SET bytes = CAST(x'0002' || zeroblob(1022) AS BLOB)":                       `record 5 (user "user-1"): the table of users says failed, the records say done`,
		"UPDATE done SET bytes = CAST(x'00010001' || zeroblob(1020) AS BLOB)":                   `user "user-3": the table of users says done, the records say nothing`,
		"UPDATE done SET bytes = CAST(x'000101' || zeroblob(1021) AS BLOB)":                     `user "user-2"`,
		"UPDATE done SET bytes = CAST(x'000101' || zeroblob(1021) AS BLOB); DELETE FROM [user]": `user "user-2": the table of users says done, the records say failed`,
		"UPDATE done SET bytes = CAST(x'000100000000000001' || zeroblob(1015) AS BLOB)":         "table of users: position 8 is not in the plan",
		"UPDATE done SET bytes = x'0001'":                                                       "has 2 bytes, want 1024",
		"INSERT INTO done VALUES (-1, CAST(x'01' || zeroblob(1023) AS BLOB))":                   "position -1024 is not in the plan",
		"INSERT INTO [user] VALUES (1, 1, '', 6)":                                               `user "user-1"): it has a second status in the table of users`,
	})
}

// TestDamageWithinAGroupHidesNoOtherRecord: what follows a place that is not
// readable is found again by its sums.
func TestDamageWithinAGroupHidesNoOtherRecord(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 400)
	var recs []*journal.Record
	for user := int64(1); user <= 400; user++ {
		recs = append(recs, intent(r, user, 1, 0, fmt.Sprint(canary, user)))
	}
	commit(t, r, recs...)
	id := r.ID()
	must(t, r.Close())
	sound, err := os.ReadFile(s.runFile(id))
	must(t, err)
	for _, user := range []int{1, 2, 50, 200, 399} {
		at := bytes.LastIndex(sound, fmt.Appendf(nil, "user-%d\x00", user))
		harmed := bytes.Clone(sound)
		copy(harmed[at:], bytes.Repeat([]byte{0xff}, 100))
		must(t, os.WriteFile(s.runFile(id), harmed, 0o600))
		values, users, damage := whatRests(t, s, k, id)
		if values < 397 || values == 400 || users != 400 || damage == nil {
			t.Errorf("user %d: %d values of %d users, %v", user, values, users, damage)
		}
	}
}
