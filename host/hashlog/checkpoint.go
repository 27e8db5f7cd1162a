package hashlog

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is what was kept elsewhere of a log. The zero value is nothing.
type Checkpoint struct {
	given bool
	run   string // "": it does not say
	size  int64  // -1: it does not say
	root  Hash
	text  string // of a note, with its signatures

	seen, matched bool
}

// ParseCheckpoint reads SIZE:HASH, HASH, or the text of a signed head; of a text
// without anything in it, nothing.
func ParseCheckpoint(text string) (c Checkpoint, err error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.TrimSpace(text) == "" {
		return c, nil
	}
	c.given = true
	if strings.HasPrefix(text, "rekey/run/") {
		c.text = text
		if c.run, c.size, c.root, err = ParseHead(text); err != nil {
			return c, fmt.Errorf("checkpoint: %w", err)
		}
		return c, nil
	}
	size, hash, both := strings.Cut(strings.TrimSpace(text), ":")
	c.size = -1
	if !both {
		hash = size
	} else if n, err := strconv.ParseInt(size, 10, 64); err == nil && n >= 0 {
		c.size = n
	} else {
		return c, fmt.Errorf("checkpoint %q: want SIZE:HASH", text)
	}
	c.root, err = parseRoot(hash)
	return c, err
}

func parseRoot(text string) (Hash, error) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == tlog.HashSize {
		return Hash(raw), nil
	}
	root, err := tlog.ParseHash(text)
	if err != nil {
		return root, errors.New("checkpoint: want SIZE:HASH as rekey prints it, or a file with a signed head")
	}
	return root, nil
}

// pass compares when the tree has the checkpoint's size.
func (c *Checkpoint) pass(tree *Frontier) {
	switch {
	case c.matched:
	case c.size == tree.Size:
		c.seen, c.matched = true, tree.Root() == c.root
	case c.size == -1:
		c.matched = tree.Root() == c.root
		c.seen = c.matched
	}
}

// Heads calls fn for the signed heads of a log over more records than
// that, in order, until it returns an error; ErrDone ends it without one.
type Heads func(after int64, fn func(h Head) error) error

// heads compares the signed heads with the log as it is read.
type heads struct {
	list   Heads
	queue  []signedHead
	after  Climb // to the size of the last one loaded
	fits   int64 // the largest size up to which the log is what was signed
	breaks int64 // the first size from which it is not; 0: none
}

type signedHead struct {
	size int64
	root Hash
	bad  bool
}

// headsAhead is how many are loaded at once.
const headsAhead = 256

// more loads the next heads; there may be many.
func (h *heads) more() error {
	return h.list(h.after.Last, func(next Head) error {
		if err := h.after.To(next.Size); err != nil {
			return err
		}
		_, size, root, err := ParseHead(next.Note)
		h.queue = append(h.queue, signedHead{next.Size, root, err != nil || size != next.Size})
		if len(h.queue) == headsAhead {
			return ErrDone
		}
		return nil
	})
}

// pass compares when the tree has the size of the next head.
func (h *heads) pass(tree *Frontier) {
	for len(h.queue) > 0 && h.queue[0].size <= tree.Size {
		next := h.queue[0]
		h.queue = h.queue[1:]
		if next.size == tree.Size && !next.bad {
			h.compare(next, tree.Root())
		}
		if len(h.queue) == 0 {
			h.queue = h.queue[:0:0]
			_ = h.more()
		}
	}
}

func (h *heads) compare(next signedHead, root Hash) {
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
