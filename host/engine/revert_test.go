package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// short is a journal that breaks after so many commits.
type short struct {
	*book
	left int
}

func (s *short) Commit(recs []*journal.Record) error {
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
		if got.Detail.Status != journal.Failed || got.Code != sdk.AccountNotFound || x[0].current("user1") != "before" || x[1].current("user1") != "before" {
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
	if got := b.finished(1).Detail.Status; got != journal.Failed {
		t.Fatalf("%s, want failed", got)
	}
	b.records = append(b.records, journal.Record{Kind: journal.Reopened, User: 1})
	x[2].say = nil
	apply(t, job)
	one, two, three := x[0].current("user1"), x[1].current("user1"), x[2].current("user1")
	if got := b.finished(1).Detail.Status; got != journal.Done || one == "before" || one != two || two != three || !b.holds("user1", one) {
		t.Errorf("%s; the accounts have one new value: %v", got, one == two && two == three && one != "before")
	}
}

// TestWhatIsNotSetBackSaysWhy, and where, behind what the user failed of.
func TestWhatIsNotSetBackSaysWhy(t *testing.T) {
	for message, want := range map[string]string{
		"": "not reverted, as x: a, b; not reverted, as y: c", "no": "no; not reverted, as x: a, b; not reverted, as y: c",
	} {
		s := &reverter{}
		for _, k := range [][2]string{{"y", "c"}, {"x", "a"}, {"x", "b"}} {
			s.keep(k[0], &journal.CredentialHistory{Credential: journal.Credential{Backend: k[1]}})
		}
		rec := journal.Record{Detail: journal.Detail{Message: message}}
		if s.explain(&rec); rec.Detail.Message != want {
			t.Errorf("%q: %q, want %q", message, rec.Detail.Message, want)
		}
	}
}

// TestWhatWasWrittenWithOptionsIsNotSetBack: the plugin wrote more than the
// value, and a set of the old one would leave that. Also where an earlier process
// sent it, and where a batch did.
func TestWhatWasWrittenWithOptionsIsNotSetBack(t *testing.T) {
	also := map[string]any{"also": []string{"DB_USER=app_b"}}
	for _, c := range []struct {
		name    string
		options map[string]any
		applied bool // by an earlier process
		want    journal.Status
	}{{"options", also, false, journal.Partial}, {"options, in an earlier process", also, true, journal.Partial}, {"none", nil, false, journal.Failed}, {"an empty dict", map[string]any{}, false, journal.Failed}} {
		for _, batch := range []int{0, 1} {
			b := newBook(1)
			x, y := newTarget(t, b), newTarget(t, b)
			y.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
			list := []journal.Step{{Verb: journal.Set, Backend: "a", Value: given("new"), Options: c.options}, {Verb: journal.Set, Backend: "b", Value: given("new")}}
			job := jobOf(b, steps(list...), x.backend("a"), y.backend("b"))
			job.Revert, job.Batch = true, batch
			job.Known = func(string, string, string) (secret.Value, bool, error) { return secret.New("before"), true, nil }
			if c.applied {
				job.Hooks = steps(list[0])
				apply(t, job)
				b.records = b.records[:len(b.records)-1] // it was killed before the status
				job.Hooks = steps(list...)
			}
			apply(t, job)
			got, why := b.finished(1), "not reverted, as its options cannot be taken back: a"
			if kept := strings.Contains(got.Detail.Message, why); got.Detail.Status != c.want || kept != (c.want == journal.Partial) || (x.current("user1") == "new") != kept {
				t.Errorf("%s, batch %d: %s %q with %q, want %s", c.name, batch, got.Detail.Status, got.Detail.Message, x.current("user1"), c.want)
			}
		}
	}
}

// TestWhatNothingCanSetBackStays, and that is noted.
func TestWhatNothingCanSetBackStays(t *testing.T) {
	changes := sdk.Description{Verbs: []sdk.Verb{sdk.Change}}
	for _, c := range []struct {
		name       string
		dispatcher *dispatcher
		want       string
	}{
		{"no backend", nil, "the backend cannot set a value"}, {"one that cannot set", &dispatcher{backend: Backend{Description: changes}}, "the backend cannot set a value"},
		{"no value", &dispatcher{backend: Backend{Description: sdk.Description{Verbs: []sdk.Verb{sdk.Set}}}}, "the earlier value is not known"},
	} {
		cr := idle(t.Context())
		cr.dispatchers["a"] = c.dispatcher
		s := &reverter{userState: &userState{run: cr, history: journal.Read([]journal.Record{
			{Kind: journal.Intent, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann"},
			{Kind: journal.Outcome, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann", Outcome: sdk.Applied},
		})}}
		if err := s.setBack(s.history.Touched()[0]); err != nil || len(s.kept) != 1 || s.kept[c.want] == nil {
			t.Errorf("%s: %v, kept %v; want %q", c.name, err, s.kept, c.want)
		}
	}
}

// TestEverySetBackThatIsOpenIsSettled before the hook is called again, unless
// the ledger is gone.
func TestEverySetBackThatIsOpenIsSettled(t *testing.T) {
	b := newBook(1)
	x, y := newTarget(t, b), newTarget(t, b)
	for i, label := range []string{"a", "b"} {
		b.records = append(b.records, journal.Record{Kind: journal.Intent, User: 1, Step: 2 + i, Verb: journal.Revert, Backend: label, Account: "user1", Sealed: []byte("before")})
	}
	b.sealed["user1\x00before"] = true
	sent := -1
	hook := script(func(context.Context, source.Row, *Steps) journal.Verdict { sent = x.n + y.n; return journal.Verdict{} })
	apply(t, jobOf(b, hook, x.backend("a"), y.backend("b")))
	if sent != 2 {
		t.Errorf("%d of 2 set-backs were sent before the hook was called", sent)
	}
}

// TestWhatWasHandedOverIsNotSetBack: the backend goes on with the new value.
func TestWhatWasHandedOverIsNotSetBack(t *testing.T) {
	b := newBook(1)
	x, y := newTarget(t, b), newTarget(t, b)
	y.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
	hook := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		v, err := s.Generate(ctx, GenerateStep{})
		if err != nil {
			return *must(journal.Result{}, err)
		}
		for _, step := range []journal.Step{{Verb: journal.Handover, Backend: "a"}, {Verb: journal.Set, Backend: "b"}} {
			step.Account, step.Value = row.Key, v
			if bad := must(s.Do(ctx, step)); bad != nil {
				return *bad
			}
		}
		return journal.Verdict{}
	})
	job := jobOf(b, hook, x.backend("a"), y.backend("b"))
	job.Revert = true
	job.Known = func(string, string, string) (secret.Value, bool, error) { return secret.New("before"), true, nil }
	apply(t, job)
	want := "not reverted, as the backend logs in with the new value: a"
	if got := b.finished(1); got.Detail.Status != journal.Partial || !strings.Contains(got.Detail.Message, want) || !b.holds("user1", x.current("user1")) {
		t.Errorf("%s %q, the new value stands: %v; want partial with %q", got.Detail.Status, got.Detail.Message, b.holds("user1", x.current("user1")), want)
	}
}
