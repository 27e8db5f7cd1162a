package host

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"time"

	"github.com/rekey-host/rekey/host/ledger"
)

// PruneOptions say which runs Prune removes.
type PruneOptions struct {
	Older    time.Duration // last applied, or planned if they never were, longer ago
	KeepLast int           // and which are not among the newest so many
	DryRun   bool          // none: they are only named
	Act
}

// Pruned is a run that Prune removed, or would remove.
type Pruned struct {
	RunSummary
	Last      string `json:"last"`   // when it was last applied, or planned, UTC
	Newest    int64  `json:"newest"` // accounts of which no newer run has a value: theirs go with it
	Audit     Audit  `json:"audit"`
	PrunedAt  string `json:"pruned_at,omitempty"`
	PrunedBy  string `json:"pruned_by,omitempty"`
	Requestor string `json:"requestor,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// Prune removes old runs whole, with the values in them, and calls each for every one
// once it is gone. A run with users who are pending, held or unknown stays, and so does
// one that cannot be read, or that another process applies. What was removed, when and
// by whom is kept, with the head of its log.
func (h *Host) Prune(ctx context.Context, options PruneOptions, each func(Pruned) error) error {
	if options.Older <= 0 {
		return &UsageError{Message: "--older: want more than no time", Fix: "give --older 90d"}
	}
	list, err := h.store.Runs()
	if err != nil {
		return err
	}
	seen := credentials{}
	for i, run := range list {
		newest, err := h.newest(run, seen)
		if err != nil {
			return err
		}
		if i < options.KeepLast || run.Err != nil || open(run) {
			continue
		}
		pruned, err := h.prune(ctx, run, options, newest)
		var used *UsageError
		switch {
		case errors.As(err, &used):
			h.notices.warn("run %s stays: %s", run.Header.ID, used.Message)
		case err != nil:
			return err
		case pruned != nil:
			if err := each(*pruned); err != nil {
				return err
			}
		}
	}
	return nil
}

// prune removes one run if it is old enough; nil: it is not.
func (h *Host) prune(ctx context.Context, summary ledger.Summary, options PruneOptions, newest int64) (*Pruned, error) {
	pruned, err := h.old(summary, options.Older)
	if pruned != nil {
		pruned.Newest = newest
	}
	if err != nil || pruned == nil || options.DryRun {
		return pruned, err
	}
	run, err := h.runs().lock(ctx, summary.Header.ID, RunOptions{})
	if err != nil {
		return nil, err
	}
	defer run.Close()
	counts, err := run.Counts()
	if err != nil {
		return nil, err
	}
	if counts.Pending+counts.Held+counts.Unknown > 0 { // put back meanwhile
		return nil, usagef("its users are pending, held or unknown")
	}
	pruned.PrunedAt, pruned.PrunedBy, pruned.Requestor, pruned.Reason = stamped(h.Now()), h.OSUser, options.Requestor, options.Reason
	line, err := json.Marshal(pruned)
	if err != nil {
		return nil, err
	}
	if err := h.store.NotePruned(line); err != nil {
		return nil, err
	}
	return pruned, run.Remove()
}

// old is a run last applied, or planned, longer ago; nil: it is not.
func (h *Host) old(summary ledger.Summary, than time.Duration) (*Pruned, error) {
	run, err := h.store.Read(summary.Header.ID)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	span, err := run.Span()
	last := summary.Header.Created
	if span.Until.After(last) {
		last = span.Until
	}
	if err != nil || last.After(h.Now().Add(-than)) {
		return nil, err
	}
	pruned := &Pruned{RunSummary: summaryOf(summary), Last: stamped(last)}
	pruned.Audit.Size, pruned.Audit.Head, err = run.SignHead()
	return pruned, err
}

// credentials are hashes of what has a value in a newer run.
type credentials map[uint64]struct{}

// newest takes over which credentials a run gave a value, and returns how many of them
// no newer run did. Runs come newest first.
func (h *Host) newest(summary ledger.Summary, seen credentials) (count int64, err error) {
	if summary.Err != nil {
		return 0, nil
	}
	run, err := h.store.Read(summary.Header.ID)
	if err != nil {
		return 0, nil // removed meanwhile
	}
	defer run.Close()
	pins, err := run.Backends()
	if err != nil {
		return 0, err
	}
	err = run.Intents(func(backend, account, cred, _ string, _ int64) error {
		sum := fnv.New64a()
		_, _ = sum.Write([]byte(pinOf(pins, backend).Target() + "\x00" + account + "\x00" + cred))
		if _, known := seen[sum.Sum64()]; !known {
			seen[sum.Sum64()] = struct{}{}
			count++
		}
		return nil
	})
	return count, err
}

// stamped is a time as it stands in JSON.
func stamped(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }
