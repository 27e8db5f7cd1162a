package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/redis/redistest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// hostileNames mean something to careless code. Those that Redis takes are users.
func hostileNames() (taken, refused []string) {
	taken = []string{
		"*", "?", "[a-z]", "ann*", "ann:x", "ann,dc=x", "../ann", `x"OR"1"="1`, "x'OR'1'='1", "x';FLUSHALL;--", ")(uid=*", "/etc/passwd", "%00", "%s%n", "$(id)", "`id`", "<a>&amp;", strings.Repeat("n", 300), strings.Repeat("é", 100), "-h",
		"\u202enna", "#ann", "@ann", ">ann", "a@b.example", `back\slash`, `\`, `"`, "'", "`", "resetpass", "nopass", "on", "off", "+@all", "~*", "ANN", "ann", "日本語", "🔑", "line\u2028sep", "\x01", "EVAL",
	}
	return taken, []string{" ", "ann ", " ann", "a nn", "ann\n", "ann\r\nACL SETUSER eve on nopass", "ann\x00", "tab\there", ""}
}

// hostilePasswords are values that careless code cuts, quotes or takes for
// something else.
func hostilePasswords() []string {
	return []string{
		"'", `"`, `\`, ">x", "<x", "#x", "!x", "nopass", "resetpass", "on", "off", "+@all", "~*", "*", "?", "%s", "%00", "--", "/*", ";", " ", " leading", "trailing ", "a,b", "{}", "()", "`id`", "$(id)",
		"tab\there", "line\nfeed", "\r\nFLUSHALL\r\n", "ünïcödé", "日本語のパスワード", "🔑🔑", "line\u2028sep", "\u202ereverse", "n\x00ul", strings.Repeat("x", 72), strings.Repeat("y", 256), strings.Repeat("z", 1000), strings.Repeat("0a", 32), "\x01control",
	}
}

// Of forty names and forty values each pair is set: the named user changes and no
// other, and redis-cli logs in with the value.
func TestHostileNamesAndValues(t *testing.T) {
	running := redistest.Start(t, redistest.Options{})
	t.Cleanup(running.Remove)
	names, refused := hostileNames()
	made := map[string]string{}
	for _, name := range names {
		made[name] = "on"
	}
	users(t, running, made)
	instance := open(t, config(running))
	was := passwords(t, running)
	for _, value := range hostilePasswords() {
		var logons []redistest.Logon
		for _, name := range names {
			if receipt := instance.Apply(t.Context(), set(name, value)); receipt.Outcome != sdk.Applied {
				t.Errorf("%q, %.20q: %s: %v", name, value, say(receipt), receipt.Err)
			}
			logons = append(logons, redistest.Logon{User: name, Value: value})
		}
		for _, name := range refused {
			if receipt := instance.Apply(t.Context(), set(name, value)); receipt.Outcome != sdk.Refused {
				t.Errorf("%q: %s, want refused", name, say(receipt))
			}
		}
		for index, in := range running.Logons(t, logons) {
			if !in {
				t.Errorf("%.20q: redis-cli is not let in as %q", value, names[index])
			}
		}
		now := passwords(t, running)
		if len(now) != len(was) || now["default"] != was["default"] || now["rotator"] != was["rotator"] {
			t.Fatalf("%.20q: %d users, %d before; or others were changed", value, len(now), len(was))
		}
	}
	for _, name := range names { // one by one
		was = passwords(t, running)
		want(t, instance.Apply(t.Context(), set(name, "the last")), "applied")
		for other, rules := range passwords(t, running) {
			if (rules != was[other]) != (other == name) {
				t.Fatalf("a set of %q: %q changed: %v", name, other, rules != was[other])
			}
		}
	}
	if len(names) < 40 || len(hostilePasswords()) < 40 {
		t.Errorf("%d names and %d values, want forty of each", len(names), len(hostilePasswords()))
	}
}

// passwords are the rules of all users.
func passwords(t *testing.T, running *redistest.Server) map[string]string {
	t.Helper()
	said, err := running.CLI("ACL LIST")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for line := range strings.Lines(said) {
		name, rules, _ := strings.Cut(strings.TrimPrefix(line, "user "), " ")
		found[name] = rules
	}
	return found
}

// Neither the log nor the slow log nor MONITOR has a value.
func TestNoValueIsInTheServersLogs(t *testing.T) {
	running := redistest.Start(t, redistest.Options{Users: []string{"user ann on"}})
	t.Cleanup(running.Remove)
	if _, err := running.CLI("CONFIG SET slowlog-log-slower-than 0", "CONFIG SET slowlog-max-len 10000"); err != nil {
		t.Fatal(err)
	}
	instance := open(t, config(running))
	var values []string
	for number, name := range []string{"ann", "nobody", "rotator"} {
		value := fmt.Sprintf("canary-%d-Zq8!", number)
		values = append(values, value)
		_ = instance.Apply(t.Context(), set(name, value))
		_, _ = instance.Verify(t.Context(), name, "", secret.New(value))
		_, _ = instance.Verify(t.Context(), name, "", secret.New(value+"wrong"))
	}
	slow, err := running.CLI("SLOWLOG GET 1000", "ACL LOG")
	if err != nil || !strings.Contains(slow, "auth") {
		t.Fatalf("the slow log and the log of refusals are empty: the test shows nothing: %v", err)
	}
	for _, value := range values {
		if strings.Contains(slow+running.Log(), value) {
			t.Errorf("%s is in a log", value)
		}
	}
}
