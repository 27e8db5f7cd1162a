package journal

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// kinds are the kinds of records by the number that stands in ledgers, and
// whether they are about a user.
var kinds = []struct {
	kind      Kind
	number    uint8
	name      string
	aboutUser bool
}{
	{Opened, 1, "opened", false},
	{Planned, 2, "planned", false},
	{Started, 3, "started", false},
	{Intent, 4, "intent", true},
	{Outcome, 5, "outcome", true},
	{Answer, 6, "answer", true},
	{Finished, 7, "finished", true},
	{Reopened, 8, "reopened", true},
	{Held, 9, "held", false},
	{Approved, 10, "approved", false},
	{Stopped, 11, "stopped", false},
	{Ended, 12, "ended", false},
	{Revealed, 13, "revealed", false},
	{Reported, 14, "reported", false},
	{Accepted, 15, "accepted", false},
	{Forgot, 16, "forgot", false},
	{Cancelled, 17, "cancelled", false},
	{Settled, 18, "settled", false},
}

func TestAKindKeepsItsNumberItsNameAndWhomItIsAbout(t *testing.T) {
	for _, c := range kinds {
		if uint8(c.kind) != c.number || c.kind.String() != c.name || c.kind.AboutUser() != c.aboutUser {
			t.Errorf("%s: number %d, name %q, about a user %v; want %d, %v", c.name, uint8(c.kind), c.kind, c.kind.AboutUser(), c.number, c.aboutUser)
		}
	}
	if len(kinds)+1 != len(kindNames) {
		t.Errorf("%d kinds are known to the test, %d have names", len(kinds), len(kindNames)-1)
	}
}

func TestAKindOfALaterRekeyIsANumber(t *testing.T) {
	for kind, want := range map[Kind]string{0: "record", 19: "kind 19", 255: "kind 255"} {
		if kind.String() != want || kind.AboutUser() {
			t.Errorf("%d: %q, about a user %v; want %q", uint8(kind), kind, kind.AboutUser(), want)
		}
	}
}

// filled returns a value of the type that is not its zero.
func filled(t *testing.T, of reflect.Type) reflect.Value {
	v := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Pointer:
		v.Set(reflect.New(of.Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(of, 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(of))
		v.SetMapIndex(filled(t, of.Key()), filled(t, of.Elem()))
	default:
		t.Fatalf("the test cannot fill a %s", of)
	}
	return v
}

// TestADetailIsBareOnlyWithoutAnyField but the three that a frame has places for:
// what is bare is not written, so a field that Bare forgets gets lost.
func TestADetailIsBareOnlyWithoutAnyField(t *testing.T) {
	if d := new(Detail); !d.Bare() {
		t.Error("the zero Detail is not bare")
	}
	of := reflect.TypeFor[Detail]()
	for i := range of.NumField() {
		var d Detail
		reflect.ValueOf(&d).Elem().Field(i).Set(filled(t, of.Field(i).Type))
		name := of.Field(i).Name
		if d.Bare() != (name == "Attempt" || name == "Status" || name == "Digest") {
			t.Errorf("a Detail with %s: bare is %v", name, d.Bare())
		}
		text, err := json.Marshal(d)
		var back Detail
		if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(d, back) {
			t.Errorf("%s does not survive: %s %v", name, text, err)
		}
	}
}

func TestADetailOfEmptyListsIsBare(t *testing.T) {
	d := Detail{Violations: []sdk.Violation{}, Counts: map[string]int64{}, Facts: map[string]string{}, Backends: []BackendPin{}}
	if !d.Bare() {
		t.Error("it is not")
	}
}

func TestBlameSaysAllThatARefusalSays(t *testing.T) {
	why := sdk.Error{Code: sdk.PolicyViolation, Message: "too short", Native: "0x52D", Violations: []sdk.Violation{{Limit: 12}}, AccountStatus: sdk.StatusLocked}
	var r Record
	r.Blame(&why)
	got := sdk.Error{Code: r.Code, Message: r.Detail.Message, Native: r.Detail.Native, Violations: r.Detail.Violations, AccountStatus: r.Detail.AccountStatus}
	if !reflect.DeepEqual(got, why) {
		t.Errorf("got %+v, want %+v", got, why)
	}
	r.Blame(nil)
	if r.Code != why.Code || r.Detail.Message != why.Message {
		t.Errorf("nothing to blame has written %s %q", r.Code, r.Detail.Message)
	}
}

// TestARecordOfAStepIsAboutItsCredential.
func TestARecordOfAStepIsAboutItsCredential(t *testing.T) {
	step := Step{Verb: Set, Backend: "a", Account: "ann", Kind: "mail", HashFormat: "ssha512"}
	got := step.Record(Intent, 7, 3)
	want := Record{Kind: Intent, User: 7, Step: 3, Verb: Set, Backend: "a", Account: "ann", Cred: "mail"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if CallOf(&got) != step.Call() || CredentialOf(&got) != step.Call().Credential {
		t.Errorf("the record is of %v, the step is %v", CallOf(&got), step.Call())
	}
}

func TestAResultSaysWhatTheRecordSays(t *testing.T) {
	account := &sdk.Account{}
	r := Record{Kind: Answer, Verb: Find, Outcome: sdk.AlreadyApplied, Code: sdk.Conflict, At: time.Unix(1, 0),
		Detail: Detail{Message: "m", Native: "n", Account: account}}
	if got, want := ResultOf(&r), (Result{Outcome: sdk.AlreadyApplied, Code: sdk.Conflict, Message: "m", Native: "n", Account: account}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for outcome, want := range map[sdk.Outcome]bool{sdk.Applied: true, sdk.AlreadyApplied: true, sdk.Refused: false, sdk.Unknown: false} {
		if (Result{Outcome: outcome}).OK() != want {
			t.Errorf("%s: want OK %v", outcome, want)
		}
	}
}

func TestAnOperationHasOneName(t *testing.T) {
	if got := OperationID("01jx", 12, 3, 1); got != "01jx-12-3-1" {
		t.Error(got)
	}
}
