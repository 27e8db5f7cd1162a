package ledger

import (
	"cmp"
	"fmt"
	"os"
	"sync"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"golang.org/x/sys/unix"
)

// openRun is an open run: its unchanging part, and the means to read it.
// Reading is safe for concurrent use.
type openRun struct {
	store   *Store
	id      string
	header  Header
	total   int64
	ordered bool // the plan is in the order of the source
	names   hashlog.NamesKey
	merges  bool // a frame may be two records
	bounds  []hashlog.Wave

	lock    *lock    // nil: open for reading
	writer  *writer  // nil: open for reading
	footing *footing // nil: open for reading

	mu     sync.Mutex
	closed bool
	rest   *rescue   // nil: damage is an error
	idle   []storage // for reading
}

// keyFits checks the wrapped data key against its digest in the log. Runs from
// before it was kept there fit.
func (r *openRun) keyFits(c storage, forgot bool) error {
	first, err := recordAt(c, 1)
	if err != nil || first == nil {
		return err
	}
	var dec hashlog.Decoder
	opened, err := dec.Record(first)
	if err != nil {
		return err
	}
	found, err := c.Run()
	if err = cmp.Or(err, found.Key.Err); err != nil {
		return err
	}
	if want := opened.Detail.Facts[keyFact]; want == "" || keyIs(found.Key, want, forgot) {
		return nil
	}
	return errOtherKey
}

// sums returns the encoder that compares records with their sums, where whatever is
// damaged is to be found out; else nil.
func (r *openRun) sums() *hashlog.Encoder {
	if r.rest == nil || r.rest.copied() {
		return nil
	}
	return &hashlog.Encoder{Key: &r.names}
}

// leaves calls fn for the records [from, to): their places, their leaves, and
// whether their bytes fit their sum.
func (r *openRun) leaves(c storage, from, to int64, fn func(index int64, leaf hashlog.Hash, sound bool) error) error {
	enc, dec := hashlog.Encoder{Key: &r.names}, hashlog.Decoder{}
	return eachRecord(c, from, to, func(r *hashlog.Stored) error {
		f, err := dec.Split(r.Body)
		if err != nil {
			return fn(r.ID-1, hashlog.Hash{}, false)
		}
		return fn(r.ID-1, enc.Leaf(&f, r.Body), enc.Fits(&f, r.Body) == nil)
	})
}

// extend pushes the records from the tree's size on to a size. also is called
// with each as it is stored; it may be nil.
func (r *openRun) extend(c storage, tree *hashlog.Frontier, to int64, also func(body []byte)) error {
	if tree.Size >= to {
		return nil
	}
	enc, dec := hashlog.Encoder{Key: &r.names}, hashlog.Decoder{}
	err := eachRecord(c, tree.Size, to, func(r *hashlog.Stored) error {
		f, err := dec.Split(r.Body)
		if err != nil {
			return fmt.Errorf("record %d: %w", tree.Size, err)
		}
		tree.Push(enc.Leaf(&f, r.Body))
		if also != nil {
			also(r.Body)
		}
		return nil
	})
	if err == nil && tree.Size != to {
		err = fmt.Errorf("record %d is missing", tree.Size)
	}
	return err
}

// load reads what never changes.
func (r *openRun) load(c storage) error {
	found, err := c.Run()
	if err != nil {
		return err
	}
	if r.header, err = decodeHeader([]byte(found.Header)); err != nil {
		return err
	}
	r.names, r.total, r.ordered, r.bounds, r.merges = found.Names, found.Total, found.Ordered, found.Waves, found.Merges
	return nil
}

// ID returns the run's name.
func (r *openRun) ID() string { return r.id }

// Header returns what the run was planned from.
func (r *openRun) Header() Header { return r.header }

// reading calls fn with a connection for reading. Where that finds damage, and
// what there is of the run is wanted, it calls fn again, for a copy of that.
func (r *openRun) reading(fn func(c storage) error) error {
	err := r.readingOnce(fn)
	if err == nil || !r.rescued(err) {
		return err
	}
	if err := r.readingOnce(r.load); err != nil {
		return err
	}
	return r.readingOnce(fn)
}

func (r *openRun) readingOnce(fn func(c storage) error) error {
	c, err := r.reader()
	if err != nil {
		return err
	}
	if err := fn(c); err != nil {
		_ = c.Close()
		return err
	}
	r.mu.Lock()
	r.idle = append(r.idle, c)
	r.mu.Unlock()
	return nil
}

func (r *openRun) reader() (storage, error) {
	r.mu.Lock()
	if n := len(r.idle); n > 0 {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		return c, nil
	}
	r.mu.Unlock()
	return r.store.kept.Open(r.file(), rows.Live)
}

// standing reads where the run stands.
func (r *openRun) standing() (*standing, error) {
	var s *standing
	err := r.reading(func(c storage) error {
		s = newStanding(r.bounds)
		found, err := c.State()
		if err != nil {
			return err
		}
		return s.decode(found)
	})
	if err != nil {
		return nil, ofRun(r.id, err)
	}
	return s, nil
}

// Damage returns a *Damage for a run opened with Rest and of which
// something could not be read; nil for others.
func (r *openRun) Damage() error {
	if r.rest == nil || r.rest.found == nil {
		return nil
	}
	return r.rest.found
}

// file is the file read of a run.
func (r *openRun) file() string {
	if r.rest.copied() {
		return r.copied(r.rest.made)
	}
	return r.store.runFile(r.id)
}

// rescued copies what can be read, once, and reports whether it did.
func (r *openRun) rescued(cause error) bool {
	if r.rest == nil || !Damaged(cause) {
		return false
	}
	r.rest.mu.Lock()
	defer r.rest.mu.Unlock()
	if r.rest.copied() {
		return false
	}
	found, err := r.copyRest(cause)
	if err != nil {
		r.rest.close()
		return false
	}
	r.closeIdle()
	r.rest.found = found
	return true
}

// copyRest copies what can be read of a run into a directory of its own.
func (r *openRun) copyRest(cause error) (*Damage, error) {
	parent := r.store.temp()
	if unix.Access(parent, unix.W_OK) != nil {
		parent = ""
	}
	made, err := files.MakePassing(parent, "rekey-rest-")
	if err != nil {
		return nil, err
	}
	r.rest.made = made
	lost, err := r.store.kept.Rescue(&rows.Wreck{At: r.store.runFile(r.id), Dir: made.Dir, Copy: r.copied(made), Marked: r.marked(), Rules: &sense{id: r.id}})
	return &Damage{Run: r.id, File: r.store.runFile(r.id), Cause: cause, Lost: lost}, err
}

// copied is where the copy of a damaged run is.
func (r *openRun) copied(made *files.Passing) string { return made.File(r.id + ".db") }

// marked is how far the log had come here.
func (r *openRun) marked() int64 {
	mk, m, err := r.store.openMark(r.id, os.O_RDONLY)
	if err != nil || mk == nil {
		return 0
	}
	mk.close()
	return m.tree.Size
}

// closeIdle closes the unused connections for reading.
func (r *openRun) closeIdle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.idle {
		_ = c.Close()
	}
	r.idle = nil
}
