package wire

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
)

var secrets = cmp.Comparer(func(a, b secret.Value) bool { return a.Equal(b) })

func yes(b bool) *bool { return &b }

// carried sends a message as bytes.
func carried[M proto.Message](t *testing.T, in, out M) M {
	t.Helper()
	b, err := proto.Marshal(in)
	if err == nil {
		err = proto.Unmarshal(b, out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOperationsSurviveTheWire(t *testing.T) {
	for _, op := range []sdk.Operation{
		{Attempt: 1},
		{ID: "i", Attempt: 3, Verb: sdk.Change, Account: "u é", Kind: "sip", Value: secret.New(canary), Old: secret.New("\xff\x00"),
			HashFormat: "sha512", MustChange: yes(false), Requestor: "r", SourceSystem: "s",
			Options: map[string]any{"a": "x", "b": int64(7), "c": true, "d": time.Second, "e": []string{"y", ""}}},
		{Attempt: 1, Value: secret.New(""), MustChange: yes(true)},
	} {
		p, err := EncodeOperation(op)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(op, DecodeOperation(carried(t, p, &pb.Operation{})), secrets); diff != "" {
			t.Error(diff)
		}
		if size := proto.Size(&pb.OperationFrame{Operations: []*pb.NumberedOperation{{Number: math.MaxUint64, Operation: p}}}); size > OperationSize(p) {
			t.Errorf("it takes %d bytes of a frame, OperationSize says %d", size, OperationSize(p))
		}
	}
}

func TestWhatCannotBeSentIsAnErrorThatShowsNoSecret(t *testing.T) {
	for _, c := range []struct {
		op   sdk.Operation
		want string
	}{
		{sdk.Operation{Account: "\xff"}, `"\xff" is not UTF-8`},
		{sdk.Operation{Options: map[string]any{"o": 1.5}}, "option o: a value of type float64 cannot be sent"},
		{sdk.Operation{Options: map[string]any{"o": "\xff"}}, `option o: "\xff" is not UTF-8`},
		{sdk.Operation{Options: map[string]any{"o": []string{"\xff"}}}, `option o: "\xff" is not UTF-8`},
		{sdk.Operation{Options: map[string]any{"o": secret.New(canary)}}, "option o: a value of type secret.Value cannot be sent"},
		{sdk.Operation{Old: secret.New(strings.Repeat("x", maxSecret+1))}, "a value of more than 64 KiB cannot be sent"},
	} {
		if _, err := EncodeOperation(c.op); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestReceiptsSurviveTheWireAndNeverClaimMore(t *testing.T) {
	e := &sdk.Error{Code: sdk.PolicyViolation, Message: "m", Native: "53", AccountStatus: sdk.StatusLocked, RetryAfter: time.Minute,
		Violations: []sdk.Violation{{Rule: sdk.RuleMinLength, Limit: 12, Native: "n", Message: "v"}}}
	for _, r := range []sdk.Receipt{
		{Outcome: sdk.Applied, Value: secret.New(canary), Ref: "r", Stamp: "s"},
		{Outcome: sdk.Applied, Verdict: sdk.AcceptedMustChange}, {Outcome: sdk.Applied, Verdict: sdk.Rejected},
		{Outcome: sdk.AlreadyApplied}, {Outcome: sdk.Refused, Err: e}, {Outcome: sdk.Unknown, Err: e},
	} {
		if diff := cmp.Diff(r, DecodeReceipt(carried(t, EncodeReceipt(r), &pb.Receipt{})), secrets); diff != "" {
			t.Error(diff)
		}
	}
	none := sdk.Errorf(sdk.Internal, "the plugin gave no reason")
	for _, c := range []struct {
		name string
		in   *pb.Receipt
		want sdk.Receipt
	}{
		{"none", nil, sdk.Receipt{Err: none}},
		{"empty", &pb.Receipt{}, sdk.Receipt{Err: none}},
		{"an outcome of the future", &pb.Receipt{Outcome: 99}, sdk.Receipt{Err: none}},
		{"applied with an error", &pb.Receipt{Outcome: pb.Outcome_OUTCOME_APPLIED, Error: &pb.Error{Code: "Timeout", Message: "late"}},
			sdk.Receipt{Err: sdk.Errorf(sdk.Internal, "the plugin says that it was applied, and why it was not: late")}},
		{"refused without one", &pb.Receipt{Outcome: pb.Outcome_OUTCOME_REFUSED}, sdk.Receipt{Outcome: sdk.Refused, Err: none}},
		{"a code of the future", &pb.Receipt{Outcome: pb.Outcome_OUTCOME_REFUSED, Error: &pb.Error{Code: "TooGood"}}, sdk.Receipt{Outcome: sdk.Refused, Err: &sdk.Error{Code: "TooGood"}}},
		{"a verdict and no answer", &pb.Receipt{Verdict: pb.Verdict_VERDICT_ACCEPTED}, sdk.Receipt{Err: none}},
		{"a verdict of the future", &pb.Receipt{Outcome: pb.Outcome_OUTCOME_APPLIED, Verdict: 99}, sdk.Receipt{Outcome: sdk.Applied}},
		{"no code", &pb.Receipt{Error: &pb.Error{Code: "not a\ncode", RetryAfterNs: -5}}, sdk.Receipt{Err: &sdk.Error{Code: sdk.Internal}}},
	} {
		if diff := cmp.Diff(c.want, DecodeReceipt(c.in), secrets); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestDescriptionsSurviveTheWire(t *testing.T) {
	d := sdk.Description{
		Name: "n", Version: "1", Summary: "s", Doc: "d", HashFormats: []string{"h"}, Verbs: []sdk.Verb{sdk.Set, sdk.Change},
		ReplaySafe: []sdk.Verb{sdk.Set}, Abilities: []sdk.Ability{sdk.CanFind}, Recover: sdk.SetThenChange, Egress: []string{"{url}"}, Paths: []string{"{path}"}, Target: []string{"url"},
		VerifyIsLogon: true, MustChange: new(false), Kinds: []sdk.Kind{{Name: "sip", Doc: "k"}}, Limits: sdk.Limits{Concurrency: 4, PerSecond: 1.5, Batch: 10, Timeout: time.Minute},
		Config: []sdk.Field{{Name: "a", Type: sdk.Choice, Required: true, Choices: []string{"x"}, Default: "x", Doc: "f", Conflicts: []string{"b"}},
			{Name: "b", Type: sdk.Duration, Default: time.Second}},
		Options: []sdk.Field{{Name: "c", Type: sdk.Int, Default: int64(3)}, {Name: "d", Type: sdk.List, Default: []string{"1"}}},
	}
	p, err := EncodeDescription(d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, DecodeDescription(carried(t, p, &pb.Description{}))); diff != "" {
		t.Error(diff)
	}
	d.Options[0].Default = struct{}{}
	if _, err := EncodeDescription(d); err == nil || err.Error() != "option c: default: a value of type struct {} cannot be sent" {
		t.Errorf("got %v", err)
	}
}

func TestTheRestSurvivesTheWire(t *testing.T) {
	a := sdk.Account{Account: "a", ID: "i", Login: "l", Name: "n", Mail: "m", Status: sdk.StatusLocked, MustChange: yes(true),
		ChangedAt: time.Unix(1, 2).UTC(), Kinds: []string{"sip"}, Stamp: "s", Attributes: map[string]string{"k": "v"},
		Lists: map[string][]string{"k": {"v", "w"}}}
	if diff := cmp.Diff(a, DecodeAccount(carried(t, EncodeAccount(a), &pb.Account{}))); diff != "" {
		t.Error(diff)
	}
	p := sdk.Policy{MinLength: 1, MaxLength: 2, MaxBytes: 3, Letters: 4, Lower: 5, Upper: 6, Digits: 7, Symbols: 8, NonLetters: 9, Classes: 10,
		Alphabet: "a", AllowedSymbols: "b", Forbid: "c", ForbidFirst: "d", MaxRepeat: 11, MaxSequence: 12, NoAccountName: true,
		ForbidWords: []string{"w"}, History: 13, Note: "n"}
	if diff := cmp.Diff(p, DecodePolicy(carried(t, EncodePolicy(p), &pb.Policy{}))); diff != "" {
		t.Error(diff)
	}
	for _, v := range []sdk.Verdict{sdk.CannotTell, sdk.Accepted, sdk.AcceptedMustChange, sdk.Rejected, sdk.Blocked} {
		if got := DecodeVerdict(EncodeVerdict(v)); got != v {
			t.Errorf("%v became %v", v, got)
		}
	}
	for _, f := range []sdk.Finding{{Severity: sdk.Info, Message: "m"}, {Severity: sdk.Warning, Fix: "f"}, {Severity: sdk.Bad, Code: sdk.Unreachable}} {
		if diff := cmp.Diff(f, DecodeFinding(carried(t, EncodeFinding(f), &pb.Finding{}))); diff != "" {
			t.Error(diff)
		}
	}
	if f := DecodeFinding(&pb.Finding{Severity: 99}); f.Severity != sdk.Bad || f.Code != sdk.Internal {
		t.Errorf("a severity of the future is %v %v", f.Severity, f.Code)
	}
	s := DecodeSecrets(carried(t, &pb.ConfigureRequest{Secrets: EncodeSecrets(map[string]secret.Value{"a": secret.New(canary), "b": secret.New(""), "c": {}})}, &pb.ConfigureRequest{}).Secrets)
	if len(s) != 2 || !s["a"].Equal(secret.New(canary)) || !s["b"].Present() {
		t.Errorf("%d secrets, want the present ones", len(s))
	}
}

// TestAFullFrameOfTheLongestAnswersFits is what lets answers be held back
// without counting bytes.
func TestAFullFrameOfTheLongestAnswersFits(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	e := &sdk.Error{Code: sdk.Code(long), Message: long, Native: long, AccountStatus: sdk.Status(long)}
	for range 100 {
		e.Violations = append(e.Violations, sdk.Violation{Rule: sdk.Rule(long), Limit: math.MaxInt, Native: long, Message: long})
	}
	f := &pb.AnswerFrame{}
	for range FrameOperations {
		f.Answers = append(f.Answers, &pb.Answer{Number: math.MaxUint64, Receipt: EncodeReceipt(sdk.Receipt{Err: e, Ref: long, Stamp: long})})
	}
	if size := proto.Size(f); size > MaxMessage {
		t.Errorf("it has %d bytes, want at most %d", size, MaxMessage)
	}
	if got := clip(long, 10); got != "ééé…" {
		t.Errorf("clip cuts a letter: %q", got)
	}
	if got := clip("a\xff", 10); got != "a\uFFFD" {
		t.Errorf("clip leaves what cannot be sent: %q", got)
	}
}

func TestTextsOfAPluginCommandNoTerminal(t *testing.T) {
	const evil = "a\x1b[2J\r\nb\tc\u202ed\u0085e\u2028f\x00"
	var r Redactor
	r.Note(secret.New("with\nline"))
	e := r.Error(&sdk.Error{Code: sdk.TargetError, Message: evil + " with\nline", Native: evil})
	d := DecodeDescription(&pb.Description{Name: evil, Summary: evil, Doc: "one\r\ntwo" + evil, Config: []*pb.Field{{Name: evil, Doc: evil}}})
	const want = "a[2J  b cde f"
	for _, text := range []string{e.Native, d.Name, d.Summary, d.Config[0].Name, d.Config[0].Doc} {
		if text != want {
			t.Errorf("%q, want %q", text, want)
		}
	}
	if e.Message != want+" [redacted]" {
		t.Errorf("%q shows a secret or commands", e.Message)
	}
	if d.Doc != "one\ntwoa[2J\nb cde f" {
		t.Errorf("%q", d.Doc)
	}
}

// FuzzDecode takes any bytes for any message of a plugin.
func FuzzDecode(f *testing.F) {
	r, _ := proto.Marshal(EncodeReceipt(sdk.Refuse(sdk.Errorf(sdk.PolicyViolation, "m"))))
	a, _ := proto.Marshal(EncodeAccount(sdk.Account{Account: "a", Attributes: map[string]string{"k": "v"}}))
	d, _ := EncodeDescription(sdk.Description{Name: "n", Config: []sdk.Field{{Name: "a", Default: int64(1)}}})
	b, _ := proto.Marshal(d)
	for _, seed := range [][]byte{nil, r, a, b, {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var receipt pb.Receipt
		if proto.Unmarshal(b, &receipt) == nil {
			checkReceipt(t, DecodeReceipt(&receipt))
		}
		var account pb.Account
		if proto.Unmarshal(b, &account) == nil {
			_ = DecodeAccount(&account)
		}
		var description pb.Description
		if proto.Unmarshal(b, &description) == nil {
			if d := DecodeDescription(&description); d.Limits.Concurrency < 0 || d.Limits.Timeout < 0 || d.Limits.Batch < 0 {
				t.Errorf("limits %v", d.Limits)
			}
		}
		var policy pb.Policy
		if proto.Unmarshal(b, &policy) == nil {
			if p := DecodePolicy(&policy); p.MinLength < 0 || p.MaxBytes < 0 || p.History < 0 {
				t.Errorf("policy %v", p)
			}
		}
		var finding pb.Finding
		if proto.Unmarshal(b, &finding) == nil {
			if f := DecodeFinding(&finding); f.Severity == sdk.Bad && f.Code == "" {
				t.Error("a bad finding without a code")
			}
		}
		var op pb.Operation
		if proto.Unmarshal(b, &op) == nil {
			if op := DecodeOperation(&op); op.Attempt < 1 {
				t.Errorf("attempt %d", op.Attempt)
			}
		}
	})
}

func checkReceipt(t *testing.T, r sdk.Receipt) {
	did := r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied
	if did != (r.Err == nil) {
		t.Errorf("%v with the error %v", r.Outcome, r.Err)
	}
	if len(r.Ref) > maxShort || len(r.Stamp) > maxShort || !utf8.ValidString(r.Ref+r.Stamp) {
		t.Errorf("reference of %d bytes, stamp of %d", len(r.Ref), len(r.Stamp))
	}
	if e := r.Err; e != nil && (len(e.Message) > maxText || len(e.Violations) > maxViolations || e.RetryAfter < 0 || e.Code == "") {
		t.Errorf("error %q of %d bytes", e.Code, len(e.Message))
	}
}
