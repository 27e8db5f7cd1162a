package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// short is a journal that breaks after so many commits.
type short struct {
	*book
	left int
}

func (s *short) Commit(recs []*ledger.Record) error {
	if s.left--; s.left < 0 {
		return errors.New("input/output error")
	}
	return s.book.Commit(recs)
}

// saga is a job whose third account refuses, so that the first two are set back.
func saga(t *testing.T, b *book) (Job, [3]*target) {
	t.Helper()
	all := [3]*target{newTarget(t, b), newTarget(t, b), newTarget(t, b)}
	all[2].say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
	job := jobOf(b, generateAndSet("a", "b", "c"), all[0].backend("a"), all[1].backend("b"), all[2].backend("c"))
	job.Revert = true
	job.Known = func(string, string, string) (secret.Value, bool, error) { return secret.New("before"), true, nil }
	return job, all
}

func TestASetBackThatWasInterruptedIsFinished(t *testing.T) {
	interrupted := 0
	for n := 1; ; n++ {
		b := newBook(1)
		job, x := saga(t, b)
		job.Journal = &short{b, n}
		if _, err := Apply(context.Background(), job); err == nil {
			break
		}
		interrupted++
		job.Journal = b
		apply(t, job)
		got := b.finished(1)
		if got.Detail.Status != ledger.Failed || got.Code != sdk.AccountNotFound || x[0].current("user1") != "before" || x[1].current("user1") != "before" {
			t.Errorf("broken at commit %d: %s %s, the old values are back: %v, %v; want failed AccountNotFound, true, true", n, got.Detail.Status, got.Code,
				x[0].current("user1") == "before", x[1].current("user1") == "before")
		}
	}
	if interrupted < 5 {
		t.Errorf("%d interruptions are too few to tell", interrupted)
	}
}

func TestARetryAfterASetBackBeginsAnew(t *testing.T) {
	b := newBook(1)
	job, x := saga(t, b)
	apply(t, job)
	if got := b.finished(1).Detail.Status; got != ledger.Failed {
		t.Fatalf("%s, want failed", got)
	}
	b.records = append(b.records, ledger.Record{Kind: ledger.Reopened, User: 1})
	x[2].say = nil
	apply(t, job)
	one, two, three := x[0].current("user1"), x[1].current("user1"), x[2].current("user1")
	if got := b.finished(1).Detail.Status; got != ledger.Done || one == "before" || one != two || two != three || !b.holds("user1", one) {
		t.Errorf("%s; the accounts have one new value: %v", got, one == two && two == three && one != "before")
	}
}
