package journal

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// listed returns the candidates as "2 applied!, 1 superseded": their steps and
// states, newest first, with a mark at what is current.
func listed(h *History) string {
	var list []string
	for _, c := range h.Candidates() {
		text := fmt.Sprint(c.Step, " ", c.State)
		if c.Current {
			text += "!"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// TestWhatBecameOfEverySealedValue is the list of candidates, as a table.
func TestWhatBecameOfEverySealedValue(t *testing.T) {
	for story, want := range map[string]string{
		"set open":                        "1 unknown",
		"set unknown":                     "1 unknown",
		"set applied":                     "1 applied!",
		"set already":                     "1 applied!",
		"set refused":                     "1 refused",
		"set unsent":                      "1 unsent",
		"set applied, set applied":        "2 applied!, 1 superseded",
		"set applied, set refused":        "2 refused, 1 applied!",
		"set applied, set unsent":         "2 unsent, 1 applied!",
		"set applied, set unknown":        "2 unknown, 1 applied",
		"set applied, set open":           "2 unknown, 1 applied",
		"set unknown, set applied":        "2 applied!, 1 superseded",
		"set unknown, set refused":        "2 refused, 1 unknown",
		"set refused, set applied":        "2 applied!, 1 refused",
		"bridge applied":                  "1 applied",
		"bridge applied, set applied":     "2 applied!, 1 superseded",
		"bridge unknown, set applied":     "2 applied!, 1 superseded",
		"set applied, bridge applied":     "2 applied, 1 superseded",
		"set applied, revert applied":     "2 applied!, 1 superseded",
		"set applied, revert refused":     "2 refused, 1 applied!",
		"set applied, reset applied":      "1 superseded", // a value that the target keeps to itself
		"set applied, reset told":         "2 applied!, 1 superseded",
		"set applied, reset unknown":      "1 applied",
		"reset applied":                   "",
		"reset told, set applied":         "2 applied!, 1 superseded",
		"set applied, unlock unknown":     "1 applied!",
		"unlock applied":                  "",
		"set unknown, set open, set open": "3 unknown, 2 unknown, 1 unknown",
		"change refused, bridge refused":  "2 refused, 1 refused",
	} {
		if got := listed(Read(told(t, story))); got != want {
			t.Errorf("%s: %q, want %q", story, got, want)
		}
	}
}

func TestAValueThatAVerifyFoundNotToWorkIsNotCurrent(t *testing.T) {
	set, rejected := told(t, "set applied"), one(rec(Answer, Verify, 2, sdk.Refused, sdk.NotAccepted))
	if got := listed(Read(join(set, rejected))); got != "1 applied" {
		t.Errorf("%q", got)
	}
	if got := listed(Read(join(set, rejected, one(rec(Answer, Verify, 3, sdk.Applied, ""))))); got != "1 applied!" {
		t.Errorf("accepted later: %q", got)
	}
}

// TestWhatWasFoundInForceLaterIsInForce: an attempt that got no answer arrived
// late, behind another.
func TestWhatWasFoundInForceLaterIsInForce(t *testing.T) {
	log := append(told(t, "set unknown, set applied"), rec(Outcome, Set, 1, sdk.Applied, ""))
	if got := listed(Read(log)); got != "2 superseded, 1 applied!" {
		t.Errorf("%q", got)
	}
}

func TestCredentialsDoNotSettleEachOther(t *testing.T) {
	lost, taken := told(t, "set unknown"), told(t, "set applied")
	for i := range taken {
		taken[i].Step, taken[i].Cred = 2, "mail"
	}
	if got := listed(Read(join(lost, taken))); got != "2 applied!, 1 unknown" {
		t.Errorf("%q", got)
	}
}

// TestWhatTheHostRefusedItselfIsNoCandidate: its value was never sealed to be
// sent.
func TestWhatTheHostRefusedItselfIsNoCandidate(t *testing.T) {
	refused := rec(Answer, Set, 1, sdk.Refused, DuplicateAccount)
	refused.Sealed = []byte("x")
	if got := listed(Read(one(refused))); got != "" {
		t.Errorf("%q", got)
	}
}

func TestACandidateNamesItsCredentialItsPlaceAndItsValue(t *testing.T) {
	log := told(t, "reset told, change applied, bridge unknown")
	for i := range log {
		log[i].Cred = "mail"
	}
	log[2].Detail.HashFormat = "ssha512"
	log[4].Try, log[5].Try = 3, 3
	got := Read(log).Candidates()
	want := []Candidate{
		{Backend: "a", Account: "ann", Cred: "mail", Step: 3, Try: 3, State: CandidateUnknown, Form: "plain", Bridge: true, Sealed: log[4].Sealed, Record: &log[4]},
		{Backend: "a", Account: "ann", Cred: "mail", Step: 2, State: CandidateApplied, Form: "ssha512", Sealed: log[2].Sealed, Record: &log[2]},
		{Backend: "a", Account: "ann", Cred: "mail", Step: 1, State: CandidateSuperseded, Form: "plain", Sealed: log[1].Sealed, Record: &log[1]},
	}
	if !slices.EqualFunc(got, want, func(a, b Candidate) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
