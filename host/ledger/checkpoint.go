package ledger

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpoint is what was kept elsewhere of a log.
type checkpoint struct {
	given bool
	run   string // "": it does not say
	size  int64  // -1: it does not say
	root  tlog.Hash
	text  string // of a note, with its signatures

	seen, matched bool
}

// parse reads SIZE:HASH, HASH, or a note.
func (c *checkpoint) parse(text string) error {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.TrimSpace(text) == "" {
		return nil
	}
	c.given = true
	if strings.HasPrefix(text, "rekey/run/") {
		var err error
		c.text = text
		c.run, c.size, c.root, err = parseHead(text)
		if err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		return nil
	}
	size, hash, both := strings.Cut(strings.TrimSpace(text), ":")
	c.size = -1
	if !both {
		hash = size
	} else if n, err := strconv.ParseInt(size, 10, 64); err == nil && n >= 0 {
		c.size = n
	} else {
		return fmt.Errorf("checkpoint %q: want SIZE:HASH", text)
	}
	return c.parseRoot(hash)
}

func (c *checkpoint) parseRoot(text string) error {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == tlog.HashSize {
		c.root = tlog.Hash(raw)
		return nil
	}
	root, err := tlog.ParseHash(text)
	if err != nil {
		return errors.New("checkpoint: want SIZE:HASH as rekey prints it, or a file with a signed head")
	}
	c.root = root
	return nil
}

// pass compares when the tree has the checkpoint's size.
func (c *checkpoint) pass(tree *frontier) {
	switch {
	case c.matched:
	case c.size == tree.size:
		c.seen, c.matched = true, tree.root() == c.root
	case c.size == -1:
		c.matched = tree.root() == c.root
		c.seen = c.matched
	}
}

func (v *verification) compareCheckpoint() {
	c := &v.want
	v.audit.ConsistencyOnly = !c.given
	switch {
	case !c.given:
		return
	case c.run != "" && c.run != v.audit.Run:
		v.audit.general("checkpoint: it is of run %s", c.run)
		return
	case c.text != "" && v.verifier != nil:
		if _, err := note.Open([]byte(c.text), note.VerifierList(v.verifier)); err != nil {
			v.audit.general("checkpoint: it is not signed with this state directory's audit key")
		}
	}
	switch {
	case c.matched:
	case c.size == -1:
		v.audit.general("checkpoint: the log never had this head%s", v.heads.since())
	case !c.seen:
		v.audit.general("checkpoint: the log had %d records when it was taken and has %d now: its end was cut off", c.size, v.tree.size)
	default:
		v.audit.general("checkpoint: some record before %d is not what it was when the checkpoint was taken%s", c.size, v.heads.since())
	}
}

// HeadOf returns the run of which a text is a head, as Checkpoint returns it;
// "" if it is none.
func HeadOf(text string) string {
	run, _, _, err := parseHead(strings.ReplaceAll(text, "\r\n", "\n"))
	if err != nil {
		return ""
	}
	return run
}

// Contains returns nil if the run's log has, or once had as it grew, the head of
// a text that Checkpoint returned.
func (r *Run) Contains(text string) error {
	_, size, root, err := parseHead(strings.ReplaceAll(text, "\r\n", "\n"))
	if err != nil {
		return err
	}
	return r.reading(func(c *conn) error {
		have, err := r.rootAt(c, size)
		switch {
		case errors.Is(err, errOlder):
			return fmt.Errorf("the ledger of run %s is older than it: the checkpoint has %d records; put the newest copy of the run back", r.id, size)
		case err == nil && have != root:
			return fmt.Errorf("the ledger of run %s is another than the one it is of: its first %d records differ; put the right one back", r.id, size)
		}
		return err
	})
}

// errOlder is why a log has no head of a size.
var errOlder = errors.New("the log has fewer records")

// rootAt returns the root that the log had at a size: from the head that was
// signed then, else from the records.
func (r *Run) rootAt(c *conn, size int64) (tlog.Hash, error) {
	now, err := c.count("SELECT size FROM state")
	if err == nil && size > now {
		err = errOlder
	}
	if err != nil {
		return tlog.Hash{}, err
	}
	found, err := c.one("SELECT note FROM head WHERE size = ?", size)
	if err != nil {
		return tlog.Hash{}, err
	}
	if found != nil {
		if run, n, root, err := parseHead(found.text(0)); err == nil && run == r.id && n == size {
			return root, nil
		}
	}
	var tree frontier
	err = r.extend(c, &tree, size, nil)
	return tree.root(), err
}

// heads compares the signed heads with the log as it is read.
type heads struct {
	c      *conn
	queue  []signedHead
	after  climb // to the size of the last one loaded
	fits   int64 // the largest size up to which the log is what was signed
	breaks int64 // the first size from which it is not; 0: none
}

type signedHead struct {
	size int64
	root tlog.Hash
	bad  bool
}

func (h *heads) load(c *conn) error {
	h.c = c
	return h.more()
}

// more loads the next heads; there may be many.
func (h *heads) more() error {
	return h.c.each("SELECT size, note FROM head WHERE size > ? ORDER BY size LIMIT 256", func(found row) error {
		if err := h.after.to(found.int(0)); err != nil {
			return err
		}
		_, size, root, err := parseHead(found.text(1))
		h.queue = append(h.queue, signedHead{found.int(0), root, err != nil || size != found.int(0)})
		return nil
	}, h.after.last)
}

// pass compares when the tree has the size of the next head.
func (h *heads) pass(tree *frontier) {
	for len(h.queue) > 0 && h.queue[0].size <= tree.size {
		next := h.queue[0]
		h.queue = h.queue[1:]
		if next.size == tree.size && !next.bad {
			h.compare(next, tree.root())
		}
		if len(h.queue) == 0 {
			_ = h.more()
		}
	}
}

func (h *heads) compare(next signedHead, root tlog.Hash) {
	switch {
	case next.root != root && h.breaks == 0:
		h.breaks = next.size
	case next.root == root && h.breaks == 0:
		h.fits = next.size
	}
}

// since narrows down where the log left what was signed.
func (h *heads) since() string {
	if h.breaks == 0 {
		return ""
	}
	return fmt.Sprintf("; the signed heads say it is one of records %d to %d", h.fits, h.breaks-1)
}

// readHeads checks the signatures, and what the heads say of the log.
func (v *verification) readHeads() error {
	err := v.c.each("SELECT size, note, at FROM head ORDER BY size", func(found row) error {
		size := found.int(0)
		run, said, _, err := parseHead(found.text(1))
		switch {
		case err != nil || said != size || run != v.audit.Run:
			v.audit.general("signed head at %d records: its text was changed", size)
		case v.verifier != nil && !signedBy(v.verifier, found.text(1)):
			v.audit.general("signed head at %d records: its signature does not fit", size)
		case size > v.tree.size:
			v.audit.general("signed head at %d records: the log has only %d now: its end was cut off", size, v.tree.size)
		case v.heads.breaks == 0 || size < v.heads.breaks:
			v.audit.Signed, v.headAt = size, found.int(2)
		}
		return nil
	})
	if v.heads.breaks > 0 && v.audit.OK {
		v.audit.general("log: records are not what was signed%s", v.heads.since())
	}
	return err
}

func signedBy(verifier note.Verifier, text string) bool {
	_, err := note.Open([]byte(text), note.VerifierList(verifier))
	return err == nil
}
