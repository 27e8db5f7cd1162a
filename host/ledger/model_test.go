package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// crashed copies a state directory as it lies on the disk, while its run is
// open: what a process that is killed now leaves behind.
func crashed(t bench, s *Store) *Store {
	t.Helper()
	to := filepath.Join(t.TempDir(), "state")
	must(t, os.CopyFS(to, os.DirFS(s.Dir())))
	left, err := filepath.Glob(filepath.Join(to, "runs", "*-shm")) // shared memory does not outlive the processes
	must(t, err)
	for _, name := range left {
		must(t, os.Remove(name))
	}
	after, err := Open(to, Options{Host: "test host", OSUser: "ann"})
	must(t, err)
	return after
}

// modelUser is what the model knows of one user.
type modelUser struct {
	status  journal.Status
	records int
	tries   map[int]sdk.Outcome // -1 as Outcome(255): open
	order   []int
}

const open = sdk.Outcome(255)

// model is the ledger as a few maps, and the real one beside it.
type model struct {
	t     *rapid.T
	b     bench
	keys  Keys
	store *Store
	run   *Run

	users   []*modelUser // by position - 1
	hold    bool
	records int64
	head    string
	steps   int
}

// auditEvery is after how many steps the log is verified: it only grows, so what is
// wrong stays.
const auditEvery = 3

func (m *model) draw(n int, label string) int { return rapid.IntRange(0, n-1).Draw(m.t, label) }

// legal draws a record that fits, and what it does to the model; nil if what
// was drawn does not.
func (m *model) legal() *journal.Record {
	pos := m.draw(len(m.users), "user")
	u, user := m.users[pos], int64(pos+1)
	switch m.draw(6, "record") {
	case 0:
		if u.status == "" {
			try := len(u.order)
			u.tries[try] = open
			u.order = append(u.order, try)
			u.records++
			return intent(m.run, user, 1, try, canary)
		}
	case 1, 2:
		for _, try := range u.order {
			if o := u.tries[try]; u.status == "" && (o == open || o == sdk.Unknown) {
				got := sdk.Outcome(m.draw(4, "outcome"))
				u.tries[try] = got
				u.records++
				return outcome(user, 1, try, got, "")
			}
		}
	case 3:
		if s := rapid.SampledFrom([]journal.Status{journal.Done, journal.Failed, journal.Partial, journal.Unresolved, journal.Skipped}).Draw(m.t, "status"); u.status == "" && u.mayBe(s) {
			u.status = s
			u.records++
			return finished(user, s, "Code")
		}
	case 4:
		if u.status != "" {
			u.status = ""
			u.records++
			return &journal.Record{Kind: journal.Reopened, User: user}
		}
	case 5:
		m.hold = !m.hold
		if m.hold {
			return &journal.Record{Kind: journal.Held, Detail: journal.Detail{Wave: "one"}}
		}
		return &journal.Record{Kind: journal.Approved}
	}
	return nil
}

// mayBe reports whether the user may end with the status: a value that may be in
// force makes it unknown, one that is forbids that it was skipped.
func (u *modelUser) mayBe(s journal.Status) bool {
	applied, unsettled := false, false
	for _, try := range u.order {
		switch u.tries[try] {
		case sdk.Applied, sdk.AlreadyApplied:
			applied, unsettled = true, false
		case open, sdk.Unknown:
			unsettled = true
		}
	}
	return (s == journal.Unresolved || !unsettled) && (s != journal.Skipped || !applied)
}

// commit appends some legal records at once.
func (m *model) commit() {
	var recs []*journal.Record
	for range 1 + m.draw(50, "group") {
		if r := m.legal(); r != nil {
			recs = append(recs, r)
		}
	}
	must(m.b, m.run.Commit(recs))
	m.records += int64(len(recs))
}

// contradict tries a group that ends in a record that does not fit: nothing of
// it may be there.
func (m *model) contradict() {
	recs := []*journal.Record{{Kind: journal.Started}, outcome(1, 7, 0, sdk.Applied, "")}
	if err := m.run.Commit(recs); !errors.Is(err, ErrContradiction) {
		m.t.Fatalf("Commit() = %v, want a contradiction", err)
	}
	m.reopen()
}

func (m *model) reopen() {
	must(m.b, m.run.Close())
	m.lock(m.store)
}

// crash goes on from what is on the disk now, without closing anything.
func (m *model) crash() {
	after := crashed(m.b, m.store)
	old := m.run
	m.store = after
	if _, err := after.Lock(old.ID(), m.keys); !errors.As(err, new(*MovedError)) {
		m.t.Fatalf("Lock() of a copy = %v, want that it was moved", err)
	}
	r, err := after.LockMoved(old.ID(), m.keys)
	must(m.b, err)
	m.run = r
	m.records++ // that it was moved
	must(m.b, old.Close())
}

func (m *model) lock(s *Store) {
	r, err := s.Lock(m.run.ID(), m.keys)
	must(m.b, err)
	m.run = r
}

// retry reads what is open as the engine does, which builds the index.
func (m *model) retry() {
	for wave, first := range []int64{1, int64(len(m.users)/2 + 1)} {
		list, err := m.run.OpenUsers(wave, 0, 1000)
		must(m.b, err)
		var want, got []string
		for i, u := range m.users {
			inWave := int64(i+1) >= first && (wave == 1 || i < len(m.users)/2)
			if u.status == "" && inWave {
				want = append(want, fmt.Sprintf("user-%d %d", i+1, u.records))
			}
		}
		for _, u := range list {
			n := len(u.History)
			if u.Pos > m.run.known {
				n = m.users[u.Pos-1].records // this process knows them
			}
			got = append(got, fmt.Sprintf("%s %d", u.Key, n))
		}
		if !slices.Equal(got, want) {
			m.t.Fatalf("OpenUsers(%d) = %v, want %v", wave, got, want)
		}
	}
}

// check compares the real ledger with the model.
func (m *model) check() {
	c, err := m.run.Counts()
	must(m.b, err)
	if want := m.counts(); c != want {
		m.t.Fatalf("Counts() = %+v, want %+v", c, want)
	}
	i := 0
	must(m.b, m.run.Each(Filter{}, OrderApply, func(u User) error {
		want := m.users[i]
		i++
		status := want.status
		if status == "" {
			status = journal.Pending
			if m.hold && u.WaveName == "two" {
				status = journal.HeldPending
			}
		}
		if u.Status != status || len(u.History) != want.records {
			m.t.Fatalf("user %q is %s with %d records, want %s with %d", u.Key, u.Status, len(u.History), status, want.records)
		}
		return nil
	}))
	if m.steps++; m.steps%auditEvery == 0 {
		m.audit()
	}
}

// audit verifies the log, and that it continues the one of before.
func (m *model) audit() {
	a := audited(m.b, m.store, m.run.ID(), m.head)
	if a.Size != m.records+2 {
		m.t.Fatalf("%d records, want %d", a.Size, m.records+2)
	}
	m.head = a.Head
}

func (m *model) counts() Counts {
	c := Counts{Total: int64(len(m.users))}
	for i, u := range m.users {
		switch u.status {
		case journal.Done:
			c.Done++
		case journal.Failed:
			c.Failed++
		case journal.Partial:
			c.Partial++
		case journal.Unresolved:
			c.Unknown++
		case journal.Skipped:
			c.Skipped++
		default:
			if m.hold && i >= len(m.users)/2 {
				c.Held++
			} else {
				c.Pending++
			}
		}
	}
	return c
}

// bothTests is rapid's T for what fails and the test's for where files lie.
type bothTests struct {
	*rapid.T
	dirs *testing.T
}

func (b bothTests) TempDir() string  { return b.dirs.TempDir() }
func (b bothTests) Cleanup(f func()) { b.T.Cleanup(f) }

func TestAnySequenceOfCommitsAndCrashesIsWhatTheModelSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := bothTests{rt, t}
		s := newStore(b)
		k := newKeys(b, s)
		m := &model{t: rt, b: b, keys: k, store: s}
		d, err := s.Draft(Header{Script: "model.star"}, k)
		must(b, err)
		for i := 1; i <= 12; i++ {
			p := planned(i)
			p.Wave = (i - 1) / 6
			must(b, d.Add(p))
			m.users = append(m.users, &modelUser{tries: map[int]sdk.Outcome{}})
		}
		m.run, err = d.Freeze([]WavePlan{{Name: "one"}, {Name: "two"}})
		must(b, err)
		defer func() { m.run.Close() }()
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch m.draw(8, "action") {
			case 0:
				m.crash()
			case 1:
				m.reopen()
			case 2:
				m.contradict()
			case 3:
				m.retry()
			default:
				m.commit()
			}
			m.check()
		}
		m.audit()
	})
}

func TestCrashedCopyIsOfTheSameRun(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 3)
	commit(t, r, intent(r, 1, 1, 0, "x"))
	after := crashed(t, s)
	if wal := filesIn(t, after.runs()); !slices.ContainsFunc(wal, func(n string) bool { return strings.HasSuffix(n, "-wal") }) {
		t.Fatalf("the copy has no write-ahead file: it shows no crash: %v", wal)
	}
	if a := audited(t, after, r.ID(), ""); a.Size != 3 {
		t.Fatalf("%d records, want 3", a.Size)
	}
}
