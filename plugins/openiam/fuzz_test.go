package openiam

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// Whatever a server answers, reading it ends, claims success only where the
// answer says so in its one place, and refuses only with a reason.
func FuzzAnswer(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, status := range []int{200, 500} {
			answer := rest.Answer{Status: status, Body: body}
			failed := &rest.Failure{Outcome: sdk.Unknown, Err: &sdk.Error{Code: sdk.TargetError}, Answer: answer}
			explain(failed)
			if failed.Err.Code == "" {
				t.Fatal("a failure without a code")
			}
		}
		ret, failure := read(rest.Answer{Status: 200, Body: body}, message{operation: "setPassword"})
		if failure != nil && (failure.Err.Code == "" || ret != nil) {
			t.Fatalf("failure %v with %v", failure, ret)
		}
		if ret.attribute("status") == "success" && !bytes.Contains(body, []byte("success")) && !bytes.Contains(body, []byte("&#")) {
			t.Fatal("success was read that nobody wrote")
		}
		m := mean(ret.value("errorCode"))
		if m.code == "" || m.text == "" || m.outcome == sdk.Applied {
			t.Fatalf("code %q means %+v", ret.value("errorCode"), m)
		}
	})
}

// Whatever an account or a value is, the request is one document with those
// very texts in it, or it is not sent.
func FuzzRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, principal, value string) {
		i := &Instance{domain: "D", system: "0", token: token{}}
		if !writable(principal) || !writable(value) {
			return
		}
		body := soap{i}.envelope("urn:n", message{operation: "setPassword", inside: "passwordSync", fields: []field{{"principal", principal}, {"password", value}}})
		if !utf8.Valid(body) {
			t.Fatal("the request is not UTF-8")
		}
		root, err := parseXML(body)
		if err != nil {
			t.Fatalf("the request %v", err)
		}
		sync := root.child("Body", "setPassword", "passwordSync")
		if sync == nil || len(sync.children) != 2 || sync.children[0].text != principal || sync.children[1].text != value {
			t.Fatalf("%q and %q arrive as %+v", principal, value, sync)
		}
		if err := xml.Unmarshal(body, new(struct{})); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWritableIsWhatXMLCarries(t *testing.T) {
	for text, want := range map[string]bool{"": true, "é漢🙂\t\r\n": true, "\x00": false, "\x1f": false, "\x7f": true, "\ufffe": false, "\uffff": false, "\ufffd": true, "a\xffb": false, "\xed\xa0\x80": false} {
		if writable(text) != want {
			t.Errorf("writable(%q) = %t", text, !want)
		}
	}
}

func TestCodesHaveOneSpellingInside(t *testing.T) {
	for code := range meanings {
		if code != normal(code) || strings.ContainsAny(code, "_ ") {
			t.Errorf("%q can never be found", code)
		}
	}
}
