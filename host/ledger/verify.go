package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rekey-host/rekey/host/journal"
)

// Audit is what a verification found.
type Audit struct {
	Run  string
	OK   bool  // no problem was found
	Size int64 // records in the log
	Head string
	// Consistent only: nothing was kept elsewhere to compare with, so whoever
	// holds the state directory, its audit key included, could have written
	// all of it anew.
	ConsistencyOnly bool
	Signed          int64 // records under the newest valid signed head
	Tail            Tail  // why the records after those are not signed
	Problems        []Problem
	More            int // problems that are not listed
}

// Unsigned is how many records are under no signed head.
func (a *Audit) Unsigned() int64 { return a.Size - a.Signed }

// Tail says why the last records of a log are under no signed head. A head is
// signed with every record that ends something and ten times a second, so that
// a tail without one is short, and of a process that did not come to its end.
type Tail string

// The tails that are no problem. Others are.
const (
	TailSigned  Tail = ""
	TailRunning Tail = "running" // a process applies the run
	TailKilled  Tail = "killed"  // the process that wrote it was killed
)

// Problem is one thing that is wrong with a log.
type Problem struct {
	Index   int64 // of the record; -1: not about one
	User    int64 // position in the plan; 0: not about one
	Key     string
	Step    int
	Message string
}

// String returns "record 17 (intent, user "ann", step 1): message".
func (p Problem) String() string {
	var about []string
	if p.User > 0 && p.Key != "" {
		about = append(about, fmt.Sprintf("user %q", p.Key))
	} else if p.User > 0 {
		about = append(about, fmt.Sprintf("user at position %d", p.User))
	}
	if p.Step > 0 {
		about = append(about, fmt.Sprintf("step %d", p.Step))
	}
	where := strings.Join(about, ", ")
	switch {
	case p.Index >= 0 && where != "":
		return fmt.Sprintf("record %d (%s): %s", p.Index, where, p.Message)
	case p.Index >= 0:
		return fmt.Sprintf("record %d: %s", p.Index, p.Message)
	case where != "":
		return fmt.Sprintf("%s: %s", where, p.Message)
	}
	return p.Message
}

// maxProblems is how many problems are listed.
const maxProblems = 100

func (a *Audit) add(p Problem) {
	a.OK = false
	if len(a.Problems) >= maxProblems {
		a.More++
		return
	}
	a.Problems = append(a.Problems, p)
}

// general adds a problem that is about no record.
func (a *Audit) general(format string, args ...any) {
	a.add(Problem{Index: -1, Message: fmt.Sprintf(format, args...)})
}

// Verify reads a run from end to end, computes every hash anew and names what
// does not fit: records that were changed, dropped, moved, cut off or put in,
// rows of the plan, statuses of users, signed heads. checkpoint is what was
// kept elsewhere: "SIZE:HASH", a hash alone, or the text of a signed head;
// with "" only consistency is proved. The error is for a run that cannot be
// read at all, or a checkpoint that is none.
//
// Verify works while the run is being applied: it sees it as of one moment.
func (s *Store) Verify(id, checkpoint string) (Audit, error) {
	v := &verification{store: s, audit: Audit{Run: id, OK: true}, tree: frontier{keeps: true}}
	if err := v.want.parse(checkpoint); err != nil {
		return v.audit, err
	}
	path := s.runFile(id)
	if !validID.MatchString(id) || !exists(path) {
		return v.audit, missing(id, os.ErrNotExist)
	}
	if err := v.readMark(); err != nil {
		return v.audit, ofRun(id, err)
	}
	c, err := s.openReader(path)
	if err != nil {
		return v.audit, ofRun(id, err)
	}
	defer s.tidy(id)
	defer c.close()
	defer func() { v.plan.wait() }()
	v.c = c
	if err := c.run("BEGIN"); err != nil { // one moment for all that is read
		return v.audit, ofRun(id, err)
	}
	if err := v.all(); err != nil {
		return v.audit, ofRun(id, err)
	}
	return v.audit, nil
}

// verification is one verification on its way.
type verification struct {
	store *Store
	c     *conn
	log   *log
	audit Audit
	want  checkpoint

	names    namesKey
	enc      encoder
	dec      decoder
	total    int64
	bounds   []waveRow
	plan     *planReading
	verifier note.Verifier // nil: the audit key is not here

	about  Problem        // the place of the record that is looked at
	rec    journal.Record // and what it says
	tree   frontier
	places places
	now    *standing
	last   []userState // by position
	codes  codes
	flight lives
	spoilt map[int64]bool // users of whom a record cannot be trusted: one problem is enough
	heads  heads

	lastAt  int64 // µs, of the last record
	headAt  int64 // µs, of the newest valid signed head
	mark    mark  // how far the log had come here; of no run: not known
	matches bool  // the log has what the mark has seen

	opened, planned *journal.Record // the first two records
}

// userState is what the log says of one user.
type userState struct {
	rec    int64  // id of the record that finished it; 0: none
	code   uint32 // of verification.codes
	status uint8  // a statusNumber
	listed bool   // a table has it
}

// codes numbers the codes of statuses: there are many users and few codes.
type codes struct {
	numbers map[string]uint32
	texts   []string
}

func (c *codes) number(text string) uint32 {
	n, ok := c.numbers[text]
	if !ok {
		n = uint32(len(c.texts))
		if c.numbers == nil {
			c.numbers = map[string]uint32{}
		}
		c.numbers[text] = n
		c.texts = append(c.texts, text)
	}
	return n
}

func (v *verification) all() error {
	for _, part := range []func() error{v.readRun, v.readKey, v.readRecords, v.readWrapped, v.readPlan, v.readState, v.readUsers, v.readHeads} {
		if err := part(); err != nil {
			return err
		}
	}
	v.audit.Size, v.audit.Head = v.tree.size, headString(v.tree.size, v.tree.root())
	v.compareCheckpoint()
	v.compareMark()
	if err := v.compareTiles(treeOfLog, &v.tree); err != nil {
		return err
	}
	return v.judgeTail()
}

// tailAge is how much younger than the newest signed head the records after it
// may be.
const tailAge = time.Second

// judgeTail decides whether the log may end without a signed head.
func (v *verification) judgeTail() error {
	if v.audit.Unsigned() == 0 {
		return nil
	}
	others := false
	err := v.log.each(v.audit.Signed, math.MaxInt64, func(r *stored) error {
		if others = r.kind != journal.Reported; others {
			return errDone
		}
		return nil
	})
	if err != nil && !Damaged(err) {
		return err
	}
	alive, err := lockHeld(v.store.lockFile(v.audit.Run))
	if err != nil {
		return err
	}
	young := v.audit.Signed > 0 && v.lastAt-v.headAt <= tailAge.Microseconds()
	unapplied := v.audit.Size <= draftSize && v.now.State == journal.StatePlanned // from before plans were signed
	noted := v.audit.Signed > 0 && !others                                        // from before notes were
	switch {
	case alive:
		v.audit.Tail = TailRunning
	case v.now.State == journal.StateRunning && young, unapplied, noted:
		v.audit.Tail = TailKilled
	case v.audit.OK:
		v.audit.general("log: its last %d records are under no signed head: they may have been put in, or the heads removed", v.audit.Unsigned())
	}
	return nil
}

// readMark finds out how far the log had come here. It is read before the log,
// which may grow.
func (v *verification) readMark() error {
	mk, m, err := v.store.openMark(v.audit.Run, os.O_RDONLY)
	if mk != nil {
		mk.close()
		v.mark = m
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

func (v *verification) passMark() {
	if v.mark.run != "" && v.mark.tree.size == v.tree.size {
		v.matches = v.mark.tree.root() == v.tree.root()
	}
}

func (v *verification) compareMark() {
	switch m := &v.mark; {
	case m.run == "" || v.matches:
	case m.tree.size > v.tree.size:
		v.audit.general("log: it has %d records, and had %d here: its end was cut off, or an older copy was put back", v.tree.size, m.tree.size)
	case v.audit.OK:
		v.audit.general("log: its first %d records are not those that it had here: another copy was put in its place", m.tree.size)
	}
}

// readRun reads the table run and the waves.
func (v *verification) readRun() error {
	found, err := v.c.one("SELECT format, names, total FROM run")
	if err != nil {
		return err
	}
	if err := readable(found, 1); err != nil {
		return err
	}
	v.names, v.total = namesKey(found.bytes(1)), found.int(2)
	v.enc.key = &v.names
	if err := v.hasRoom(); err != nil {
		return err
	}
	v.last = make([]userState, v.total+1)
	v.spoilt = map[int64]bool{}
	err = v.c.each("SELECT name, first, last FROM wave ORDER BY n", func(w row) error {
		v.bounds = append(v.bounds, waveRow{w.text(0), w.int(1), w.int(2)})
		return nil
	})
	v.now = newStanding(v.bounds)
	if err == nil {
		v.plan = v.store.readPlan(v.audit.Run, v.names, v.bounds)
	}
	return err
}

// leastRow is how many bytes a row of the plan takes at least: it has a digest.
const leastRow = 32

// hasRoom refuses a plan of more users than the file has room for: what is kept
// of each while it is read would take all memory.
func (v *verification) hasRoom() error {
	size, err := v.c.count("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
	if err == nil && (v.total < 0 || v.total > size/leastRow) {
		err = unsound{fmt.Errorf("it says that its plan has %d users, and has %d bytes", v.total, size)}
	}
	return err
}

// readKey finds the public key that heads are signed with. It makes none.
func (v *verification) readKey() error {
	if !exists(filepath.Join(v.store.dir, "audit.key")) {
		return nil
	}
	k, err := v.store.auditKey()
	if err != nil {
		v.audit.general("%v", err)
		return nil
	}
	v.verifier, err = note.NewVerifier(k.vkey)
	return err
}

// readRecords reads the log in order.
func (v *verification) readRecords() error {
	if err := v.heads.load(v.c); err != nil {
		return err
	}
	var err error
	if v.log, err = logOf(v.c); err != nil {
		return err
	}
	before, err := v.log.beforeFirst()
	if err != nil {
		return err
	}
	if before > 0 {
		v.audit.general("log: %d records were put in before the first", before)
	}
	err = v.log.eachRow(0, math.MaxInt64, func(r *stored) error {
		one := checked{stored: *r}
		one.check(&v.enc, &v.dec)
		v.pass(&one)
		return nil
	})
	if err != nil {
		return err
	}
	return v.readGroups()
}

// readGroups reads the groups in order, while others are hashed.
func (v *verification) readGroups() error {
	h := newHashing(&v.names)
	defer h.stop()
	err := v.log.eachGroup(0, math.MaxInt64, func(g *group) error {
		h.give(g)
		if len(h.waiting) == ahead {
			v.group(h)
		}
		return nil
	})
	for len(h.waiting) > 0 {
		v.group(h)
	}
	return err
}

// group looks at the next group.
func (v *verification) group(h *hashing) {
	g := h.next()
	for i := range g.records {
		v.pass(&g.records[i])
	}
	if g.listed != nil && !errors.Is(g.listed, ErrFrame) {
		v.audit.add(Problem{Index: g.group.first - 1, Message: g.listed.Error()})
	}
	h.back(g)
}

// pass looks at a record, and at what was signed or kept of the log up to it.
func (v *verification) pass(r *checked) {
	v.record(r)
	v.heads.pass(&v.tree)
	v.want.pass(&v.tree)
	v.passMark()
}

// record looks at the record at one place.
func (v *verification) record(r *checked) {
	place, f := r.id-1, &r.frame
	v.about = Problem{Index: place, User: r.user}
	v.gap(place)
	v.tree.push(r.leaf)
	if r.err != nil {
		v.wrong("%s: its bytes were changed: they are no record any more", r.kind)
		v.spoilt[r.user] = true
		return
	}
	v.about.Step = int(f.Step)
	switch {
	case !r.sound():
		v.wrong("%s: its bytes were changed", r.kind)
		v.spoilt[r.user], v.spoilt[f.User] = true, true
		return
	case f.Index != place:
		if v.places.moved(f.Index, place) {
			v.wrong("here stands what was written as record %d (%s): records were moved, dropped or put in", f.Index, f.Kind)
		}
	case f.Kind != r.kind || f.User != r.user:
		v.wrong("it is listed as %s of position %d, and is %s of position %d", r.kind, r.user, f.Kind, f.User)
	}
	v.lastAt = f.At
	if err := f.into(&v.rec); err != nil {
		v.wrong("%s: its detail was changed", r.kind)
		return
	}
	if v.rec.User == 0 || len(v.spoilt) == 0 || !v.spoilt[v.rec.User] {
		v.take(&v.rec)
	}
}

// wrong adds a problem of the record that is looked at.
func (v *verification) wrong(format string, args ...any) {
	v.about.Message = fmt.Sprintf(format, args...)
	v.audit.add(v.named(v.about))
}

// gap notes what is missing before a place. In the tree, nothing stands for it,
// so that what follows keeps its place.
func (v *verification) gap(place int64) {
	const far = 1 << 20
	if place-v.places.next > far {
		v.audit.general("log: records %d to %d are missing", v.places.next, place-1)
		v.places.next = place
	}
	if place < v.places.next {
		v.audit.add(Problem{Index: place, Message: "it stands there a second time"})
		return
	}
	for ; v.places.next < place; v.places.next++ {
		v.audit.add(Problem{Index: v.places.next, Message: "it is missing"})
		v.tree.push(tlog.Hash{})
	}
	v.places.next = place + 1
}

// places follows where records stand.
type places struct {
	next  int64
	shift int64 // how far records stand from where they were written
}

// moved reports whether the record stands in another way out of place than the
// one before it: of a whole tail that moved only the first is a problem.
func (p *places) moved(written, place int64) bool {
	same := written-place == p.shift
	p.shift = written - place
	return !same
}

// take lets a record tell about the run and its users.
func (v *verification) take(r *journal.Record) {
	switch r.Kind {
	case journal.Opened:
		if v.opened == nil {
			v.opened = new(*r)
		}
	case journal.Planned:
		if v.planned == nil {
			v.planned = new(*r)
		}
	}
	if !r.Kind.AboutUser() {
		v.now.apply(r, noStatus)
		return
	}
	if r.User < 1 || r.User > v.total || waveAt(v.bounds, r.User) < 0 {
		v.wrong("%s of a user who is not in the plan", r.Kind)
		return
	}
	was := statusNumber(v.last[r.User].status)
	v.user(r, was)
	v.now.apply(r, was)
}

// user follows one user: what does not fit tells what was dropped or put in.
func (v *verification) user(r *journal.Record, was statusNumber) {
	u := v.flight.open[r.User]
	if u == nil {
		u = v.flight.begin(r.User)
	}
	if was != noStatus && r.Kind != journal.Reopened {
		v.wrong("%s of a user who has a status already: it was put in, or a record before it is missing", r.Kind)
	}
	switch r.Kind {
	case journal.Outcome:
		if _, ok := u.attempt(r.Step, r.Try); !ok && carriesValue(r.Verb) && was == noStatus && v.round(r) {
			v.wrong("outcome without an intent: the record of the value is missing")
		}
	case journal.Finished:
		v.unanswered(r, u)
		v.flight.end(r.User)
		v.last[r.User] = userState{rec: r.Index + 1, code: v.codes.number(string(r.Code)), status: uint8(finalStatuses[r.Detail.Status])}
		return
	case journal.Reopened:
		if was == noStatus {
			v.wrong("put back, but without a status: the record of it is missing")
		}
		v.last[r.User] = userState{rec: -1}
		return
	}
	u.take(r)
}

// round reports whether the user is in its first round: an outcome of a later
// one may be of an earlier intent.
func (v *verification) round(r *journal.Record) bool { return v.last[r.User].rec != -1 }

func (v *verification) unanswered(r *journal.Record, u *life) {
	if u.well() || r.Detail.Status != journal.Done {
		return
	}
	for _, a := range u.history().Attempts() {
		if carriesValue(a.Intent.Verb) && a.Outcome == nil {
			v.wrong("finished as done, but step %d has no outcome: the record of it is missing", a.Intent.Step)
		}
	}
}

// named adds the user's key to a problem.
func (v *verification) named(p Problem) Problem {
	if p.User <= 0 {
		return p
	}
	if key, err := v.log.keyAt(p.User); err == nil {
		p.Key = key
	}
	return p
}

// readWrapped compares the wrapped data key with its digest in the first record.
func (v *verification) readWrapped() error {
	if v.opened == nil || v.opened.Detail.Facts[keyFact] == "" {
		return nil
	}
	found, err := v.c.one("SELECT wrapped FROM key")
	if err == nil && !keyIs(found, v.opened.Detail.Facts[keyFact], v.now.Forgot) {
		v.audit.general("key: the wrapped data key was changed, exchanged or removed")
	}
	return err
}

// readPlan compares the plan with what was frozen.
func (v *verification) readPlan() error {
	if err := v.compareHeader(); err != nil {
		return err
	}
	v.plan.wait()
	if v.plan.err != nil {
		return v.plan.err
	}
	for _, p := range v.plan.audit.Problems {
		v.audit.add(p)
	}
	v.audit.More += v.plan.audit.More
	v.comparePlan(&v.plan.tree, v.plan.audit.OK)
	return v.compareTiles(treeOfPlan, &v.plan.tree)
}

func (v *verification) comparePlan(tree *frontier, fine bool) {
	if v.planned == nil {
		v.audit.general("plan: the record of it is missing or unreadable")
		return
	}
	total, root, err := parsePlanDigest(v.planned.Detail.Digest)
	switch {
	case err != nil:
		v.audit.general("plan: %v", err)
	case total != tree.size:
		v.audit.general("plan: %d rows, frozen were %d", tree.size, total)
	case root != tree.root() && fine:
		v.audit.general("plan: rows, their order or the bounds of waves are not what was frozen")
	}
	if total != v.total && err == nil {
		v.audit.general("plan: the run says %d rows, frozen were %d", v.total, total)
	}
	for _, w := range v.bounds {
		if n, ok := v.planned.Detail.Counts["wave "+w.Name]; !ok || n != w.size() {
			v.audit.general("plan: wave %q has %d users, frozen were %d", w.Name, w.size(), n)
		}
	}
}

// compareHeader compares the header with the digest in the first record.
func (v *verification) compareHeader() error {
	found, err := v.c.one("SELECT header FROM run")
	if err != nil {
		return err
	}
	switch {
	case v.opened == nil:
		v.audit.general("header: the record of it is missing or unreadable")
	case digestOf([]byte(found.text(0))) != v.opened.Detail.Digest:
		v.audit.general("header: the script, its parameters or other circumstances of the run were changed")
	}
	return nil
}

// readState compares what the database says of the log with the log.
func (v *verification) readState() error {
	found, err := v.c.one("SELECT size, frontier, standing FROM state")
	if err != nil {
		return err
	}
	if found == nil {
		v.audit.general("state: its row is missing")
		return nil
	}
	switch size := found.int(0); {
	case size > v.places.next:
		for i := v.places.next; i < size && i < v.places.next+maxProblems; i++ {
			v.audit.add(Problem{Index: i, Message: "it is missing: the end of the log was cut off"})
		}
	case size < v.places.next:
		for i := size; i < v.places.next && i < size+maxProblems; i++ {
			v.audit.add(Problem{Index: i, Message: "it was put in behind the end of the log"})
		}
	case string(found.bytes(1)) != string(v.tree.bytes()) && v.audit.OK:
		v.audit.general("log: some record or the root that was kept with it was changed, and hashes with it")
	}
	want := newStanding(v.bounds)
	have := want.decode(row{found.text(2)})
	if have != nil {
		v.audit.general("state: %v", have)
	} else if v.audit.OK && !want.same(v.now) {
		v.audit.general("state: counts or state of the run are not what the records say")
	}
	return nil
}

// readUsers compares the tables of statuses with the records.
func (v *verification) readUsers() error {
	err := v.log.eachDone(func(n int64, bytes []byte) error {
		v.readBlock(n<<blockBits, bytes)
		return nil
	})
	if err != nil {
		return err
	}
	err = v.c.each("SELECT pos, status, code, rec FROM user ORDER BY pos", func(found row) error {
		v.listed(found.int(0), userState{rec: found.int(3), code: v.codes.number(found.text(2)), status: listedStatus(found.int(1))})
		return nil
	})
	for pos, said := range v.last {
		if said.status != 0 && !said.listed && !v.spoilt[int64(pos)] {
			v.audit.add(v.named(Problem{Index: said.rec - 1, User: int64(pos), Message: "its status is missing from the table of users"}))
		}
	}
	return err
}

// readBlock compares a row of the table done.
func (v *verification) readBlock(first int64, bytes []byte) {
	if len(bytes) != blockSize {
		v.audit.general("table of done users: the row of positions %d on has %d bytes, want %d", first, len(bytes), blockSize)
	}
	for i, b := range bytes {
		if b == 0 {
			continue
		}
		pos, is := first+int64(i), userState{code: v.codes.number(""), status: b}
		if pos >= 1 && pos < int64(len(v.last)) && v.last[pos].status == uint8(numDone) {
			is.rec = v.last[pos].rec // it does not say
		}
		v.listed(pos, is)
	}
}

// listed compares a listed status with what the records say.
func (v *verification) listed(pos int64, listed userState) {
	if pos < 1 || pos >= int64(len(v.last)) {
		v.audit.general("table of users: position %d is not in the plan", pos)
		return
	}
	said := v.last[pos]
	v.last[pos].listed = true
	if v.spoilt[pos] {
		return
	}
	wrong := ""
	switch {
	case said.listed:
		wrong = "it has a second status in the table of users"
	case said.status == 0 && listed.status == 0:
	case said.status != listed.status || said.rec != listed.rec:
		wrong = fmt.Sprintf("the table of users says %s, the records say %s", statusText(listed), statusText(said))
	case said.code != listed.code:
		wrong = fmt.Sprintf("the table of users has code %q, the record %q", v.codes.texts[listed.code], v.codes.texts[said.code])
	}
	if wrong != "" {
		v.audit.add(v.named(Problem{Index: listed.rec - 1, User: pos, Message: wrong}))
	}
}

// listedStatus is a status as the table of users has it, whatever that is.
func listedStatus(n int64) uint8 {
	if n < 0 || n > math.MaxUint8 {
		return math.MaxUint8
	}
	return uint8(n)
}

func statusText(u userState) string {
	if u.status == 0 {
		return "nothing"
	}
	if s, ok := statusOfNumber[statusNumber(u.status)]; ok {
		return string(s)
	}
	return fmt.Sprintf("status %d", u.status)
}

// same reports whether two standings are one.
func (s *standing) same(o *standing) bool {
	if s.State != o.State || s.Hold != o.Hold || s.Forgot != o.Forgot || s.Untold != o.Untold || s.Unchanged != o.Unchanged || !s.Span.same(o.Span) || len(s.Waves) != len(o.Waves) || !slices.Equal(s.Approved, o.Approved) || !slices.Equal(s.Starts, o.Starts) ||
		!slices.EqualFunc(s.Backends, o.Backends, journal.BackendPin.Equal) {
		return false
	}
	if (s.Last == nil) != (o.Last == nil) || s.Last != nil && *s.Last != *o.Last {
		return false
	}
	for i := range s.Waves {
		if s.Waves[i] != o.Waves[i] {
			return false
		}
	}
	return true
}
