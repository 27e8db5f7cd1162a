package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// headEvery is how often heads are signed while records keep coming.
const headEvery = 100 * time.Millisecond

// writer appends to a run. Its memory mirrors the database as of its last
// commit; after an error it is not trusted any more.
type writer struct {
	run    *Run
	db     written
	broken error

	tree   hashlog.Frontier
	proof  proof
	mark   *marker   // nil: none
	doubts int       // how often another process had written to the files
	last   []int64   // users with an intent in the last group with some
	recent []valueOf // what a write-ahead file may be alone to hold
	now    *standing
	watch  watch
	enc    hashlog.Encoder
	signed time.Time // when the last head was

	group hashlog.Group // records to write
	frame []byte        // the last of them
	done  done          // bytes of users to write
	users []rows.Status // statuses to write
}

// newWriter returns the writer of a run to apply.
func newWriter(r *Run) (*writer, error) {
	db, err := r.store.kept.OpenToWrite(r.store.runFile(r.id))
	if err != nil {
		return nil, err
	}
	return writerOn(r, db)
}

// writerOn returns the writer of a run, which owns its storage.
func writerOn(r *Run, db written) (*writer, error) {
	w := &writer{run: r, db: db, enc: hashlog.Encoder{Key: &r.names}}
	w.proof.sum.SetSeed(maphash.MakeSeed())
	w.watch = watch{known: r.known}
	if err := w.load(); err != nil {
		_ = db.Close()
		return nil, err
	}
	w.proof.from = w.tree.Size
	return w, nil
}

// maxDoubts is how often the records are read back because another process
// has touched the files: others may note something in the run, and not all file
// systems keep times well.
const maxDoubts = 8

// valueOf is the record with a value of a user.
type valueOf struct{ index, user int64 }

// maxRecent is how many of them are kept in mind: more than a write-ahead file
// has between two folds of SQLite's own.
const maxRecent = 1 << 16

// ErrContradiction is in the chain of what Commit returns for records that do
// not fit the ledger: a defect of the caller, or two of them.
var ErrContradiction = errors.New("the ledger would contradict itself")

func contradiction(r *journal.Record, format string, args ...any) error {
	where := ""
	if r.User > 0 {
		where = fmt.Sprintf(" of user %d", r.User)
	}
	if r.Step > 0 {
		where += fmt.Sprintf(" step %d try %d", r.Step, r.Try)
	}
	return fmt.Errorf("%w: %s%s: %s", ErrContradiction, r.Kind, where, fmt.Sprintf(format, args...))
}

func (w *writer) unreadable(err error) error {
	return gone(w.run.store.runFile(w.run.id), "cannot be read back: %v", err)
}

func (w *writer) differs(format string, args ...any) error {
	return gone(w.run.store.runFile(w.run.id), "does not hold what was written to it: "+format, args...)
}

// headNow signs a head if the last one is a while ago or the records say that
// something has come to an end, or is taken up again: no process may be running then that
// would sign the next.
func (w *writer) headNow(now time.Time, recs []*journal.Record) error {
	due := now.Sub(w.signed) >= headEvery
	for _, r := range recs {
		switch r.Kind {
		case journal.Reopened, journal.Held, journal.Approved, journal.Stopped, journal.Ended, journal.Revealed, journal.Reported, journal.Accepted, journal.Forgot, journal.Cancelled, journal.Settled:
			due = true
		}
	}
	if !due {
		return nil
	}
	return w.signHead(now)
}

// signHead signs the log as it stands, within a transaction.
func (w *writer) signHead(now time.Time) error {
	k, err := w.run.store.auditKey()
	if err != nil {
		return err
	}
	root := w.tree.Root()
	have, err := headUpTo(w.db, w.tree.Size)
	if err != nil || have != nil && strings.HasPrefix(have.Note, hashlog.HeadText(w.run.id, w.tree.Size, root)) {
		return err
	}
	text, err := k.Sign(w.run.id, w.tree.Size, root)
	if err != nil {
		return err
	}
	w.signed = now
	err = w.db.Put(&rows.Change{Head: &hashlog.Head{Size: w.tree.Size, At: now.UnixMicro(), Note: text}})
	w.run.store.crash.at(CrashHeadSigned)
	return err
}

// load reads where the log stands.
func (w *writer) load() error {
	found, err := w.db.State()
	if err != nil {
		return err
	}
	w.now = newStanding(w.run.bounds)
	if err := w.now.decode(found); err != nil {
		return err
	}
	if w.tree, err = hashlog.FrontierFrom(found.Size, found.Frontier); err != nil {
		return err
	}
	w.done = done{db: w.db}
	w.tree.Keeps = true
	return nil
}

func (w *writer) commit(recs []*journal.Record) error {
	if err := w.stands(); err != nil {
		return err
	}
	if fault := w.run.store.fault; fault != nil {
		if err := fault(len(recs)); err != nil {
			return err
		}
	}
	at := w.run.store.crash.at
	err := w.db.Within(func() error {
		at(CrashCommitBegun)
		if err := w.catchUp(); err != nil {
			return err
		}
		now := w.run.store.now()
		if err := w.appendAll(recs, now); err != nil {
			return err
		}
		if err := w.flush(); err != nil {
			return err
		}
		at(CrashAppended)
		if err := w.saveState(); err != nil {
			return err
		}
		at(CrashStateSaved)
		if err := w.headNow(now, recs); err != nil {
			return err
		}
		at(CrashCommitReady)
		return nil
	})
	if err != nil {
		return err
	}
	at(CrashCommitted)
	w.mark.write(&w.tree)
	at(CrashMarked)
	w.noteSent(recs)
	return w.settled()
}

// stands checks that the open files are those of the names, and that no one else
// has written into it.
func (w *writer) stands() error {
	f := w.run.footing
	if f == nil {
		return nil
	}
	touched, err := f.check()
	if err != nil || !touched || w.doubts >= maxDoubts {
		return err
	}
	w.doubts++
	return (&prover{w}).prove()
}

func (w *writer) settled() error {
	if w.run.footing == nil {
		return nil
	}
	return w.run.footing.settle()
}

// noteSent keeps in mind whose values may be sent now.
func (w *writer) noteSent(recs []*journal.Record) {
	fresh := false
	for _, r := range recs {
		if r.Kind != journal.Intent {
			continue
		}
		if len(w.recent) >= maxRecent {
			w.recent = append(w.recent[:0], w.recent[maxRecent/2:]...)
		}
		w.recent = append(w.recent, valueOf{r.Index, r.User})
		if !fresh {
			w.last, fresh = w.last[:0], true
		}
		w.last = append(w.last, r.User)
	}
}

// catchUp takes over what another process has noted since. The log has to be
// the earlier one, and more.
func (w *writer) catchUp() error {
	size, err := sizeOf(w.db)
	if err != nil || size == w.tree.Size {
		return err
	}
	if size < w.tree.Size {
		return w.differs("it lacks records")
	}
	was := w.tree
	err = w.run.extend(w.db, &was, size, func(body []byte) { _, _ = w.proof.sum.Write(body) })
	if err != nil {
		return w.unreadable(err)
	}
	if err := w.load(); err != nil {
		return w.unreadable(err)
	}
	if was.Size != w.tree.Size || was.Root() != w.tree.Root() {
		return w.differs("its log is another")
	}
	return nil
}

// catchUpNow is catchUp outside a transaction that writes: all that it reads is of
// one moment, whoever writes meanwhile.
func (w *writer) catchUpNow() error {
	return w.db.Moment(w.catchUp)
}

// mergeLeast is how many records a commit has of which two may be one frame: it pays
// where there are many.
const mergeLeast = 64

// appendAll puts records into the log: the status of a user who is plainly done in the
// frame of what came before.
func (w *writer) appendAll(recs []*journal.Record, now time.Time) error {
	merges := w.run.merges && len(recs) >= mergeLeast
	for len(recs) > 0 {
		first, end := recs[0], (*journal.Record)(nil)
		if recs = recs[1:]; merges && len(recs) > 0 && hashlog.Ends(first, recs[0]) {
			end, recs = recs[0], recs[1:]
		}
		if err := w.append(first, end, now); err != nil {
			return err
		}
	}
	return nil
}

// append puts one record into the log, and in its frame the end of its user, unless that
// is nil.
func (w *writer) append(r, end *journal.Record, now time.Time) error {
	was, err := (&admission{w}).admit(r)
	if err == nil && end != nil {
		_, err = (&admission{w}).admit(end)
	}
	if err != nil {
		return err
	}
	r.Index = w.tree.Size
	if r.At.IsZero() {
		r.At = now
	}
	r.At = r.At.UTC().Truncate(time.Microsecond)
	if r.Kind == journal.Started && r.Detail.Home == "" {
		r.Detail.Home = w.run.store.home()
	}
	f, err := hashlog.FrameOf(r)
	if err != nil {
		return err
	}
	if end != nil {
		f.EndWith(end)
	}
	frame, leaf := w.enc.Stored(w.frame[:0], &f)
	w.frame = frame
	_, _ = w.proof.sum.Write(frame)
	w.tree.Push(leaf)
	w.now.apply(r, was)
	if err := w.put(r, frame); err != nil {
		return err
	}
	if end == nil {
		return w.ending(r)
	}
	end.Index, end.At = r.Index, r.At
	w.now.apply(end, noStatus)
	return w.finish(end)
}

// ending gives a user a status, or takes it away, if the record does.
func (w *writer) ending(r *journal.Record) error {
	switch r.Kind {
	case journal.Finished:
		return w.finish(r)
	case journal.Reopened:
		return w.reopen(r.User)
	}
	return nil
}

// finish gives a user a status.
func (w *writer) finish(r *journal.Record) error {
	w.proof.done++
	if plain(r) {
		return w.done.set(r.User)
	}
	w.users = append(w.users, rows.Status{Pos: r.User, Number: int64(finalStatuses[r.Detail.Status]), Code: string(r.Code), Rec: r.Index + 1})
	return nil
}

// reopen takes a user's status away.
func (w *writer) reopen(user int64) error {
	if err := w.done.clear(user); err != nil {
		return err
	}
	return w.db.Put(&rows.Change{Reopened: []int64{user}})
}

// put adds a record to the group that waits.
func (w *writer) put(r *journal.Record, frame []byte) error {
	if w.group.Full() {
		if err := w.flushGroup(); err != nil {
			return err
		}
	}
	if w.group.N == 0 {
		w.group.First = r.Index + 1
	}
	w.group.Add(r.User, frame)
	return nil
}

// flushGroup writes the group that waits.
func (w *writer) flushGroup() error {
	if w.group.N == 0 {
		return nil
	}
	if err := w.db.Put(&rows.Change{Group: &w.group}); err != nil {
		return err
	}
	w.group = hashlog.Group{Body: w.group.Body[:0]}
	return nil
}

// flush writes what waits.
func (w *writer) flush() error {
	if err := w.flushGroup(); err != nil {
		return err
	}
	err := w.db.Put(&rows.Change{Blocks: w.done.changed(), Tree: rows.TreeOfLog, Tiles: w.tree.Tiles, Statuses: w.users})
	w.tree.Tiles, w.users = w.tree.Tiles[:0], w.users[:0]
	return err
}

func (w *writer) saveState() error {
	text, err := json.Marshal(w.now)
	if err != nil {
		return err
	}
	return w.db.Put(&rows.Change{State: &rows.State{Size: w.tree.Size, Frontier: w.tree.Bytes(), Standing: string(text)}})
}

// known checks that the log continues what its mark has seen. Others note
// something in a run at any time: what a log lacks is looked for again in what
// is there now, which is behind the mark.
func (w *writer) known(mk *marker, m *mark) error {
	if mk == nil {
		return nil
	}
	r := w.run
	if m.tree.Size > w.tree.Size {
		if err := w.catchUpNow(); err != nil {
			return ofRun(r.id, err)
		}
	}
	now := w.tree
	if m.tree.Size > now.Size {
		return r.older(now.Size, m.tree.Size)
	}
	tree := m.tree.Clone()
	if err := r.extend(w.db, &tree, now.Size, nil); err != nil {
		return ofRun(r.id, err)
	}
	if tree.Root() != now.Root() {
		return r.stale("its ledger is not the one that had %d records here: another copy was put in its place", m.tree.Size)
	}
	return nil
}

func (w *writer) forget(by journal.Detail) error {
	if !w.now.Forgot {
		if err := w.db.Within(func() error { return w.destroyKey(by) }); err != nil {
			return err
		}
	}
	return w.foldIn()
}

func (w *writer) destroyKey(by journal.Detail) error {
	if err := w.catchUp(); err != nil {
		return err
	}
	now := w.run.store.now()
	by.OSUser, by.Host = w.run.store.osUser, w.run.store.host
	rec := &journal.Record{Kind: journal.Forgot, Detail: by}
	if err := w.append(rec, nil, now); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.saveState(); err != nil {
		return err
	}
	if err := w.db.Put(&rows.Change{Forget: true}); err != nil {
		return err
	}
	return w.headNow(now, []*journal.Record{rec})
}

// foldIn folds the run in, which overwrites the rest of the key.
func (w *writer) foldIn() error {
	whole, err := w.run.fold()
	if err == nil && !whole {
		err = errors.New("the key is deleted, but another process reads the run: bytes of it stay in the write-ahead file until rekey forget is called again")
	}
	return err
}
