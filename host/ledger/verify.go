package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// verification is one verification on its way: of the log, and of everything kept
// beside it.
type verification struct {
	hashlog.Check
	store *Store
	id    string
	c     storage

	header string
	names  hashlog.NamesKey
	total  int64
	bounds []hashlog.Wave
	plan   *planReading

	now    *standing
	last   []userState // by position
	codes  codes
	flight lives

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
	for _, part := range []func() error{v.readRun, v.readKey, v.readRecords, v.readWrapped, v.readPlan, v.readState, v.readUsers, v.CompareHeads} {
		if err := part(); err != nil {
			return err
		}
	}
	v.Audit.Size, v.Audit.Head = v.Tree.Size, hashlog.HeadString(v.Tree.Size, v.Tree.Root())
	v.CompareKept()
	v.CompareSeen()
	if err := v.compareTiles(rows.TreeOfLog, &v.Tree); err != nil {
		return err
	}
	return v.judgeTail()
}

// compareTiles compares the kept roots with those of the tree
// computed.
func (v *verification) compareTiles(of rows.Tree, tree *hashlog.Frontier) error {
	kept, err := v.c.Tiles(of)
	if err == nil {
		v.CompareTiles(kept, tree)
	}
	return err
}

// tailAge is how much younger than the newest signed head the records after it
// may be.
const tailAge = time.Second

// judgeTail decides whether the log may end without a signed head.
func (v *verification) judgeTail() error {
	if v.Audit.Unsigned() == 0 {
		return nil
	}
	others := false
	err := eachRecord(v.c, v.Audit.Signed, math.MaxInt64, func(r *hashlog.Stored) error {
		if others = r.Kind != journal.Reported; others {
			return hashlog.ErrDone
		}
		return nil
	})
	if err != nil && !Damaged(err) {
		return err
	}
	alive, err := lockHeld(v.store.lockFile(v.id))
	if err != nil {
		return err
	}
	young := v.Audit.Signed > 0 && v.LastAt-v.HeadAt <= tailAge.Microseconds()
	unapplied := v.Audit.Size <= draftSize && v.now.State == journal.StatePlanned // from before plans were signed
	noted := v.Audit.Signed > 0 && !others                                        // from before notes were
	switch {
	case alive:
		v.Audit.Tail = hashlog.TailRunning
	case v.now.State == journal.StateRunning && young, unapplied, noted:
		v.Audit.Tail = hashlog.TailKilled
	case v.Audit.OK:
		v.Audit.General("log: its last %d records are under no signed head: they may have been put in, or the heads removed", v.Audit.Unsigned())
	}
	return nil
}

// readMark finds out how far the log had come here. It is read before the log,
// which may grow.
func (v *verification) readMark() error {
	mk, m, err := v.store.openMark(v.id, os.O_RDONLY)
	if mk != nil {
		mk.close()
		v.Seen = &m.tree
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// leastRow is how many bytes a row of the plan takes at least: it has a digest.
const leastRow = 32

// readRun reads what was written once. It refuses a plan of more users than there is
// room for: the memory of each while it is read would take all memory.
func (v *verification) readRun() error {
	found, err := v.c.Run()
	if err != nil {
		return err
	}
	if found.Total < 0 || found.Total > found.Room/leastRow {
		return hashlog.NotAsWritten("it says that its plan has %d users, and has %d bytes", found.Total, found.Room)
	}
	v.header, v.names, v.total, v.bounds = found.Header, found.Names, found.Total, found.Waves
	v.last = make([]userState, v.total+1)
	v.now = newStanding(v.bounds)
	v.plan = v.store.readPlan(v.id, v.names, v.bounds)
	return nil
}

// readKey finds the public key that heads are signed with. It makes none.
func (v *verification) readKey() error {
	if !files.Exists(filepath.Join(v.store.dir, "audit.key")) {
		return nil
	}
	k, err := v.store.auditKey()
	if err != nil {
		v.Audit.General("%v", err)
		return nil
	}
	v.Key, err = k.Verifier()
	return err
}

// readRecords reads the log in order.
func (v *verification) readRecords() error {
	v.Heads = func(after int64, fn func(h hashlog.Head) error) error { return v.c.Heads(rows.Behind(after), fn) }
	return v.Read(&v.names, func(fn func(g *hashlog.Group) error) error {
		return v.c.Groups(math.MinInt64, math.MaxInt64, fn)
	})
}

// Take lets a record tell about the run and its users.
func (v *verification) Take(r *journal.Record) {
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
	if r.User < 1 || r.User > v.total || hashlog.WaveAt(v.bounds, r.User) < 0 {
		v.Wrong("%s of a user who is not in the plan", r.Kind)
		return
	}
	was := statusNumber(v.last[r.User].status)
	v.user(r, was)
	v.now.apply(r, was)
}

// KeyOf returns the key of the user at a position.
func (v *verification) KeyOf(user int64) string {
	key, err := keyAt(v.c, user)
	if err != nil {
		return ""
	}
	return key
}

// user follows one user: what does not fit tells what was dropped or put in.
func (v *verification) user(r *journal.Record, was statusNumber) {
	u := v.flight.open[r.User]
	if u == nil {
		u = v.flight.begin(r.User)
	}
	if was != noStatus && r.Kind != journal.Reopened {
		v.Wrong("%s of a user who has a status already: it was put in, or a record before it is missing", r.Kind)
	}
	switch r.Kind {
	case journal.Outcome:
		if _, ok := u.attempt(r.Step, r.Try); !ok && carriesValue(r.Verb) && was == noStatus && v.round(r) {
			v.Wrong("outcome without an intent: the record of the value is missing")
		}
	case journal.Finished:
		v.unanswered(r, u)
		v.flight.end(r.User)
		v.last[r.User] = userState{rec: r.Index + 1, code: v.codes.number(string(r.Code)), status: uint8(finalStatuses[r.Detail.Status])}
		return
	case journal.Reopened:
		if was == noStatus {
			v.Wrong("put back, but without a status: the record of it is missing")
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
			v.Wrong("finished as done, but step %d has no outcome: the record of it is missing", a.Intent.Step)
		}
	}
}

// readWrapped compares the wrapped data key with its digest in the first record.
func (v *verification) readWrapped() error {
	if v.opened == nil || v.opened.Detail.Facts[keyFact] == "" {
		return nil
	}
	found, err := v.c.Run()
	if err = cmp.Or(err, found.Key.Err); err == nil && !keyIs(found.Key, v.opened.Detail.Facts[keyFact], v.now.Forgot) {
		v.Audit.General("key: the wrapped data key was changed, exchanged or removed")
	}
	return err
}

// readPlan compares the plan with what was frozen.
func (v *verification) readPlan() error {
	v.compareHeader()
	v.plan.wait()
	if v.plan.err != nil {
		return v.plan.err
	}
	for _, p := range v.plan.audit.Problems {
		v.Audit.Add(p)
	}
	v.Audit.More += v.plan.audit.More
	v.comparePlan(&v.plan.tree, v.plan.audit.OK)
	return v.compareTiles(rows.TreeOfPlan, &v.plan.tree)
}

func (v *verification) comparePlan(tree *hashlog.Frontier, fine bool) {
	if v.planned == nil {
		v.Audit.General("plan: the record of it is missing or unreadable")
		return
	}
	total, root, err := hashlog.ParsePlanDigest(v.planned.Detail.Digest)
	switch {
	case err != nil:
		v.Audit.General("plan: %v", err)
	case total != tree.Size:
		v.Audit.General("plan: %d rows, frozen were %d", tree.Size, total)
	case root != tree.Root() && fine:
		v.Audit.General("plan: rows, their order or the bounds of waves are not what was frozen")
	}
	if total != v.total && err == nil {
		v.Audit.General("plan: the run says %d rows, frozen were %d", v.total, total)
	}
	for _, w := range v.bounds {
		if n, ok := v.planned.Detail.Counts["wave "+w.Name]; !ok || n != w.Size() {
			v.Audit.General("plan: wave %q has %d users, frozen were %d", w.Name, w.Size(), n)
		}
	}
}

// compareHeader compares the header with the digest in the first record.
func (v *verification) compareHeader() {
	switch {
	case v.opened == nil:
		v.Audit.General("header: the record of it is missing or unreadable")
	case digestOf([]byte(v.header)) != v.opened.Detail.Digest:
		v.Audit.General("header: the script, its parameters or other circumstances of the run were changed")
	}
}

// readState compares what the database says of the log with the log.
func (v *verification) readState() error {
	found, err := v.c.State()
	if err != nil {
		return err
	}
	if found == nil {
		v.Audit.General("state: its row is missing")
		return nil
	}
	switch size := found.Size; {
	case size > v.Places():
		for i := v.Places(); i < size && i < v.Places()+hashlog.MaxProblems; i++ {
			v.Audit.Add(hashlog.Problem{Index: i, Message: "it is missing: the end of the log was cut off"})
		}
	case size < v.Places():
		for i := size; i < v.Places() && i < size+hashlog.MaxProblems; i++ {
			v.Audit.Add(hashlog.Problem{Index: i, Message: "it was put in behind the end of the log"})
		}
	case string(found.Frontier) != string(v.Tree.Bytes()) && v.Audit.OK:
		v.Audit.General("log: some record or the root that was kept with it was changed, and hashes with it")
	}
	want := newStanding(v.bounds)
	have := want.decode(found)
	if have != nil {
		v.Audit.General("state: %v", have)
	} else if v.Audit.OK && !want.same(v.now) {
		v.Audit.General("state: counts or state of the run are not what the records say")
	}
	return nil
}

// readUsers compares the tables of statuses with the records.
func (v *verification) readUsers() error {
	err := v.c.Statuses(rows.All(), func(s rows.Status) error {
		v.listed(s.Pos, userState{rec: s.Rec, code: v.codes.number(s.Code), status: listedStatus(s.Number)})
		return nil
	}, func(b rows.Block) error {
		v.readBlock(b.N<<rows.BlockBits, b.Bytes)
		return nil
	})
	for pos, said := range v.last {
		if said.status != 0 && !said.listed && !v.Spoilt(int64(pos)) {
			v.Audit.Add(v.Named(hashlog.Problem{Index: said.rec - 1, User: int64(pos), Message: "its status is missing from the table of users"}))
		}
	}
	return err
}

// readBlock compares a row of the table done.
func (v *verification) readBlock(first int64, bytes []byte) {
	if len(bytes) != rows.BlockSize {
		v.Audit.General("table of done users: the row of positions %d on has %d bytes, want %d", first, len(bytes), rows.BlockSize)
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
		v.Audit.General("table of users: position %d is not in the plan", pos)
		return
	}
	said := v.last[pos]
	v.last[pos].listed = true
	if v.Spoilt(pos) {
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
		v.Audit.Add(v.Named(hashlog.Problem{Index: listed.rec - 1, User: pos, Message: wrong}))
	}
}

// listedStatus is a status as the table of users has it, right or wrong.
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
