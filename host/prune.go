package host

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/rekey-host/rekey/host/ledger"
)

// PruneOptions say which runs Prune removes.
type PruneOptions struct {
	Older    time.Duration // whose newest record is older
	KeepLast int           // and which are not among the newest so many
	DryRun   bool          // none: they are only named
	Act
}

// Pruned is a run that Prune removed, or would remove.
type Pruned struct {
	RunSummary
	Last      string `json:"last"` // when its newest record was made, UTC
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
		return &UsageError{Message: "prune wants to know what is old", Fix: "give --older 90d"}
	}
	list, err := h.store.Runs()
	if err != nil {
		return err
	}
	for _, run := range list[min(max(options.KeepLast, 0), len(list)):] {
		if run.Err != nil || open(run) {
			continue
		}
		pruned, err := h.prune(ctx, run, options)
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
func (h *Host) prune(ctx context.Context, summary ledger.Summary, options PruneOptions) (*Pruned, error) {
	pruned, err := h.old(summary, options.Older)
	if err != nil || pruned == nil || options.DryRun {
		return pruned, err
	}
	run, err := h.runs().lock(ctx, summary.Header.ID, RunOptions{})
	if err != nil {
		return nil, err
	}
	defer run.Close()
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

// old is a run whose newest record is older; nil: it is not.
func (h *Host) old(summary ledger.Summary, than time.Duration) (*Pruned, error) {
	run, err := h.store.Read(summary.Header.ID)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	last, err := run.LastAt()
	if err != nil || last.After(h.Now().Add(-than)) {
		return nil, err
	}
	pruned := &Pruned{RunSummary: summaryOf(summary), Last: stamped(last)}
	pruned.Audit.Size, pruned.Audit.Head, err = run.SignHead()
	return pruned, err
}

// stamped is a time as it stands in JSON.
func stamped(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }
