package dial_test

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/leaktest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The values of the echo: one of an operation, one of the settings.
const (
	echoed  = "C4n'aré-\"Xy7Q%zw"
	setting = "S3t'tiñg-\"Kv9W%qj"
)

// shapes are how a target may say a value back.
var shapes = map[string]func(string) string{
	"raw": func(s string) string { return s }, "upper": strings.ToUpper, "cut at the end": func(s string) string { return s[:len(s)-1] },
	"cut at the start": func(s string) string { return s[2:] }, "a piece": func(s string) string { return s[4:14] },
	"quotes doubled": func(s string) string { return strings.NewReplacer("'", "''", `"`, `""`).Replace(s) },
	"bytes":          func(s string) string { return fmt.Sprintf("%d", []byte(s)) },
	"bytes, commas":  func(s string) string { return strings.ReplaceAll(fmt.Sprintf("%d", []byte(s)), " ", ", ") },
	"hex":            func(s string) string { return hex.EncodeToString([]byte(s)) },
	"hex blanks":     func(s string) string { return fmt.Sprintf("% x", s) },
	"hex colons":     func(s string) string { return strings.ReplaceAll(fmt.Sprintf("% X", s), " ", ":") },
	"0x":             func(s string) string { return fmt.Sprintf("% #x", s) },
	`\x`:             func(s string) string { return strings.ReplaceAll(fmt.Sprintf(" % x", s), " ", `\x`) },
	"base32":         func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) },
	"base64":         func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"basic":          func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("admin:" + s)) },
	"URL":            url.QueryEscape,
	"quoted":         strconv.QuoteToASCII,
	"HTML":           html.EscapeString,
	"LDAP": func(s string) string {
		return strings.NewReplacer(`"`, `\22`, "é", `\c3\a9`, "ñ", `\c3\b1`).Replace(s)
	},
	"printable": func(s string) string {
		return strings.NewReplacer(`"`, `=22`, "é", "=C3=A9", "ñ", "=C3=B1", "-", "-=\r\n").Replace(s)
	},
	"decomposed": norm.NFD.String,
	"reversed":   func(s string) string { return reverse(s) },
	"three layers": func(s string) string {
		b, _ := json.Marshal(url.QueryEscape(html.EscapeString(s)))
		return strconv.Quote(string(b))
	},
	"two lines": func(s string) string { return s[:9] + "\r\n " + s[9:] },
	"spaced":    func(s string) string { return strings.Join(strings.Split(s, ""), " ") },
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

// echo says a text in every place of the contract.
type echo struct{ text string }

func (e *echo) err() *sdk.Error {
	return &sdk.Error{Code: sdk.Code(e.text), Message: e.text, Native: e.text, AccountStatus: sdk.Status(e.text),
		Violations: []sdk.Violation{{Rule: sdk.Rule(e.text), Native: e.text, Message: e.text}}}
}

func (e *echo) account() sdk.Account {
	return sdk.Account{Account: e.text, ID: e.text, Login: e.text, Name: e.text, Mail: e.text, Status: sdk.Status(e.text),
		Kinds: []string{e.text}, Stamp: e.text, Attributes: map[string]string{"a": e.text, e.text: "b"},
		Lists: map[string][]string{"l": {e.text, "c"}, e.text: {"b"}}}
}

func (e *echo) Apply(_ context.Context, op sdk.Operation) sdk.Receipt {
	return sdk.Receipt{Outcome: sdk.Refused, Err: e.err(), Ref: e.text, Stamp: e.text}
}
func (e *echo) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt  { return e.Apply(ctx, op) }
func (e *echo) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt { return e.Apply(ctx, op) }
func (e *echo) Revoke(ctx context.Context, op sdk.Operation) sdk.Receipt { return e.Apply(ctx, op) }
func (e *echo) Close() error                                             { return errors.New(e.text) }
func (e *echo) Find(_ context.Context, account string) (sdk.Account, error) {
	if account == "fails" {
		return sdk.Account{}, e.err()
	}
	return e.account(), nil
}
func (e *echo) List(_ context.Context, _ string, _ []string, yield func(sdk.Account) error) error {
	if err := yield(e.account()); err != nil {
		return err
	}
	return e.err()
}
func (e *echo) Policy(_ context.Context, account, _ string) (sdk.Policy, error) {
	if account == "fails" {
		return sdk.Policy{}, errors.New(e.text)
	}
	return sdk.Policy{Alphabet: e.text, AllowedSymbols: e.text, Forbid: e.text, ForbidFirst: e.text, ForbidWords: []string{e.text}, Note: e.text}, nil
}
func (e *echo) Verify(context.Context, string, string, secret.Value) (sdk.Verdict, error) {
	return sdk.CannotTell, fmt.Errorf("wrapped: %w", e.err())
}
func (e *echo) Generate(context.Context, string, int) ([]secret.Value, error) { return nil, e.err() }
func (e *echo) Check(context.Context) []sdk.Finding {
	return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.Code(e.text), Message: e.text, Fix: e.text}}
}

// says collects what the host gets to see, by place.
func says(t *testing.T, i *dial.Instance) map[string]string {
	t.Helper()
	ctx := t.Context()
	op := sdk.Operation{ID: "1", Verb: sdk.Set, Account: "u2", Value: secret.New("another value, of another operation")}
	out := map[string]string{}
	applied := make(chan sdk.Receipt, 1)
	i.Submit([]sdk.Operation{op}, func(_ int, r sdk.Receipt) { applied <- r })
	for place, r := range map[string]sdk.Receipt{"apply": <-applied, "reset": i.Ask(ctx, as(op, sdk.Reset)), "unlock": i.Ask(ctx, as(op, sdk.Unlock)), "revoke": i.Ask(ctx, as(op, sdk.Revoke))} {
		e := r.Err
		out[place+" message"], out[place+" native"], out[place+" code"], out[place+" status"] = e.Message, e.Native, string(e.Code), string(e.AccountStatus)
		v := e.Violations[0]
		out[place+" rule"], out[place+" violation"] = string(v.Rule), v.Native+"|"+v.Message
		out[place+" ref"], out[place+" stamp"] = r.Ref, r.Stamp
	}
	a, err := i.Find(ctx, "u2")
	if err != nil {
		t.Fatal(err)
	}
	out["find"] = fmt.Sprintf("%+v", a)
	_, err = i.Find(ctx, "fails")
	out["find error"] = fmt.Sprintf("%+v", err)
	err = i.List(ctx, "", nil, func(a sdk.Account) error { out["list"] = fmt.Sprintf("%+v", a); return nil })
	out["list error"] = fmt.Sprintf("%+v", err)
	p, err := i.Policy(ctx, "u2", "")
	out["policy"] = fmt.Sprintf("%+v %v", p, err)
	_, err = i.Policy(ctx, "fails", "")
	out["policy error"] = fmt.Sprintf("%+v", err)
	_, err = i.Verify(ctx, "u2", "", secret.Value{})
	out["verify error"] = fmt.Sprintf("%+v", err)
	_, err = i.Generate(ctx, "", 1)
	out["generate error"] = fmt.Sprintf("%+v", err)
	out["check"] = fmt.Sprintf("%+v", i.Check(ctx))
	return out
}

// TestNoTextOfTheContractSaysAValueBack is a table of places and shapes. The
// value is that of an operation of another account, or of the settings.
func TestNoTextOfTheContractSaysAValueBack(t *testing.T) {
	oracle := leaktest.New(echoed, setting)
	places := 0
	for shape, spell := range shapes {
		for _, value := range []string{echoed, setting} {
			t.Run(shape, func(t *testing.T) {
				e := &echo{text: "x " + spell(value)}
				if shape != "two lines" && shape != "printable" && oracle.Find([]byte(e.text)) == "" {
					t.Fatalf("the oracle does not see it: %q", e.text)
				}
				i := openEcho(t, e)
				for place, text := range says(t, i) {
					places++
					if form := oracle.Find([]byte(text)); form != "" {
						t.Errorf("%s: %s", place, form)
					}
				}
			})
		}
	}
	if places < len(shapes)*2*30 {
		t.Errorf("only %d places were looked at", places)
	}
}

// openEcho opens an echo through which a value went.
func openEcho(t *testing.T, e *echo) *dial.Instance {
	t.Helper()
	i := open(t, backend{describe: sdk.Description{Name: "echo", Config: []sdk.Field{{Name: "password", Type: sdk.Secret}}}, open: func(sdk.Config) (sdk.Instance, error) { return e, nil }},
		sdk.Config{Concurrency: 2, Timeout: 5 * time.Second, Secrets: map[string]secret.Value{"password": secret.New(setting)}})
	done := make(chan struct{})
	i.Submit([]sdk.Operation{{ID: "0", Verb: sdk.Set, Account: "u1", Value: secret.New(echoed)}}, func(int, sdk.Receipt) { close(done) })
	<-done
	return i
}

// TestASecretAttributeArrivesAsItIs: a password that is read from a directory
// would be another one, if a part of it were taken for a secret.
func TestASecretAttributeArrivesAsItIs(t *testing.T) {
	e := &echo{text: "u1"}
	i := openEcho(t, e)
	e.text = setting + "2"
	err := i.Accounts(t.Context(), "", []string{"a"}, []string{"a"}, func(a sdk.Account) error {
		if a.Attributes["a"] != setting+"2" {
			t.Errorf("it arrives as %q", a.Attributes["a"])
		}
		if strings.Contains(a.Name, setting) {
			t.Error("the name says it")
		}
		return nil
	})
	if err == nil {
		t.Error("the echo fails no more")
	}
}

func TestAnAccountKeepsTheNameThatItWasAskedForBy(t *testing.T) {
	e := &echo{text: "uid=" + echoed[:12] + ",ou=people"}
	a, err := openEcho(t, e).Find(t.Context(), echoed[:12])
	if err != nil || a.Account != e.text || a.ID != e.text {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestWhatIsNoRuleAndNoStatusIsAWordOfTheContract(t *testing.T) {
	e := &echo{text: "surprise"}
	i := openEcho(t, e)
	r := i.Ask(t.Context(), sdk.Operation{Verb: sdk.Reset, Account: "u"})
	if r.Err.AccountStatus != sdk.StatusUnknown || r.Err.Violations[0].Rule != sdk.RuleCustom {
		t.Errorf("%+v", r.Err)
	}
	for _, rule := range sdk.Rules() {
		e.text = string(rule)
		if r := i.Ask(t.Context(), sdk.Operation{Verb: sdk.Reset, Account: "u"}); r.Err.Violations[0].Rule != rule {
			t.Errorf("%s became %s", rule, r.Err.Violations[0].Rule)
		}
	}
	for _, status := range sdk.Statuses() {
		e.text = string(status)
		if a, err := i.Find(t.Context(), "u"); err != nil || a.Status != status {
			t.Errorf("%s became %s, %v", status, a.Status, err)
		}
	}
}

// bare is an echo that scrubs nothing itself: a plugin without our SDK.
type bare struct {
	pb.UnimplementedBackendServer
	text string
}

func (b *bare) err() *pb.Error {
	return &pb.Error{Code: b.text, Message: b.text, Native: b.text, AccountStatus: b.text,
		Violations: []*pb.Violation{{Rule: b.text, Native: b.text, Message: b.text}}}
}

func (b *bare) receipt() *pb.Receipt {
	return &pb.Receipt{Outcome: pb.Outcome_OUTCOME_REFUSED, Error: b.err(), Ref: b.text, Stamp: b.text}
}

func (b *bare) account() *pb.Account {
	return &pb.Account{Account: b.text, Id: b.text, Login: b.text, Name: b.text, Mail: b.text, Status: b.text,
		Kinds: []string{b.text}, Stamp: b.text, Attributes: map[string]string{"a": b.text, b.text: "b"},
		Lists: map[string]*pb.TextList{"l": {Items: []string{b.text, "c"}}, b.text: {Items: []string{"b"}}}}
}

func (b *bare) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	f := []*pb.Field{{Name: b.text, Type: b.text, Doc: b.text, Choices: []string{b.text}, Conflicts: []string{b.text}, Default: &pb.Value{Kind: &pb.Value_Text{Text: b.text}}}}
	return &pb.DescribeResponse{Description: &pb.Description{Name: b.text, Version: b.text, Summary: b.text, Doc: b.text, Config: f, Options: f,
		Kinds: []*pb.Kind{{Name: b.text, Doc: b.text}}, HashFormats: []string{b.text}, Verbs: []string{b.text}, ReplaySafe: []string{b.text},
		Abilities: []string{b.text}, Recover: b.text, Egress: []string{b.text}, Paths: []string{b.text}}}, nil
}
func (b *bare) Configure(context.Context, *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	return &pb.ConfigureResponse{Abilities: []string{b.text}}, nil
}
func (b *bare) Close(context.Context, *pb.CloseRequest) (*pb.CloseResponse, error) {
	return &pb.CloseResponse{}, nil
}
func (b *bare) Apply(context.Context, *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return &pb.ApplyResponse{Receipt: b.receipt()}, nil
}
func (b *bare) Reset(context.Context, *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return &pb.ApplyResponse{Receipt: b.receipt()}, nil
}
func (b *bare) Unlock(context.Context, *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return &pb.ApplyResponse{Receipt: b.receipt()}, nil
}
func (b *bare) Revoke(context.Context, *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return &pb.ApplyResponse{Receipt: b.receipt()}, nil
}
func (b *bare) Find(_ context.Context, in *pb.FindRequest) (*pb.FindResponse, error) {
	if in.GetAccount() == "fails" {
		return nil, status.Error(codes.Internal, b.text)
	}
	return &pb.FindResponse{Account: b.account()}, nil
}
func (b *bare) List(_ *pb.ListRequest, to grpc.ServerStreamingServer[pb.ListResponse]) error {
	return to.Send(&pb.ListResponse{Accounts: []*pb.Account{b.account()}, Error: b.err()})
}
func (b *bare) Policy(_ context.Context, in *pb.PolicyRequest) (*pb.PolicyResponse, error) {
	if in.GetAccount() == "fails" {
		return nil, status.Error(codes.FailedPrecondition, b.text)
	}
	return &pb.PolicyResponse{Policy: &pb.Policy{Alphabet: b.text, AllowedSymbols: b.text, Forbid: b.text, ForbidFirst: b.text, ForbidWords: []string{b.text}, Note: b.text}}, nil
}
func (b *bare) Verify(context.Context, *pb.VerifyRequest) (*pb.VerifyResponse, error) {
	return &pb.VerifyResponse{Error: b.err()}, nil
}
func (b *bare) Generate(context.Context, *pb.GenerateRequest) (*pb.GenerateResponse, error) {
	return &pb.GenerateResponse{Error: b.err()}, nil
}
func (b *bare) Check(context.Context, *pb.CheckRequest) (*pb.CheckResponse, error) {
	return &pb.CheckResponse{Findings: []*pb.Finding{{Code: b.text, Message: b.text, Fix: b.text}}}, nil
}

// TestTheHostTrustsNoPluginToScrub is the table of places against a plugin that
// scrubs nothing.
func TestTheHostTrustsNoPluginToScrub(t *testing.T) {
	oracle := leaktest.New(echoed, setting)
	for shape, spell := range shapes {
		for _, value := range []string{echoed, setting} {
			t.Run(shape, func(t *testing.T) {
				client := dialBare(t, &bare{text: "x " + spell(value)})
				i, err := client.Configure(t.Context(), sdk.Config{Concurrency: 2, Timeout: 5 * time.Second, Secrets: map[string]secret.Value{"password": secret.New(setting)}})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = i.Close() }()
				_ = i.Ask(t.Context(), sdk.Operation{ID: "0", Verb: sdk.Unlock, Account: "u1", Value: secret.New(echoed)})
				said := says(t, i)
				d, err := client.Describe(t.Context())
				said["describe"], said["abilities"] = fmt.Sprintf("%+v %v", d, err), fmt.Sprint(i.Abilities())
				if value == echoed {
					delete(said, "abilities") // they were told before the value was sent
				}
				for place, text := range said {
					if form := oracle.Find([]byte(text)); form != "" {
						t.Errorf("%s: %s", place, form)
					}
				}
			})
		}
	}
}

func dialBare(t *testing.T, b *bare) *dial.Client {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	pb.RegisterBackendServer(g, b)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	client, closeConn, err := dial.Over(func(ctx context.Context) (net.Conn, error) { return l.DialContext(ctx) }, dial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeConn() })
	return client
}

// as is the operation with another verb.
func as(op sdk.Operation, verb sdk.Verb) sdk.Operation {
	op.Verb = verb
	return op
}
