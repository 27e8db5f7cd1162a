package host

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"github.com/rekey-host/rekey/host/journal"
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
	Gone      bool   `json:"gone,omitempty"` // it is: before that, it was about to be
}

// Prune removes old runs whole, with the values in them, and calls each for every one
// once it is gone. A run with users who are pending, held or unknown stays, and so does
// one that cannot be read, or that another process applies. What was removed, when and
// by whom is kept, with the head of its log.
func (h *Host) Prune(ctx context.Context, options PruneOptions, each func(Pruned) error) error {
	if options.Older <= 0 {
		return &UsageError{Message: "--older: want more than no time", Fix: "give --older 90d"}
	}
	list, err := h.prunable()
	if err != nil {
		return err
	}
	for i, old := range list {
		if i < options.KeepLast || open(old.summary) || old.last.After(h.Now().Add(-options.Older)) {
			continue
		}
		pruned, err := h.prune(ctx, old, options)
		var used *UsageError
		switch {
		case errors.As(err, &used):
			h.notices.warn("run %s stays: %s", old.summary.Header.ID, used.Message)
		case err != nil:
			return err
		default:
			if err := each(*pruned); err != nil {
				return err
			}
		}
	}
	return nil
}

// prunable is a run that can be read.
type prunable struct {
	summary ledger.Summary
	last    time.Time // it was applied, or planned
	audit   Audit
	newest  int64 // accounts whose newest value it has
}

// prunable returns the runs that can be read, last applied first.
func (h *Host) prunable() ([]*prunable, error) {
	runs, err := h.store.Runs()
	if err != nil {
		return nil, err
	}
	var list []*prunable
	holders := map[uint64]holder{}
	for _, summary := range runs {
		if summary.Err != nil {
			continue
		}
		made := &prunable{summary: summary}
		if err := h.survey(made, holders); err != nil {
			h.notices.warn("run %s cannot be read: %s", summary.Header.ID, err)
			continue
		}
		list = append(list, made)
	}
	for _, holder := range holders {
		holder.run.newest++
	}
	slices.SortStableFunc(list, func(a, b *prunable) int { return b.last.Compare(a.last) })
	return list, nil
}

// holder is the run that sent a credential its newest value that is in force, or may be.
type holder struct {
	at  time.Time
	run *prunable
}

// survey reads when a run was applied, and which values it sent.
func (h *Host) survey(made *prunable, holders map[uint64]holder) error {
	run, err := h.store.Read(made.summary.Header.ID)
	if err != nil {
		return err
	}
	defer run.Close()
	if made.last, err = lastApplied(run); err != nil {
		return err
	}
	if made.audit.Size, made.audit.Head, err = run.SignHead(); err != nil {
		return err
	}
	pins, err := run.Backends()
	if err != nil {
		return err
	}
	return run.Pass(ledger.OrderApply, func(user ledger.User) error {
		for _, candidate := range ledger.Candidates(user.History) {
			if candidate.State != journal.CandidateApplied && candidate.State != journal.CandidateUnknown {
				continue
			}
			sum := fnv.New64a()
			_, _ = sum.Write([]byte(pinOf(pins, candidate.Backend).Target() + "\x00" + candidate.Account + "\x00" + candidate.Cred))
			if have, known := holders[sum.Sum64()]; !known || candidate.Record.At.After(have.at) {
				holders[sum.Sum64()] = holder{candidate.Record.At, made}
			}
		}
		return nil
	})
}

// lastApplied is when a run was last applied, or planned.
func lastApplied(run *ledger.Run) (time.Time, error) {
	span, err := run.Span()
	if last := run.Header().Created; !span.Until.After(last) {
		return last, err
	}
	return span.Until, err
}

// prune removes one run, unless it was gone on with meanwhile.
func (h *Host) prune(ctx context.Context, old *prunable, options PruneOptions) (*Pruned, error) {
	pruned := &Pruned{RunSummary: summaryOf(old.summary), Last: stamped(old.last), Audit: old.audit, Newest: old.newest}
	if options.DryRun {
		return pruned, nil
	}
	run, err := h.runs().lock(ctx, old.summary.Header.ID, RunOptions{})
	if err != nil {
		return nil, err
	}
	defer run.Close()
	counts, err := run.Counts()
	if err != nil {
		return nil, err
	}
	last, err := lastApplied(run)
	switch {
	case err != nil:
		return nil, err
	case counts.Pending+counts.Held+counts.Unknown > 0, last.After(old.last):
		return nil, usagef("it was gone on with meanwhile")
	}
	pruned.PrunedAt, pruned.PrunedBy, pruned.Requestor, pruned.Reason = stamped(h.Now()), h.OSUser, options.Requestor, options.Reason
	if err := h.notePruned(pruned); err != nil {
		return nil, err
	}
	if err := run.Remove(); err != nil {
		return nil, err
	}
	pruned.Gone = true
	return pruned, h.notePruned(pruned)
}

// notePruned keeps a line about a run that is about to be removed, or is gone.
func (h *Host) notePruned(pruned *Pruned) error {
	line, err := json.Marshal(pruned)
	if err != nil {
		return err
	}
	return h.store.NotePruned(line)
}

// stamped is a time as it stands in JSON.
func stamped(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }
