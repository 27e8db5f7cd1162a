package definition

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/secret"
)

const password = "Canary-Pa55\"word"

func testLanguage() Language {
	return Language{Name: "http", Needs: "set", Functions: map[string][]string{"set": {"settings", "account", "value"}, "find": {"settings", "account"}},
		Fields: []sdk.Field{{Name: "url", Type: sdk.URL}}, Passes: []sdk.Field{{Name: "user", Type: sdk.String}}}
}

// called returns what set comes to in a definition whose set returns an expression.
func called(t *testing.T, expression string) (any, error) {
	t.Helper()
	text := "http(summary = \"x\", settings = [setting(\"token\", type = \"secret\")])\ndef set(settings, account, value):\n    return " + expression + "\n"
	made, err := Parse(testLanguage(), "x.star", text)
	if err != nil {
		t.Fatalf("%s: %s", expression, err)
	}
	prepared, err := made.Prepare(sdk.Config{Secrets: map[string]secret.Value{"token": secret.New("the-T0ken")}})
	if err != nil {
		t.Fatal(err)
	}
	return made.Call(t.Context(), "set", Given{"settings": prepared, "account": "ann", "value": secret.New(password)})
}

// TestAValueIsOpaque: whatever a definition does to it, it is not told, and what would
// be sent in its place is refused.
func TestAValueIsOpaque(t *testing.T) {
	for _, expression := range []string{
		`put("/x", body = json({"p": str(value)}))`, `put("/x", body = json({"p": "%s" % value}))`, `put("/x", body = json({"p": "{}".format(value)}))`,
		`put("/x", body = json({"p": repr([value])}))`, `put("/x", body = json({"p": value + "x"}))`, `put("/x", body = json({"p": value * 2}))`,
		`put("/x", body = json({"p": len(value)}))`, `applied() if value == value else None`, `applied() if value < value else None`,
		`put("/x", body = json({value: 1}))`, `put("/x", body = json({"p": hash(value)}))`, `put("/x", body = json({"p": value[0]}))`,
		`put("/x", body = json([letter for letter in value]))`, `put("/x", body = json({"p": value.elems()}))`, `put("/x", body = json({"p": dir(value)[0]}))`,
		`put("/{}", value)`, `put("/%s" % value)`, `get("/x", query = {"p": value})`, `get("/x", query = {"p": str(value)})`,
		`get("/x", headers = {"X-P": value})`, `get("/x", headers = {"X-P": str(value)})`, `get("/x", auth = bearer(value))`, `get("/x", auth = basic(str(value), value))`,
		`get("/x", auth = authorization("X", value))`, `put("/x", body = value)`, `fail(value)`, `put("/x", body = json({"p": -value}))`, `put("/x", body = form({"p": str(value)}))`,
	} {
		got, err := called(t, expression)
		if err == nil {
			t.Errorf("%s comes to %T", expression, got)
			continue
		}
		if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "Canary") {
			t.Errorf("%s tells the value", expression)
		}
		if !strings.HasPrefix(err.Error(), "x.star:3: set: ") {
			t.Errorf("%s fails without its place: %s", expression, err)
		}
	}
}

// TestAValueIsPutInPlace: as JSON, forms and logins have it.
func TestAValueIsPutInPlace(t *testing.T) {
	for expression, want := range map[string]string{
		`put("/x", body = json({"b": value, "a": [1, None, True, "ü<"], "c": {"d": value}}))`: `{"b":"Canary-Pa55\"word","a":[1,null,true,"ü<"],"c":{"d":"Canary-Pa55\"word"}}`,
		`put("/x", body = form({"b": value, "a": "x y"}))`:                                    `b=Canary-Pa55%22word&a=x+y`,
	} {
		got, err := called(t, expression)
		if err != nil {
			t.Errorf("%s: %s", expression, err)
			continue
		}
		if request := got.(*Request); request.Body.Reveal() != want {
			t.Errorf("%s has another body", expression)
		}
	}
	got, err := called(t, `get("/x", auth = basic(account, value), headers = {"X-Token": settings.token})`)
	if err != nil {
		t.Fatal(err)
	}
	request := got.(*Request)
	if request.Login.Reveal() != "Basic YW5uOkNhbmFyeS1QYTU1IndvcmQ=" || request.Headers["X-Token"] != "the-T0ken" || len(request.Secrets) != 1 {
		t.Error("the login, the header or what is scrubbed is another")
	}
}

// TestPathsAreEscaped: what a part holds cannot lead elsewhere.
func TestPathsAreEscaped(t *testing.T) {
	for part, want := range map[string]string{`"a/b?c#d e%2f"`: "/u/a%2Fb%3Fc%23d%20e%252f/p", `"ü"`: "/u/%C3%BC/p", `7`: "/u/7/p"} {
		got, err := called(t, `put("/u/{}/p", `+part+`)`)
		if err != nil || got.(*Request).Path != want {
			t.Errorf("%s: %v, %v; want %s", part, got, err, want)
		}
	}
	for _, expression := range []string{`put("/u/{}/p", "..")`, `put("/u/{}", ".")`, `put("/u/{}", "")`, `put("/u/../x")`, `put("/u/{}")`, `put("/u", "x")`, `put("u")`, `put("//u@x/")`, `put("/u#x")`} {
		if got, err := called(t, expression); err == nil {
			t.Errorf("%s comes to %v", expression, got.(*Request).Path)
		}
	}
	_, err := called(t, `put("/u/{}/p", "..")`)
	var refused *sdk.Error
	var fault *Fault
	if !errors.As(err, &fault) || !errors.As(fault.Unwrap(), &refused) || refused.Code != sdk.InvalidOperation {
		t.Errorf("a name that leads upwards is %v, want InvalidOperation", err)
	}
}

// TestADefinitionIsBounded: by steps and by time, which no definition can catch.
func TestADefinitionIsBounded(t *testing.T) {
	for _, expression := range []string{`[[x for x in range(10000)] for y in range(10000)]`, `max(range(1000000000))`} {
		begun := time.Now()
		_, err := called(t, expression)
		if err == nil || time.Since(begun) > 20*maxCompute {
			t.Errorf("%s: %v after %s", expression, err, time.Since(begun))
		}
	}
	made, err := Parse(testLanguage(), "x.star", "http(summary = \"x\")\ndef set():\n    return applied()\n")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if got, err := made.Call(ctx, "set", Given{}); err == nil {
			if _, ok := got.(sdk.Receipt); !ok {
				t.Errorf("after its end a call comes to %T", got)
			}
		}
	}
}

// TestMistakesNameTheirPlace: file, line, and what to write.
func TestMistakesNameTheirPlace(t *testing.T) {
	set := "\ndef set(account, value):\n    return applied()\n"
	for text, want := range map[string]string{
		"x = (":                 "x.star:1: got",
		"":                      "x.star:1: it does not say what it is; write http(summary = …, settings = […])",
		"http()":                "x.star:1: http: missing argument for summary",
		"htp()":                 "x.star:1: undefined: htp",
		"print(x)":              "x.star:1: undefined: x",
		"http(summary = \"x\")": "x.star:1: the function set is missing",
		"http(summary = \"x\")\nhttp(summary = \"x\")":                                              "x.star:2: http() stands there twice",
		"load(\"y.star\", \"y\")":                                                                   "x.star:1: a definition is one file",
		"http(summary = \"x\")" + set + "def sett(account):\n    pass\n":                            "x.star:4: a definition has no function \"sett\"; there is find, set",
		"http(summary = \"x\")\ndef set(acount):\n    pass\n":                                       "x.star:2: set does not get \"acount\"; it gets those that it names, of settings, account, value",
		"http(summary = \"x\")\ndef set(*all):\n    pass\n":                                         "x.star:2: set has * parameters",
		"http(summary = \"x\", settings = [setting(\"url\")])" + set:                                "x.star:1: setting \"url\" stands there twice, or is one that every definition has",
		"http(summary = \"x\", settings = [setting(\"a\", type = \"number\")])" + set:               "x.star:1: setting \"a\": there is no type \"number\"",
		"http(summary = \"x\", settings = [setting(\"a\", type = \"int\", default = \"b\")])" + set: "x.star:1: setting \"a\": its default does not fit its type",
		"http(summary = \"x\", settings = [\"a\"])" + set:                                           "x.star:1: settings: want setting(…), got a string",
		"http(summary = \"x\", login = \"user\")" + set:                                             "x.star:1: login: there is no setting \"user\"",
		"http(summary = \"x\", target = [\"realm\"])" + set:                                         "x.star:1: target: there is no setting \"realm\"",
		"http(summary = \"x\", egress = [\"{realm}\"])" + set:                                       "x.star:1: egress: \"{realm}\" names no setting",
		"http(summary = \"x\", passes = [\"usr\"])" + set:                                           "x.star:1: passes: http has no setting \"usr\"",
		"http(summary = \"x\", timeout = \"never\")" + set:                                          "x.star:1: timeout and concurrency: want",
		strings.Repeat("#", define.MaxSize+1):                                                       "x.star: is longer than 65536 bytes",

		"http(summary = \"x\", egress = [\"https://{a}\"], settings = [setting(\"a\")])" + set:            "x.star:1: egress: \"https://{a}\": an entry is one setting in braces",
		"http(summary = \"x\", egress = [\"{a}\"], settings = [setting(\"a\", type = \"secret\")])" + set: "x.star:1: egress: \"{a}\" is a secret",
	} {
		if _, err := Parse(testLanguage(), "x.star", text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
	for expression, want := range map[string]string{
		`refused("NotFound")`:                              `x.star:3: set: code: there is no "NotFound"; there is AccountNotFound`,
		`refused("PolicyViolation", rules = ["short"])`:    `x.star:3: set: rules: there is no "short"`,
		`refused("AccountStatus", status = "gone")`:        `x.star:3: set: status: there is no "gone"`,
		`put("/x", body = {"a": 1})`:                       `x.star:3: set: put: body: a dict is none; write body = json({…})`,
		`put("/x", then = "y")`:                            `x.star:3: set: put: then: a string is no function`,
		`put("/x", accept = [401])`:                        `x.star:3: set: put: accept: without then=`,
		`put("/x", accept = [200], then = lambda a: None)`: `x.star:3: set: put: accept: 200 is no status of a refusal`,
		`put("/x", headers = {"Authorization": "y"})`:      `x.star:3: set: put: headers: Authorization is made by auth()`,
		`"done"`: `x.star: set returned a string; return what get()`,
	} {
		if _, err := called(t, expression); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", expression, err, want)
		}
	}
}

// TestAnswers are read as they are, whatever they are.
func TestAnswers(t *testing.T) {
	text := `http(summary = "x")
def set(account):
    return get("/x", then = lambda answer: refused("TargetError", message = repr([answer.status, answer.json, answer.text[:5], answer.header("x-ref"), answer.next])))
def find(account):
    return get("/x", then = lambda answer: get("/y", auth = bearer(answer.secret("session", "token"))))
`
	made, err := Parse(testLanguage(), "x.star", text)
	if err != nil {
		t.Fatal(err)
	}
	then := func(name string, answer Answer) (any, error) {
		got, err := made.Call(t.Context(), name, Given{"account": "ann"})
		if err != nil {
			t.Fatal(err)
		}
		return made.Then(t.Context(), got.(*Request), answer)
	}
	headers := map[string][]string{"X-Ref": {"7"}, "Link": {`<https://x/a>; rel="self", <https://x/b?c=1>; rel="next"`}}
	for body, want := range map[string]string{
		`{"a":[1,2.5,"x",null,true]}`: `[200, {"a": [1, 2.5, "x", None, True]}, "{\"a\":", "7", "https://x/b?c=1"]`,
		"<html>":                      `[200, None, "<html", "7", "https://x/b?c=1"]`,
		"":                            `[200, None, "", "7", "https://x/b?c=1"]`,
		"\ufeff[]":                    `[200, [], "\ufeff[]", "7", "https://x/b?c=1"]`,
	} {
		got, err := then("set", Answer{Status: 200, Headers: headers, Body: []byte(body)})
		if err != nil || got.(sdk.Receipt).Err.Message != want {
			t.Errorf("%q: %+v, %v; want %s", body, got, err, want)
		}
	}
	got, err := then("find", Answer{Status: 200, Body: []byte(`{"session":{"token":"T0"}}`)})
	if err != nil || got.(*Request).Login.Reveal() != "Bearer T0" {
		t.Errorf("a token of the answer: %v", err)
	}
	if _, err := then("find", Answer{Status: 200, Body: []byte(`{"session":{}}`)}); err == nil || !strings.Contains(err.Error(), "x.star:5: find: answer.secret") {
		t.Errorf("a token that is not there: %v", err)
	}
}
