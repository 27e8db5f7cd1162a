package journal

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/sdk"
)

// world is a user's targets, and the log of what was done to them.
type world struct {
	t      *rapid.T
	log    []Record
	steps  int
	has    map[Credential]int // the step whose value a credential has
	asked  map[Credential]*Record
	landed map[int]bool // whether an attempt took effect, by its step
}

func (w *world) draw(n int, label string) int { return rapid.IntRange(0, n-1).Draw(w.t, label) }

// send begins a step, and lets it come to something.
func (w *world) send(name Credential) {
	w.steps++
	verb := []string{Set, Change, Reset, Revert, Unlock}[w.draw(5, "verb")]
	r := Record{Kind: Intent, User: 1, Step: w.steps, Verb: verb, Backend: name.Backend, Account: name.Account, Cred: name.Kind}
	if traits, _ := TraitsOf(verb); traits.Carries {
		r.Sealed = []byte(fmt.Sprint(w.steps))
		r.Detail.Bridge = verb == Set && w.draw(3, "bridge") == 0
	}
	w.log = append(w.log, r)
	w.asked[name] = &r
	took := w.draw(2, "took effect") == 1
	if w.landed[w.steps] = took; took && changes(verb) {
		w.has[name] = w.steps
	}
	if w.draw(4, "answered") > 0 {
		w.answer(&r, took && w.draw(4, "told") > 0 || !took && w.draw(2, "told") > 0)
	}
}

// answer records what became of an attempt: the truth, or that it is not known.
func (w *world) answer(of *Record, truth bool) {
	r := *of
	r.Kind, r.Sealed, r.Outcome, r.Code, r.Detail = Outcome, nil, sdk.Unknown, sdk.Timeout, Detail{}
	switch {
	case truth && w.landed[of.Step]:
		r.Outcome, r.Code = []sdk.Outcome{sdk.Applied, sdk.AlreadyApplied}[w.draw(2, "applied")], ""
		if r.Verb == Reset && w.draw(2, "tells its value") == 0 {
			r.Sealed = []byte("told")
		}
	case truth:
		r.Outcome, r.Code = sdk.Refused, []sdk.Code{sdk.PermissionDenied, sdk.Unreachable}[w.draw(2, "code")]
	}
	w.log = append(w.log, r)
}

// ask settles the newest attempt on a credential, or verifies what it has.
func (w *world) ask(name Credential) {
	if last := w.asked[name]; last != nil && Read(w.log).Attempt(last.Step, 0).Unknown() {
		w.answer(last, w.draw(3, "settled") > 0)
		return
	}
	w.steps++
	w.log = append(w.log, Record{Kind: Answer, User: 1, Step: w.steps, Verb: Verify, Backend: name.Backend, Account: name.Account, Cred: name.Kind, Outcome: sdk.Applied})
}

// lived returns a world in which some things have happened.
func lived(t *rapid.T) *world {
	w := &world{t: t, has: map[Credential]int{}, asked: map[Credential]*Record{}, landed: map[int]bool{}}
	credentials := rapid.IntRange(1, 2*few).Draw(t, "credentials")
	for range rapid.IntRange(0, 5*few).Draw(t, "events") {
		n := w.draw(credentials, "credential")
		name := Credential{Backend: fmt.Sprint("b", n/2), Account: "ann", Kind: []string{"", "mail"}[n%2]}
		if w.draw(3, "asks") == 0 {
			w.ask(name)
		} else {
			w.send(name)
		}
	}
	return w
}

// TestTheListOfCandidatesIsTrue: the value that a credential has is among those
// that it may have; what is called current it has; and what stands refused it
// does not.
func TestTheListOfCandidatesIsTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lived(t)
		h := Read(w.log)
		for _, c := range h.Candidates() {
			name := Credential{c.Backend, c.Account, c.Cred}
			has := w.has[name] == c.Step
			may := c.State == CandidateApplied || c.State == CandidateUnknown
			if has && !may || c.Current && !has || len(c.Sealed) == 0 {
				t.Fatalf("%v has the value of step %d; that of step %d is %s, current %v", name, w.has[name], c.Step, c.State, c.Current)
			}
		}
		for _, c := range h.Touched() {
			has := w.has[c.Credential]
			switch c.State {
			case AttemptsApplied:
				if c.Deciding.Step != has {
					t.Fatalf("%v has the value of step %d, and is said to have that of %d", c.Credential, has, c.Deciding.Step)
				}
			case AttemptsRefused:
				if has != 0 {
					t.Fatalf("%v has the value of step %d, and is said to have none", c.Credential, has)
				}
			}
		}
	})
}

// TestACredentialIsReadAsIfItWereTheOnlyOne, however many the user has.
func TestACredentialIsReadAsIfItWereTheOnlyOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lived(t)
		whole := Read(w.log)
		for n := range 2*few + 1 {
			name := Credential{Backend: fmt.Sprint("b", n/2), Account: "ann", Kind: []string{"", "mail"}[n%2]}
			var own []Record
			for _, r := range w.log {
				if CredentialOf(&r) == name {
					own = append(own, r)
				}
			}
			got, want := whole.Credential(name), Read(own).Credential(name)
			if got == nil || want == nil {
				if got != want {
					t.Fatalf("%v is known %v among others, %v alone", name, got != nil, want != nil)
				}
				continue
			}
			if got.State != want.State || got.Reverted != want.Reverted || !reflect.DeepEqual(got.Deciding, want.Deciding) ||
				!slices.Equal(stepsOf(got.Attempts...), stepsOf(want.Attempts...)) {
				t.Fatalf("%v: among others %+v, alone %+v", name, got, want)
			}
		}
	})
}

// TestWhatIsAliveIsCountedAsIfFromTheStart.
func TestWhatIsAliveIsCountedAsIfFromTheStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Read(lived(t).log)
		for _, besides := range append(slices.Clone(h.Attempts()), nil) {
			want := slices.ContainsFunc(h.Attempts(), func(a *Attempt) bool { return a != besides && changes(a.Intent.Verb) && !a.Refused() })
			if got := h.Live(besides); got != want {
				t.Fatalf("besides step %v: %v, want %v", stepsOf(besides), got, want)
			}
		}
	})
}

// TestARefusalThatIsTakenBackIsAliveAgain: an older rekey recorded some.
func TestARefusalThatIsTakenBackIsAliveAgain(t *testing.T) {
	log := append(told(t, "set refused"), rec(Outcome, Set, 1, sdk.Applied, ""))
	if Read(log[:2]).Live(nil) || !Read(log).Live(nil) {
		t.Error("it is not")
	}
	again := append(log, rec(Outcome, Set, 1, sdk.Applied, ""))
	if h := Read(again); !h.Live(nil) || h.Live(h.Attempts()[0]) {
		t.Error("it is counted twice")
	}
}

// TestAnOutcomeWithoutAnIntentIsAnAttempt: an older rekey wrote none for a
// reset.
func TestAnOutcomeWithoutAnIntentIsAnAttempt(t *testing.T) {
	end := rec(Outcome, Reset, 1, sdk.Applied, "")
	end.Sealed = []byte("x")
	h := Read(one(end))
	if got := listed(h); got != "1 applied!" || h.Credential(ann).State != AttemptsApplied || !h.Live(nil) {
		t.Errorf("%q, %+v", got, h.Credential(ann))
	}
	unlocked := Read(one(rec(Outcome, Unlock, 1, sdk.Applied, "")))
	if len(unlocked.Attempts()) != 1 || len(unlocked.Touched()) != 0 || unlocked.Live(nil) {
		t.Error("an unlock has changed a credential")
	}
}

func TestAnAttemptIsFoundByItsStepAndItsTry(t *testing.T) {
	log := told(t, "set refused, set unknown")
	log[2].Step, log[2].Try, log[3].Step, log[3].Try = 1, 1, 1, 1
	log = append(log, rec(Answer, Verify, 2, sdk.Applied, ""))
	h := Read(log)
	for _, c := range []struct{ step, try, place int }{{1, 0, 0}, {1, 1, 2}} {
		if a := h.Attempt(c.step, c.try); a == nil || a.Intent != h.Records()[c.place] || a.Newest() != c.place+1 {
			t.Errorf("step %d, try %d: %+v", c.step, c.try, a)
		}
	}
	for _, c := range [][2]int{{1, 2}, {2, 0}, {3, 0}} {
		if a := h.Attempt(c[0], c[1]); a != nil {
			t.Errorf("step %d, try %d: %+v", c[0], c[1], a.Intent)
		}
	}
	if len(h.Attempts()) != 3 || h.Attempts()[2].Newest() != 4 || h.Attempts()[2].Intent.Kind != Answer {
		t.Errorf("what the verify said is not among the %d attempts", len(h.Attempts()))
	}
}

func TestRecordsStayInTheOrderOfTheLedger(t *testing.T) {
	log := told(t, "set applied, set unknown")
	h := Read(log)
	if len(h.Records()) != len(log) {
		t.Fatalf("%d records of %d", len(h.Records()), len(log))
	}
	for i, r := range h.Records() {
		if r != &log[i] {
			t.Errorf("record %d is another", i)
		}
	}
}

func TestAUserHasAStatusUntilTheUserIsPutBack(t *testing.T) {
	finished, reopened := Record{Kind: Finished, Detail: Detail{Status: Failed}}, Record{Kind: Reopened}
	h := &History{}
	if h.Finished() != nil {
		t.Error("a user of whom nothing is recorded has a status")
	}
	if h.Add(&finished); h.Finished() != &finished {
		t.Error("the status is not the one that was recorded")
	}
	if h.Add(&reopened); h.Finished() != nil {
		t.Error("who was put back still has the status")
	}
	again := finished
	if h.Add(&again); h.Finished() != &again {
		t.Error("the second status is not the one that was recorded")
	}
}

// TestWhatAUsersBackendsHave is a table of what holds of all credentials
// together.
func TestWhatAUsersBackendsHave(t *testing.T) {
	at := func(backend, story string) []Record {
		log := told(t, story)
		for i := range log {
			log[i].Backend, log[i].Step = backend, log[i].Step+10*int(backend[0])
		}
		return log
	}
	for _, c := range []struct {
		name        string
		log         []Record
		touched     []string
		used, given []string
		doubtful    int // the step that leaves a doubt, 0: none
		inForce     int // a step whose value stays
	}{
		{"nothing", nil, nil, nil, nil, 0, 0},
		{"a verify", one(rec(Answer, Verify, 1, sdk.Applied, "")), nil, nil, nil, 0, 0},
		{"refused", at("\x01", "set refused"), []string{"\x01"}, nil, nil, 0, 0},
		{"applied", at("\x01", "set applied"), []string{"\x01"}, []string{"\x01"}, []string{"\x01"}, 0, 11},
		{"unknown", at("\x01", "set unknown"), []string{"\x01"}, []string{"\x01"}, nil, 11, 0},
		{"open, and open again", at("\x01", "set open, set open"), []string{"\x01"}, []string{"\x01"}, nil, 11, 0},
		{"applied, then unknown", at("\x01", "set applied, set unknown"), []string{"\x01"}, []string{"\x01"}, []string{"\x01"}, 12, 11},
		{"a bridge", at("\x01", "bridge applied, set refused"), []string{"\x01"}, []string{"\x01"}, []string{"\x01"}, 12, 0},
		{"refused here, applied there", join(at("\x02", "set refused"), at("\x01", "set applied")), []string{"\x02", "\x01"}, []string{"\x01"}, []string{"\x01"}, 0, 11},
		{"applied here, unknown there", join(at("\x02", "set applied"), at("\x01", "set unknown")), []string{"\x02", "\x01"}, []string{"\x02", "\x01"}, []string{"\x02"}, 11, 21},
	} {
		h := Read(c.log)
		var touched []string
		for _, cred := range h.Touched() {
			touched = append(touched, cred.Backend)
		}
		if !slices.Equal(touched, c.touched) || !slices.Equal(h.Used(), c.used) || !slices.Equal(h.Given(), c.given) {
			t.Errorf("%s: touched %q, used %q, given %q; want %q, %q, %q", c.name, touched, h.Used(), h.Given(), c.touched, c.used, c.given)
		}
		if doubtful, inForce := stepsOf(h.Doubtful()), stepsOf(h.InForce()); !slices.Equal(doubtful, none(c.doubtful)) || !slices.Equal(inForce, none(c.inForce)) {
			t.Errorf("%s: in doubt by %v, in force by %v; want %d, %d", c.name, doubtful, inForce, c.doubtful, c.inForce)
		}
	}
}

func TestABackendIsNamedOnceForAllItsCredentials(t *testing.T) {
	log := told(t, "set applied, set applied")
	log[2].Cred, log[3].Cred = "mail", "mail"
	if h := Read(log); !slices.Equal(h.Used(), []string{"a"}) || !slices.Equal(h.Given(), []string{"a"}) || len(h.Touched()) != 2 {
		t.Errorf("used %q, given %q", h.Used(), h.Given())
	}
}
