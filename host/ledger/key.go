package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// auditKey signs the heads of the state directory's runs.
type auditKey struct {
	signer note.Signer
	vkey   string
}

// auditKey returns the key that signs heads, making it on first use.
func (s *Store) auditKey() (*auditKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signer != nil {
		return s.signer, nil
	}
	path := filepath.Join(s.dir, "audit.key")
	if !exists(path) {
		skey, _, err := note.GenerateKey(s.rand, s.keyName())
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
	s.signer, err = parseAuditKey(strings.TrimSpace(string(text)))
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

func parseAuditKey(skey string) (*auditKey, error) {
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, errors.New("not a signing key")
	}
	// PRIVATE+KEY+NAME+HASH+BASE64(1, seed)
	fields := strings.SplitN(skey, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, errors.New("not a signing key")
	}
	defer clear(raw)
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(signer.Name(), public)
	return &auditKey{signer, vkey}, err
}

// VerifierKey returns the public key that heads and bundles of this state
// directory are verified with, making the pair if there is none.
func (s *Store) VerifierKey() (string, error) {
	k, err := s.auditKey()
	if err != nil {
		return "", err
	}
	return k.vkey, nil
}

// headText is the text of a signed head, a checkpoint: origin, size and root
// on a line each.
func headText(run string, size int64, root tlog.Hash) string {
	return fmt.Sprintf("rekey/run/%s\n%d\n%s\n", run, size, root)
}

// parseHead takes headText apart.
func parseHead(text string) (run string, size int64, root tlog.Hash, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || !strings.HasPrefix(lines[0], "rekey/run/") {
		return "", 0, root, errors.New("not the head of a run")
	}
	size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return "", 0, root, errors.New("head: not a size")
	}
	root, err = tlog.ParseHash(lines[2])
	return strings.TrimPrefix(lines[0], "rekey/run/"), size, root, err
}

// headString is how a head is printed: SIZE:HASH, the hash in hexadecimal.
func headString(size int64, root tlog.Hash) string { return fmt.Sprintf("%d:%x", size, root[:]) }

// sign signs a head as a note.
func (k *auditKey) sign(run string, size int64, root tlog.Hash) (string, error) {
	text, err := note.Sign(&note.Note{Text: headText(run, size, root)}, k.signer)
	return string(text), err
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
	err = w.db.within(func() error {
		if err := w.catchUp(); err != nil {
			return err
		}
		return w.signHead(r.store.now())
	})
	if err != nil {
		w.broken = err
		return 0, "", ofRun(r.id, err)
	}
	return w.tree.size, headString(w.tree.size, w.tree.root()), nil
}

func (r *Run) unsignedHead() (int64, string, error) {
	var tree frontier
	err := r.reading(func(c *conn) error {
		found, err := c.one("SELECT size, frontier FROM state")
		if err == nil && found == nil {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		tree, err = frontierFrom(found.int(0), found.bytes(1))
		return err
	})
	if err != nil {
		return 0, "", ofRun(r.id, err)
	}
	return tree.size, headString(tree.size, tree.root()), nil
}

// Checkpoint returns the newest signed head as a note, the text of a file that
// is worth keeping elsewhere; "" if there is none yet.
func (r *Run) Checkpoint() (string, error) {
	text := ""
	err := r.reading(func(c *conn) error {
		found, err := c.one("SELECT note FROM head ORDER BY size DESC LIMIT 1")
		if found != nil {
			text = found.text(0)
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
	root := w.tree.root()
	have, err := w.db.one("SELECT note FROM head WHERE size = ?", w.tree.size)
	if err != nil || have != nil && bytes.HasPrefix([]byte(have.text(0)), []byte(headText(w.run.id, w.tree.size, root))) {
		return err
	}
	text, err := k.sign(w.run.id, w.tree.size, root)
	if err != nil {
		return err
	}
	w.signed = now
	_, err = w.db.exec("INSERT OR REPLACE INTO head VALUES (?,?,?)", w.tree.size, now.UnixMicro(), text)
	w.run.store.crash.at(CrashHeadSigned)
	return err
}
