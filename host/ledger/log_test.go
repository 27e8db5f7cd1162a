package ledger

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

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
	c := rawly(t, s, id)
	defer c.close()
	all := strings.Join(queries, "") + " "
	words := strings.NewReplacer("REC", "grp", "ID", "first", "BESIDE", "n, lo, hi, span")
	if c.has(t, "rec") {
		words = strings.NewReplacer("REC", "rec", "ID", "id", "BESIDE", "kind, user")
	} else if strings.Contains(all, "REC") {
		must(t, c.within(func() error { c.oneByOne(t); return nil }))
	}
	if strings.Contains(all, " user ") {
		must(t, c.within(func() error { c.doneAsRows(t, finishedBy(t, c)); return nil }))
	}
	if strings.Contains(all, " plan ") {
		must(t, c.within(func() error { plannedAsRows(t, c); return nil }))
	}
	for _, q := range queries {
		must(t, c.run(words.Replace(q)))
	}
}

// plannedAsRows takes the rows of the plan from their sheets to the table plan.
func plannedAsRows(t bench, c *conn) {
	t.Helper()
	if !c.has(t, "sheet") {
		return
	}
	names, private := namesOf(t, c), []byte(nil)
	enc := hashlog.Encoder{Key: &names}
	list := c.onSheets(t)
	for i := range list {
		p := &list[i]
		hidden, ok := p.Is(&enc, &private)
		if !ok {
			t.Fatalf("row %d is not what was planned", p.Pos)
		}
		must(t, c.run("INSERT INTO plan VALUES (?,?,?,?,?,?,NULL,?)", p.Pos, p.Seq, int64(p.Line), p.Key, diag.Fold(p.Key), p.Cells, hidden[:]))
	}
	must(t, c.run("DELETE FROM sheet"))
}

// finishedBy returns the last record that finished each user.
func finishedBy(t bench, c *conn) map[int64]int64 {
	t.Helper()
	by := map[int64]int64{}
	for _, p := range recordsOf(t, c) {
		f, err := (&hashlog.Decoder{}).Split(p.frame)
		must(t, err)
		if _, two := f.TakeEnd(); two || f.Kind == journal.Finished {
			by[p.user] = p.id
		}
	}
	return by
}

func sql(queries ...string) func(t bench, s *Store, run string) {
	return func(t bench, s *Store, run string) { edit(t, s, run, queries...) }
}

// kindOf returns the kind of a stored record; 0: it is none.
func kindOf(body []byte) journal.Kind {
	f, _ := (&hashlog.Decoder{}).Split(body)
	return f.Kind
}

// asRows makes a run one of format 1.
func asRows(t bench, s *Store, id string) {
	t.Helper()
	c := rawly(t, s, id)
	defer c.close()
	must(t, c.within(func() error {
		must(t, c.run("CREATE TABLE rec (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, user INTEGER NOT NULL, body BLOB NOT NULL)"))
		withoutSheets(t, c)
		for _, p := range recordsOf(t, c) {
			must(t, c.run("INSERT INTO rec VALUES (?,?,?,?)", p.id, int64(kindOf(p.frame)), p.user, p.frame))
		}
		c.doneAsRows(t, finishedBy(t, c))
		for _, q := range []string{"DROP TABLE done", "DROP TABLE tile", "DROP TABLE grp", "UPDATE run SET format = 1"} {
			must(t, c.run(q))
		}
		return nil
	}))
}

// withoutSheets makes a ledger one of format 2.
func withoutSheets(t bench, c *conn) {
	t.Helper()
	plannedAsRows(t, c)
	must(t, c.run("DROP TABLE sheet"))
	must(t, c.run("UPDATE run SET format = 2"))
}

// asGroups makes a run one of format 2.
func asGroups(t bench, s *Store, id string) {
	t.Helper()
	c := rawly(t, s, id)
	defer c.close()
	must(t, c.within(func() error {
		withoutSheets(t, c)
		return c.each("SELECT first, body FROM grp", func(found row) error {
			return c.run("UPDATE grp SET body = ? WHERE first = ?", hashlog.Unpacked(found.bytes(1)), found.int(0))
		})
	}))
	must(t, c.run("VACUUM")) // another table is where the sheets were
}

// isOfRows reports whether a ledger has records of format 1.
func isOfRows(t bench, s *Store, id string) bool {
	t.Helper()
	c := rawly(t, s, id)
	defer c.close()
	return c.has(t, "rec")
}

// editRecord changes the bytes of one record where they are stored.
func editRecord(t bench, s *Store, run string, id int64, change func(frame []byte) []byte) {
	t.Helper()
	c := rawly(t, s, run)
	defer c.close()
	if c.has(t, "rec") {
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
	at, list := found.int(0), hashlog.Frames{Rest: hashlog.Unpacked(found.bytes(1))}
	for frame := list.Next(); frame != nil; frame = list.Next() {
		if at == id {
			frame = change(bytes.Clone(frame))
		}
		g.Add(0, frame)
		at++
	}
	must(t, c.run("UPDATE grp SET body = ? WHERE first = ?", g.Body, found.int(0)))
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
	must(t, r.writer.db.Groups(2, 1<<62, func(g *hashlog.Group) error { sizes = append(sizes, g.N); return nil }))
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
		if n := asked(t, s, id, "SELECT format FROM run"); n != want {
			t.Fatalf("format %d, want %d", n, want)
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
	for page := 2; page < len(sound)/pageSize; page += 2 {
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
	if lost < 4 {
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
