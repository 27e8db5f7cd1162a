package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// auditKey returns the key that signs heads, making it on first use.
func (s *Store) auditKey() (*hashlog.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signer != nil {
		return s.signer, nil
	}
	path := filepath.Join(s.dir, "audit.key")
	if !files.Exists(path) {
		skey, err := hashlog.GenerateSigner(s.rand, s.keyName())
		if err != nil {
			return nil, fmt.Errorf("audit key: %w", err)
		}
		if err := writeNew(path, []byte(skey+"\n")); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("audit key: %w", err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("audit key: %w", err)
	}
	s.signer, err = hashlog.ParseSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("audit key %s: %w", path, err)
	}
	return s.signer, nil
}

// keyName is what signatures are from: notes allow no spaces and no plus.
func (s *Store) keyName() string {
	host := strings.Map(func(r rune) rune {
		if r <= ' ' || r == '+' || r > '~' {
			return '-'
		}
		return r
	}, s.host)
	return strings.TrimSuffix("rekey-"+host, "-")
}

// VerifierKey returns the public key that heads and bundles of this state
// directory are verified with, making the pair if there is none.
func (s *Store) VerifierKey() (string, error) {
	k, err := s.auditKey()
	if err != nil {
		return "", err
	}
	return k.VerifierKey(), nil
}

// SignHead signs the log as it stands and returns its size and the head that
// is worth keeping elsewhere, as SIZE:HASH. On a run that is open for reading
// it returns the head without signing it. Not concurrent with Commit.
func (r *Run) SignHead() (size int64, head string, err error) {
	if r.writer == nil {
		return r.unsignedHead()
	}
	w := r.writer
	if w.broken != nil {
		return 0, "", ofRun(r.id, w.broken)
	}
	err = w.db.Within(func() error {
		if err := w.catchUp(); err != nil {
			return err
		}
		return w.signHead(r.store.now())
	})
	if err != nil {
		w.broken = err
		return 0, "", ofRun(r.id, err)
	}
	return w.tree.Size, hashlog.HeadString(w.tree.Size, w.tree.Root()), nil
}

func (r *Run) unsignedHead() (int64, string, error) {
	var tree hashlog.Frontier
	err := r.reading(func(c storage) error {
		found, err := c.State()
		if err == nil && found == nil {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		tree, err = hashlog.FrontierFrom(found.Size, found.Frontier)
		return err
	})
	if err != nil {
		return 0, "", ofRun(r.id, err)
	}
	return tree.Size, hashlog.HeadString(tree.Size, tree.Root()), nil
}

// Checkpoint returns the newest signed head as a note, the text of a file that
// is worth keeping elsewhere; "" if there is none yet.
func (r *Run) Checkpoint() (string, error) {
	text := ""
	err := r.reading(func(c storage) error {
		found, err := c.Head(math.MaxInt64)
		if found != nil {
			text = found.Note
		}
		return err
	})
	if err != nil {
		return "", ofRun(r.id, err)
	}
	return text, nil
}

// headNow signs a head if the last one is a while ago or the records say that
// something has come to an end.
func (w *writer) headNow(now time.Time, recs []*journal.Record) error {
	due := now.Sub(w.signed) >= headEvery
	for _, r := range recs {
		switch r.Kind {
		case journal.Held, journal.Approved, journal.Stopped, journal.Ended, journal.Revealed, journal.Reported, journal.Accepted, journal.Forgot:
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
	have, err := w.db.Head(w.tree.Size)
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
