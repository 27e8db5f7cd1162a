package sdktest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/rest"
)

// target answers by the path, and has a URL where nothing listens.
func target(t *testing.T) (there, away string) {
	mux := http.NewServeMux()
	for path, status := range map[string]int{"/ok": 204, "/logon": 204, "/refused": 422, "/missing": 404, "/locked": 423} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	mux.HandleFunc("/status/{status}", func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.PathValue("status"))
		w.Header().Set("Retry-After", []string{"-5", "\xb2", "soon"}[status%3])
		w.WriteHeader(status)
	})
	mux.HandleFunc("/long/{status}", long(t))
	mux.HandleFunc("/cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	server, gone := httptest.NewServer(mux), httptest.NewServer(mux)
	gone.Close()
	t.Cleanup(server.Close)
	return server.URL, gone.URL
}

// long answers with JSON that goes on after what a program reads of it, and
// fails if all of it is taken.
func long(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.PathValue("status"))
		w.WriteHeader(status)
		blanks := []byte(strings.Repeat(" ", 1<<20))
		_, err := w.Write([]byte("7"))
		for i := 0; i < 64 && err == nil; i++ {
			_, err = w.Write(blanks)
		}
		if err == nil {
			t.Errorf("%s: an answer of 64 MiB was taken whole", r.URL.Path)
		}
	}
}

// slips holds a program to an honest answer where its author erred, with one worker.
func slips(t *testing.T, client backendpb.BackendClient) {
	there, away := target(t)
	url := func(text string) *backendpb.Value { return &backendpb.Value{Kind: &backendpb.Value_Text{Text: text}} }
	request := &backendpb.ConfigureRequest{Instance: "slips", Concurrency: 1, TimeoutNs: int64(10 * time.Second),
		Values: map[string]*backendpb.Value{"there": url(there), "away": url(away)}}
	if _, err := client.Configure(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	asked := asker{client}
	t.Run("a slip of the author ends no worker", asked.erring)
	t.Run("a later attempt says nothing of the first", asked.later)
	t.Run("unlock and revoke are of no kind", asked.kindless)
	t.Run("what one request did is not denied by the next", asked.requests)
	t.Run("a status means what it means in Go", asked.statuses)
	t.Run("an answer is read up to a bound", asked.bounded)
	t.Run("no text of an answer has the value", asked.telling)
	t.Run("a verify that makes no sense never reaches the backend", asked.senseless)
}

// asker asks an instance with one worker.
type asker struct{ client backendpb.BackendClient }

// within is for a call that would not be answered.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// apply is what a set comes to, "refused PermissionDenied".
func (a asker) apply(t *testing.T, operation *backendpb.Operation) string {
	t.Helper()
	return said(a.receipt(t, operation))
}

// receipt is the answer to a set.
func (a asker) receipt(t *testing.T, operation *backendpb.Operation) *backendpb.Receipt {
	t.Helper()
	operation.Verb, operation.Value = "set", &backendpb.Secret{Value: []byte(value)}
	response, err := a.client.Apply(within(t), &backendpb.ApplyRequest{Instance: "slips", Operation: operation})
	if err != nil || strings.Contains(response.String(), "horse") {
		t.Fatalf("%s: %s, %v", operation.GetAccount(), response, err)
	}
	return response.GetReceipt()
}

func said(receipt *backendpb.Receipt) string {
	return strings.TrimSpace(strings.ToLower(strings.TrimPrefix(receipt.GetOutcome().String(), "OUTCOME_")) + " " + receipt.GetError().GetCode())
}

func (a asker) verify(t *testing.T, account string) *backendpb.VerifyResponse {
	t.Helper()
	response, err := a.client.Verify(within(t), &backendpb.VerifyRequest{Instance: "slips", Account: account, Kind: "web", Value: &backendpb.Secret{Value: []byte(value)}})
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func (a asker) erring(t *testing.T) {
	for _, account := range []string{"violations", "ends"} {
		if got := a.apply(t, &backendpb.Operation{Account: account, Kind: "web", Attempt: 1}); got != "unknown Internal" {
			t.Errorf("%s: %s", account, got)
		}
	}
	for range 2 {
		if got := a.apply(t, &backendpb.Operation{Account: "shared", Kind: "web", Attempt: 1}); got != "refused TargetError" {
			t.Errorf("shared: %s", got)
		}
	}
	for _, account := range []string{"odd", "word"} {
		if got := a.verify(t, account); got.GetVerdict() != backendpb.Verdict_VERDICT_CANNOT_TELL || got.GetError() != nil {
			t.Errorf("%s: %s", account, got)
		}
	}
	stream, err := a.client.ApplyStream(within(t))
	if err != nil {
		t.Fatal(err)
	}
	frame := &backendpb.OperationFrame{Instance: "slips", Operations: []*backendpb.NumberedOperation{{Number: 1, Operation: &backendpb.Operation{Verb: "verify", Account: "odd", Kind: "web", Value: &backendpb.Secret{Value: []byte(value)}}}}}
	if err := stream.Send(frame); err != nil {
		t.Fatal(err)
	}
	if answers, err := stream.Recv(); err != nil || said(answers.GetAnswers()[0].GetReceipt()) != "applied" {
		t.Errorf("in a stream: %s, %v", answers, err)
	}
	response, err := a.client.Reset(within(t), &backendpb.ApplyRequest{Instance: "slips", Operation: &backendpb.Operation{Account: "text", Kind: "web", Attempt: 1}})
	if receipt := response.GetReceipt(); err != nil || string(receipt.GetValue().GetValue()) != value || strings.Contains(receipt.GetRef(), "horse") {
		t.Errorf("a reset whose value is a text: %s %q, %v", said(receipt), receipt.GetRef(), err)
	}
}

func (a asker) later(t *testing.T) {
	for _, test := range []struct {
		account, kind, format string
		want                  [2]string
	}{
		{"makes no sense", "web", "", [2]string{"refused InvalidOperation", "refused TargetError"}},
		{"there PUT /refused", "web", "", [2]string{"refused InvalidOperation", "refused TargetError"}},
		{"boom", "pin", "", [2]string{"refused InvalidOperation", "refused PermissionDenied"}},
		{"boom", "web", "md5", [2]string{"refused Unsupported", "refused PermissionDenied"}},
	} {
		for i, want := range test.want {
			operation := &backendpb.Operation{Account: test.account, Kind: test.kind, HashFormat: test.format, Attempt: int64(i + 1)}
			if got := a.apply(t, operation); got != want {
				t.Errorf("%s of kind %s, attempt %d: %s, want %s", test.account, test.kind, i+1, got, want)
			}
		}
	}
}

func (a asker) kindless(t *testing.T) {
	operation := &backendpb.Operation{Account: "ann", Attempt: 1}
	unlocked, err := a.client.Unlock(within(t), &backendpb.ApplyRequest{Instance: "slips", Operation: operation})
	if err != nil || said(unlocked.GetReceipt()) != "applied" {
		t.Errorf("unlock: %s, %v", unlocked, err)
	}
	revoked, err := a.client.Revoke(within(t), &backendpb.ApplyRequest{Instance: "slips", Operation: operation})
	if err != nil || said(revoked.GetReceipt()) != "applied" {
		t.Errorf("revoke: %s, %v", revoked, err)
	}
	reset, err := a.client.Reset(within(t), &backendpb.ApplyRequest{Instance: "slips", Operation: operation})
	if err != nil || said(reset.GetReceipt()) != "refused InvalidOperation" {
		t.Errorf("reset: %s, %v", reset, err)
	}
}

func (a asker) requests(t *testing.T) {
	for account, want := range map[string]string{
		"there PUT /ok, there PATCH /refused":      "unknown TargetError",
		"there PUT /ok, there GET /missing":        "unknown TargetError",
		"there PUT /ok, away PATCH /ok":            "unknown TargetError",
		"there GET /ok, there PATCH /refused":      "refused InvalidOperation",
		"there GET /ok, away PATCH /ok":            "refused Unreachable",
		"there PUT /locked, there PATCH /refused":  "refused InvalidOperation",
		"there POST /logon, there PATCH /missing":  "refused AccountNotFound",
		"there PUT /cut":                           "unknown ConnectionLost",
		"there PUT /locked, there PUT /ok":         "applied",
		"there GET /ok, there PUT /ok, away GET /": "unknown TargetError",
	} {
		if got := a.apply(t, &backendpb.Operation{Account: account, Kind: "web", Attempt: 1}); got != want {
			t.Errorf("%s: %s, want %s", account, got, want)
		}
	}
	if got := a.verify(t, "there POST /ok, there GET /missing").GetError().GetCode(); got != string(sdk.AccountNotFound) {
		t.Errorf("a question changes nothing: %s", got)
	}
}

// statuses holds the table of a program to that of Go, row by row.
func (a asker) statuses(t *testing.T) {
	for status := 300; status < 600; status++ {
		if status == http.StatusLocked { // the programs accept it
			continue
		}
		outcome, code := rest.Classify(status)
		receipt := a.receipt(t, &backendpb.Operation{Account: fmt.Sprintf("there PUT /status/%d", status), Kind: "web", Attempt: 1})
		if want := fmt.Sprintf("%s %s", outcome, code); said(receipt) != want {
			t.Errorf("HTTP %d: %s, want %s", status, said(receipt), want)
		}
		if wait := receipt.GetError().GetRetryAfterNs(); wait != 0 {
			t.Errorf("HTTP %d asks for a wait that is none, and the receipt for one of %v", status, time.Duration(wait))
		}
	}
}

// bounded sends answers that are longer than a program reads.
func (a asker) bounded(t *testing.T) {
	for account, want := range map[string]string{
		"there PUT /long/200": "unknown TargetError the answer is too long",
		"there PUT /long/422": "refused InvalidOperation HTTP 422",
		"there PUT /long/423": "applied ",
		"there PUT /long/500": "unknown TargetError HTTP 500",
	} {
		receipt := a.receipt(t, &backendpb.Operation{Account: account, Kind: "web", Attempt: 1})
		if got := said(receipt) + " " + receipt.GetError().GetMessage(); got != want {
			t.Errorf("%s: %s, want %s", account, got, want)
		}
	}
}

// telling looks at the answers to questions, whose texts all have the value that a set
// brought before. What was asked for stays.
func (a asker) telling(t *testing.T) {
	a.apply(t, &backendpb.Operation{Account: "counted", Kind: "web", Attempt: 1})
	found, err := a.client.Find(within(t), &backendpb.FindRequest{Instance: "slips", Account: "ann"})
	account := found.GetAccount()
	if got := account.GetLogin() + ", " + account.GetName() + ", " + account.GetAttributes()["groups"] + ", " + account.GetAttributes()["age"]; err != nil || got != "ann, Administrator [secret], staff,[secret], 0" {
		t.Errorf("find: %s, %v", got, err)
	}
	policy, err := a.client.Policy(within(t), &backendpb.PolicyRequest{Instance: "slips", Account: "ann", Kind: "web"})
	if got := policy.GetPolicy(); err != nil || got.GetAlphabet() != "-3Cabcehorsty" || got.GetNote() != "not [secret]" {
		t.Errorf("policy: %s, %v", policy, err)
	}
	checked, err := a.client.Check(within(t), &backendpb.CheckRequest{Instance: "slips"})
	if got := checked.GetFindings(); err != nil || len(got) != 1 || got[0].GetFix() != "change [secret]" {
		t.Errorf("check: %s, %v", checked, err)
	}
	listed, err := a.client.List(within(t), &backendpb.ListRequest{Instance: "slips"})
	if err != nil {
		t.Fatal(err)
	}
	piece, err := listed.Recv()
	if got := piece.GetAccounts(); err != nil || len(got) != 1 || got[0].GetId() != "id-[secret]" {
		t.Errorf("list: %s, %v", piece, err)
	}
	if all := fmt.Sprint(found, policy, checked, piece); strings.Contains(all, "horse-b") {
		t.Errorf("the value stands in %s", all)
	}
	found, err = a.client.Find(within(t), &backendpb.FindRequest{Instance: "slips", Account: value})
	if got := found.GetAccount(); err != nil || got.GetLogin() != value || got.GetId() != "id-"+value {
		t.Errorf("find of an account whose name is the value: %s, %v", found, err)
	}
}

// senseless asks for verifies without what they are about, by a call and in a frame. The
// programs answer each that reaches them without an error.
func (a asker) senseless(t *testing.T) {
	whole := &backendpb.Secret{Value: []byte(value)}
	for name, request := range map[string]*backendpb.VerifyRequest{
		"no account":   {Kind: "web", Value: whole},
		"another kind": {Account: "odd", Kind: "pin", Value: whole},
		"no value":     {Account: "odd", Kind: "web"},
		"an empty one": {Account: "odd", Kind: "web", Value: &backendpb.Secret{}},
	} {
		request.Instance = "slips"
		if response, err := a.client.Verify(within(t), request); err != nil || response.GetError().GetCode() != string(sdk.InvalidOperation) {
			t.Errorf("%s: %s, %v, want InvalidOperation", name, response, err)
		}
		stream, err := a.client.ApplyStream(within(t))
		if err != nil {
			t.Fatal(err)
		}
		operation := &backendpb.Operation{Verb: "verify", Account: request.GetAccount(), Kind: request.GetKind(), Value: request.GetValue()}
		frame := &backendpb.OperationFrame{Instance: "slips", Operations: []*backendpb.NumberedOperation{{Number: 1, Operation: operation}}}
		if err := stream.Send(frame); err != nil {
			t.Fatal(err)
		}
		if answers, err := stream.Recv(); err != nil || said(answers.GetAnswers()[0].GetReceipt()) != "refused InvalidOperation" {
			t.Errorf("%s, in a frame: %s, %v, want it refused", name, answers, err)
		}
	}
}
