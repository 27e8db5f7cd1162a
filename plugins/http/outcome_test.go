package http_test

import (
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/http"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// answers are what a server says to METHOD /path, the last one for good. It notes what
// it was asked.
type answers struct {
	url string

	mu    sync.Mutex
	says  map[string][]string // "status body"
	asked []string
}

func newAnswers(t *testing.T, says map[string][]string) *answers {
	t.Helper()
	made := &answers{says: says}
	server := httptest.NewServer(made)
	t.Cleanup(server.Close)
	made.url = server.URL
	return made
}

// ServeHTTP gives the next answer to a request.
func (a *answers) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := r.Method + " " + r.URL.Path
	a.asked = append(a.asked, key)
	says := a.says[key]
	if len(says) == 0 {
		w.WriteHeader(nethttp.StatusTeapot)
		return
	}
	if len(says) > 1 {
		a.says[key] = says[1:]
	}
	var status int
	number, body, _ := strings.Cut(says[0], " ")
	_, _ = fmt.Sscan(number, &status)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// count returns how often a request came.
func (a *answers) count(key string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Count(strings.Join(a.asked, "\n")+"\n", key+"\n")
}

// instanceOf returns an instance of a definition by its functions. They begin at line 2.
func instanceOf(t *testing.T, functions, url string) sdk.Instance {
	t.Helper()
	backend, err := http.New().Define("x.star", "http(summary = \"x\")\n"+functions)
	if err != nil {
		t.Fatalf("%s: %s", functions, err)
	}
	instance, err := backend.Configure(t.Context(), sdk.Config{Values: map[string]any{"url": url}, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instance.Close() })
	return instance
}

// put is a set as every definition needs one.
const put = "def set(account, value): return put(\"/p\", body = json(value))\n"

// TestOnlyWhatWasChangedIsDone: a definition that forgets a case, or that asks for no
// change, does not have its accounts reported as done.
func TestOnlyWhatWasChangedIsDone(t *testing.T) {
	login := "def verify(value): return post(\"/login\", body = json(value), reads = True, accept = [401], then = lambda answer: %s)\n"
	for _, x := range []struct{ name, functions, words, want string }{
		{"a verify forgets 401", put + fmt.Sprintf(login, "blocked() if answer.status == 423 else None"), "verify ann right", "PermissionDenied"},
		{"a verify forgets a good answer", put + fmt.Sprintf(login, "rejected() if answer.status == 400 else None"), "verify ann good", "PermissionDenied"},
		{"a good answer means nothing", put + "def verify(value): return post(\"/done\", body = json(value), reads = True, then = lambda answer: None)\n", "verify ann x",
			"TargetError: x.star:3: verify: then returned None for HTTP 200; return what it means"},
		{"a set reads", "def set(account, value): return get(\"/done\")\n", "set ann x", "unknown TargetError x.star:2"},
		{"a set reads and says it is done", "def set(account, value):\n    return get(\"/done\", then = lambda answer: applied())\n", "set ann x", "unknown TargetError x.star:3"},
		{"a set asks nothing", "def set(account, value): return applied()\n", "set ann x", "unknown TargetError x.star: "},
		{"a set posts what only reads", "def set(value): return post(\"/done\", body = json(value), reads = True)\n", "set ann x", "unknown TargetError x.star:2"},
		{"a set whose then forgets", "def set(value): return put(\"/done\", body = json(value), then = lambda answer: None)\n", "set ann x", "unknown TargetError x.star:2"},
		{"a set accepts a refusal and forgets it", "def set(value): return put(\"/bad\", body = json(value), accept = [422], then = lambda answer: None)\n", "set ann x", "refused InvalidOperation"},
		{"a set accepts a breakdown and forgets it", "def set(value): return put(\"/broken\", body = json(value), accept = [500], then = lambda answer: None)\n", "set ann x", "unknown TargetError"},
		{"a set was refused and looks", "def set(value): return put(\"/bad\", body = json(value), accept = [422], then = lambda answer: get(\"/done\"))\n", "set ann x", "unknown TargetError x.star:2"},
		{"an unlock accepts 401", put + "def unlock(account): return post(\"/login\", accept = [401], then = lambda answer: None)\n", "unlock ann", "refused PermissionDenied"},
		{"an unlock reads", put + "def unlock(account): return get(\"/done\")\n", "unlock ann", "unknown TargetError x.star:3"},
		{"a revoke reads", put + "def revoke(account): return get(\"/done\")\n", "revoke ann", "unknown TargetError x.star:3"},
		{"a reset reads", put + "def reset(account): return get(\"/done\", then = lambda answer: applied(value = answer.secret(\"new\")))\n", "reset ann", "unknown TargetError x.star:3"},
		{"a set", "def set(value): return get(\"/done\", then = lambda answer: put(\"/done\", body = json(value)))\n", "set ann x", "applied"},
		{"a get that changes", put + "def unlock(account): return get(\"/done\", reads = False)\n", "unlock ann", "applied"},
		{"it was unlocked", put + "def unlock(account): return get(\"/done\", then = lambda answer: applied())\n", "unlock ann", "applied"},
	} {
		t.Run(x.name, func(t *testing.T) {
			server := newAnswers(t, map[string][]string{"GET /done": {`200 {"new":"N3w"}`}, "PUT /done": {"204"}, "POST /done": {"200"},
				"POST /login": {"401"}, "PUT /bad": {"422"}, "PUT /broken": {"500"}})
			if got := told(t, instanceOf(t, x.functions, server.url), x.words); !strings.HasPrefix(got, x.want) {
				t.Errorf("got %s, want %s", got, x.want)
			}
		})
	}
}

// told carries out words and says what came of them, with the message of what is the
// definition's mistake.
func told(t *testing.T, instance sdk.Instance, text string) string {
	t.Helper()
	words := strings.Fields(text)
	if words[0] == "verify" {
		return do(t.Context(), instance, words)
	}
	op := sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Verb(words[0]), Account: "ann", Value: secret.New(words[len(words)-1])}
	method := instance.Apply
	if op.Verb != sdk.Set {
		method = sdk.MethodOf(instance, op.Verb)
	}
	receipt := method(t.Context(), op)
	if receipt.Err == nil {
		return receipt.Outcome.String()
	}
	return fmt.Sprintf("%s %s %s", receipt.Outcome, receipt.Err.Code, receipt.Err.Message)
}

// TestALaterRefusalSettlesNothing: the second attempt is refused with a code that would
// speak of the first one too. It does not: the password that the target takes decides.
func TestALaterRefusalSettlesNothing(t *testing.T) {
	verify := "def verify(value): return post(\"/login\", body = json(value), reads = True, accept = [401], then = lambda answer: rejected() if answer.status == 401 else accepted())\n"
	for _, x := range []struct{ functions, put, login, want string }{
		{put + verify, "400", "200", "already-applied"},
		{put + verify, "422", "200", "already-applied"},
		{put + verify, "405", "200", "already-applied"},
		{put + verify, "400", "401", "refused InvalidOperation"},
		{put + verify, "400", "503", "unknown InvalidOperation"},
		{put, "400", "200", "unknown InvalidOperation"},
		{put, "501", "200", "unknown Unsupported"},
	} {
		server := newAnswers(t, map[string][]string{"PUT /p": {x.put}, "POST /login": {x.login}})
		op := sdk.Operation{ID: "1", Attempt: 2, Verb: sdk.Set, Account: "ann", Value: secret.New("N3w-Value")}
		if got := receiptText(instanceOf(t, x.functions, server.url).Apply(t.Context(), op)); got != x.want {
			t.Errorf("HTTP %s, login %s: got %s, want %s", x.put, x.login, got, x.want)
		}
	}
}

// TestABreakdownStaysUnknown: failure() cannot make a refusal of a server's breakdown,
// unless the request only read.
func TestABreakdownStaysUnknown(t *testing.T) {
	failure := "def failure(answer): return refused(\"PolicyViolation\")\n"
	for functions, want := range map[string]string{
		put + failure: "unknown PolicyViolation",
		"def set(value): return put(\"/p\", body = json(value), accept = [500], then = lambda answer: refused(\"PolicyViolation\"))\n": "unknown PolicyViolation",
		"def set(value): return get(\"/p\", then = lambda answer: put(\"/p\", body = json(value)))\n" + failure:                        "refused PolicyViolation",
	} {
		server := newAnswers(t, map[string][]string{"PUT /p": {"500"}, "GET /p": {"500"}})
		if got := do(t.Context(), instanceOf(t, functions, server.url), []string{"set", "ann", "x"}); got != want {
			t.Errorf("%s: got %s, want %s", functions, got, want)
		}
	}
}

// TestAFaultTellsNoGeneratedValue: what the target made stands in no message, whether
// the definition has taken it as a secret or stumbles before.
func TestAFaultTellsNoGeneratedValue(t *testing.T) {
	const made = "Gen3rated-Canary"
	for _, then := range []string{
		`applied(ref = str(int(answer.json["password"])), value = answer.secret("password"))`,
		`[answer.secret("password"), fail(answer.text)]`,
		`[answer.secret("password"), refused("TargetError", "it said " + answer.json["password"])][1]`,
		`[answer.secret("password"), refused("TargetError", native = "x" * 290 + answer.json["password"])][1]`,
		`{}[answer.json["password"]]`,
		`put("/next", then = lambda later: fail(answer.text + later.text))`,
		`[answer.secret("password"), put("/broken")][1]`,
	} {
		functions := put + "def failure(answer): return refused(\"TargetError\", answer.text)\ndef reset(account): return post(\"/reset\", then = lambda answer: " + then + ")\n"
		server := newAnswers(t, map[string][]string{"POST /reset": {`200 {"password":"` + made + `"}`}, "PUT /next": {"200"}, "PUT /broken": {"400 " + made}})
		receipt := instanceOf(t, functions, server.url).(sdk.Resetter).Reset(t.Context(), sdk.Operation{ID: "1", Attempt: 1, Account: "ann"})
		switch {
		case receipt.Err == nil || receipt.Outcome != sdk.Unknown:
			t.Errorf("%s: got %s", then, receiptText(receipt))
		case strings.Contains(receipt.Err.Message+receipt.Err.Native, made[:6]):
			t.Errorf("%s: the value stands in what is said", then)
		}
	}
}

// TestAVerifyLogsOnOnce: whatever keeps its later steps back, a login without one or
// with one that has expired, the value is tried once: each try counts towards a lock.
func TestAVerifyLogsOnOnce(t *testing.T) {
	functions := put + `
def auth(): return post("/token", then = lambda answer: bearer(answer.secret("token")))
def verify(value):
    look = lambda answer: get("/locked", then = lambda answer: blocked() if answer.json else rejected())
    return post("/login", body = json(value), auth = False, reads = True, accept = [401], then = look)
`
	server := newAnswers(t, map[string][]string{"POST /token": {`200 {"token":"T0ken-1"}`, `200 {"token":"T0ken-2"}`}, "POST /login": {"401"}, "GET /locked": {"401", "200 true"}})
	if got := do(t.Context(), instanceOf(t, functions, server.url), []string{"verify", "ann", "x"}); got != "blocked" {
		t.Errorf("got %s", got)
	}
	for key, want := range map[string]int{"POST /login": 1, "POST /token": 2, "GET /locked": 2} {
		if got := server.count(key); got != want {
			t.Errorf("%s came %d times, want %d", key, got, want)
		}
	}
}

// TestALogonThatExpiredIsNotTriedAgain: what the definition calls an expired login, of a
// login that is its own, is not asked twice.
func TestALogonThatExpiredIsNotTriedAgain(t *testing.T) {
	functions := put + "def verify(value): return post(\"/login\", body = json(value), reads = True, accept = [401], then = lambda answer: refused(\"LoginExpired\"))\n" +
		"def change(value): return post(\"/login\", body = json(value), auth = False)\ndef failure(answer): return refused(\"LoginExpired\")\n"
	server := newAnswers(t, map[string][]string{"POST /login": {"401"}})
	for _, words := range []string{"verify ann x", "change ann x old"} {
		before := server.count("POST /login")
		if got := do(t.Context(), instanceOf(t, functions, server.url), strings.Fields(words)); !strings.Contains(got, "PermissionDenied") {
			t.Errorf("%s: got %s", words, got)
		}
		if got := server.count("POST /login") - before; got != 1 {
			t.Errorf("%s: came %d times", words, got)
		}
	}
}

// TestACheckTellsOfAClockThatIsOff, beside what the definition finds, whichever that is.
func TestACheckTellsOfAClockThatIsOff(t *testing.T) {
	for status, want := range map[int]sdk.Severity{nethttp.StatusOK: sdk.Info, nethttp.StatusForbidden: sdk.Bad} {
		for _, skew := range []time.Duration{0, -10 * time.Minute} {
			server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
				w.Header().Set("Date", time.Now().Add(skew).UTC().Format(nethttp.TimeFormat))
				w.WriteHeader(status)
			}))
			instance := instanceOf(t, put+"def check(): return get(\"/me\", then = lambda answer: finding(\"info\", \"logged in\"))\n", server.URL)
			found := instance.(sdk.Checker).Check(t.Context())
			server.Close()
			if len(found) == 0 || found[0].Severity != want {
				t.Fatalf("HTTP %d: %+v, want %v first", status, found, want)
			}
			if off := len(found) == 2 && strings.Contains(found[1].Message, "behind this machine's"); off != (skew != 0) || skew == 0 && len(found) != 1 {
				t.Errorf("HTTP %d, a clock off by %s: %+v", status, skew, found)
			}
		}
	}
}
