package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestWhatIsNotDurableIsNotSent(t *testing.T) {
	b := newBook(0)
	x := newTarget(t, b)
	be := x.backend("a")
	w := newCommitter(b, nil, nil)
	l := newDispatcher(context.Background(), &Job{}, be, w, newSemaphore(0))
	p := &request{op: sdk.Operation{Verb: sdk.Set, Account: "ann", Value: secret.New("x")}, user: &permit{}, answer: make(chan reply, 1)}
	l.push(p)
	got := <-p.answer
	l.close()
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(got.err, ErrInvariant) || x.n != 0 {
		t.Errorf("%v after %d sends, want an invariant and none", got.err, x.n)
	}
}

func TestASecondValueBesideAnUnknownOneStopsTheRun(t *testing.T) {
	b := newBook(1)
	c := newRun(context.Background(), jobOf(b, nil))
	s := newSteps(c, ledger.User{Pos: 1, Key: "ann"}, source.Row{Key: "ann"})
	intent := journal.Record{Kind: journal.Intent, User: 1, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann", Sealed: []byte("first")}
	settled := journal.Record{Kind: journal.Intent, User: 1, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann", Sealed: []byte("of an earlier round")}
	after, applied := settled, settled
	after.Try, applied.Try = 1, 1
	applied.Kind, applied.Outcome = journal.Outcome, sdk.Applied
	intent.Try = 2
	s.history = journal.Read([]journal.Record{settled, after, applied, intent})
	step := journal.Step{Verb: journal.Set, Backend: "a", Account: "ann"}
	x := newExecutor(&s.userState, step, nil, &journal.RecordedStep{Call: step.Call(), Ordinal: 2, Attempts: []*journal.Attempt{{Intent: &journal.Record{Step: 2}}}})
	for _, v := range []struct {
		value string
		bad   bool
	}{{"first", false}, {"second", true}} {
		err := x.oneValue(sending{verb: sdk.Set, value: secret.New(v.value)})
		if (err != nil) != v.bad || errors.Is(c.fatal, ErrInvariant) != v.bad {
			t.Errorf("%s value: %v, run ends with %v", v.value, err, c.fatal)
		}
	}
}
