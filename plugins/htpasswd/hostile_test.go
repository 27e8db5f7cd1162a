package htpasswd

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// hostileAccounts mean something to careless code. All are lines of the file.
func hostileAccounts() []string {
	return []string{
		"*", "?", "%", "_", "[a-z]", "ann*", "ann,dc=x", "../ann", `x"OR"1"="1`, "x' OR '1'='1", "x'; DROP TABLE users; --", ")(uid=*", "/etc/passwd", "%00", "%s%n", "$(id)", "`id`", "<a>&amp;", "-h", "-",
		"\u202enna", "ann#", "@ann", "a@b.example", `back\slash`, `\`, `"`, "'", "`", "$1", "$apr1$", "ANN", "ann", "ann b", "日本語", "🔑", "line\u2028sep", "é", "e\u0301", strings.Repeat("n", 200), strings.Repeat("é", 100), "{SHA}",
	}
}

// hostilePasswords are values that careless code cuts, quotes or takes for
// something else.
func hostilePasswords() []string {
	return []string{
		"'", `"`, `\`, "'; DROP TABLE users; --", `' OR '1'='1`, "$$", "$1", "?", ":", "a:b", "%s", "%00", "--", "/*", ";", " ", " leading", "trailing ", "#hash", ":colon:", "a,b", "{}", "()", "*", ")(uid=*", "`id`", "$(id)",
		"tab\there", "ünïcödé", "日本語のパスワード", "🔑🔑", "line\u2028sep", "\u202ereverse", strings.Repeat("x", 72), strings.Repeat("y", 255), "{SHA}x", "$apr1$x", "$5$rounds=1000$x$", "null", "NULL", "\x01control",
	}
}

// passlibFile answers for each line whether passlib lets every user of the file in
// with the value, and finds no other user in it.
const passlibFile = `
import json, sys
from passlib.apache import HtpasswdFile
for line in sys.stdin:
    p = json.loads(line)
    f = HtpasswdFile.from_string(p["file"].encode(), encoding="utf-8")
    print(json.dumps(sorted(f.users()) == sorted(p["users"]) and all(f.check_password(u, p["value"]) for u in p["users"])))
`

// Of forty names and forty values each pair is set: the named line changes and no
// other, and passlib takes the value. What no line can hold is refused.
func TestHostileNamesAndValues(t *testing.T) {
	names := hostileAccounts()
	var first strings.Builder
	for _, name := range names {
		first.WriteString(name + ":{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=\n")
	}
	instance, path := open(t, first.String())
	var files bytes.Buffer
	encoder := json.NewEncoder(&files)
	for _, value := range hostilePasswords() {
		var ops []sdk.Operation
		for _, name := range names {
			ops = append(ops, set(name, value))
		}
		for index, receipt := range instance.ApplyBatch(t.Context(), ops) {
			if receipt.Outcome != sdk.Applied {
				t.Errorf("%q, %.20q: %v", names[index], value, receipt.Err)
			}
		}
		if err := encoder.Encode(map[string]any{"file": content(t, path), "value": value, "users": names}); err != nil {
			t.Fatal(err)
		}
	}
	for index, answer := range passlibSays(t, &files) {
		if !answer {
			t.Errorf("%.20q: passlib does not let in every user, or finds others", hostilePasswords()[index])
		}
	}
	onlyTheNamed(t, instance, path, names)
	was := content(t, path)
	for _, name := range []string{"", "ann:x", "ann\n", "ann\r", "#ann", "ann\x00", "eve:x\neve", " ann", "\xffann"} {
		if receipt := instance.Apply(t.Context(), set(name, "a new value")); receipt.Outcome != sdk.Refused {
			t.Errorf("%q: %v (%v), want it refused", name, receipt.Outcome, receipt.Err)
		}
	}
	if content(t, path) != was {
		t.Error("a name that no line can hold changed the file")
	}
	if len(names) < 40 || len(hostilePasswords()) < 40 {
		t.Errorf("%d names and %d values, want forty of each", len(names), len(hostilePasswords()))
	}
}

// onlyTheNamed sets one account after the other, and looks which line changes.
func onlyTheNamed(t *testing.T, instance *Instance, path string, names []string) {
	t.Helper()
	was := strings.Split(content(t, path), "\n")
	for _, name := range names {
		if receipt := instance.Apply(t.Context(), set(name, "the last")); receipt.Outcome != sdk.Applied {
			t.Errorf("%q: %v", name, receipt.Err)
		}
		now := strings.Split(content(t, path), "\n")
		if len(now) != len(was) {
			t.Fatalf("a set of %q: %d lines, %d before", name, len(now), len(was))
		}
		for index, line := range now {
			if (line != was[index]) != strings.HasPrefix(line, name+":") {
				t.Errorf("a set of %q: line %d is %q, and was %q", name, index+1, line, was[index])
			}
		}
		was = now
	}
}

func passlibSays(t *testing.T, files *bytes.Buffer) []bool {
	t.Helper()
	var said bytes.Buffer
	command := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", passlibFile)
	command.Stdin, command.Stderr = files, &said
	out, err := command.Output()
	if err != nil {
		t.Fatalf("python3 with python3-passlib: %v: %s", err, said.String())
	}
	var answers []bool
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var answer bool
		if err := decoder.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
	if len(answers) != len(hostilePasswords()) {
		t.Fatalf("%d answers to %d files", len(answers), len(hostilePasswords()))
	}
	return answers
}
