package sqltable_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// hostileNames mean something to careless code. All are rows.
func hostileNames() []string {
	return []string{
		"*", "%", "_", " ann", "ann*", "ann\n", "ann:x", "ann,dc=x", "../ann", `x" OR "1"="1`, "x' OR '1'='1", "x'; DROP TABLE users; --", "x`; DROP TABLE users; --", ")(uid=*", "/etc/passwd", "%00", "%s%n", "$(id)", "`id`", "<a>&amp;",
		strings.Repeat("n", 180), strings.Repeat("é", 90), "-h", "\u202enna", "#ann", "@ann", "a@b.example", `back\slash`, `\`, `"`, "'", "`", "``", "$1", "?", ":1", "ANN", "ann", "日本語", "🔑", "tab\there", "line\u2028sep",
	}
}

// hostilePasswords are values that careless code cuts, quotes or takes for
// something else.
func hostilePasswords() []string {
	return []string{
		"'", `"`, `\`, "'; DROP TABLE users; --", `' OR '1'='1`, "$$", "$1", "?", ":1", "%s", "%00", "--", "/*", ";", " ", " leading", "trailing ", "#hash", ":colon:", "a,b", "{}", "()", "*", ")(uid=*", "`id`", "$(id)",
		"tab\there", "line\nfeed", "carriage\rreturn", "ünïcödé", "日本語のパスワード", "🔑🔑", "line\u2028sep", "\u202ereverse", strings.Repeat("x", 72), strings.Repeat("y", 256), strings.Repeat("z", 1000), "{SSHA}x", "null", "NULL", "\x01control",
	}
}

// Of forty names and forty values each pair is set: the named row changes and no
// other, and another program takes the value.
func TestHostileNamesAndValues(t *testing.T) {
	for _, b := range bases(t) {
		t.Run(b.engine, func(t *testing.T) {
			names := hostileNames()
			table := b.table(t, names...)
			instance := open(t, b.config(table))
			was := rows(t, b, table)
			var proofs []proof
			for _, value := range hostilePasswords() {
				var ops []sdk.Operation
				for _, name := range names {
					ops = append(ops, set(name, value))
				}
				for index, receipt := range instance.ApplyBatch(t.Context(), ops) {
					if receipt.Outcome != sdk.Applied {
						t.Errorf("%q, %.20q: %s: %v", names[index], value, say(receipt), receipt.Err)
					}
				}
				now := rows(t, b, table)
				for _, name := range names {
					if now[name] == was[name] {
						t.Errorf("%.20q: the row of %q is as it was", value, name)
					}
					proofs = append(proofs, proof{Format: "ssha", Key: name, Value: value, Hash: now[name]})
				}
				was = now
			}
			for index, answer := range proven(t, proofs) {
				if !answer {
					t.Errorf("%.20q: passlib does not take it for %q", proofs[index].Value, proofs[index].Key)
				}
			}
			for _, name := range names { // one by one
				want(t, instance.Apply(t.Context(), set(name, "the last")), "applied")
				now := rows(t, b, table)
				for other := range now {
					if (now[other] != was[other]) != (other == name) {
						t.Fatalf("a set of %q: the row of %q changed: %v", name, other, now[other] != was[other])
					}
				}
				was = now
			}
			if len(was) != len(names) || len(names) < 40 || len(hostilePasswords()) < 40 {
				t.Errorf("%d rows of %d names, %d values", len(was), len(names), len(hostilePasswords()))
			}
		})
	}
}

// rows are the hashes of all accounts.
func rows(t *testing.T, b base, table string) map[string]string {
	t.Helper()
	keys := b.must(t, fmt.Sprintf("SELECT %s FROM %s ORDER BY 1", b.name("user name"), table))
	hashes := b.must(t, fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", b.name("pass`\"word"), table, b.name("user name")))
	found := map[string]string{}
	for index, key := range keys {
		found[key] = hashes[index]
	}
	return found
}

// With every statement in the servers' logs, no value is there.
func TestNoValueIsInTheServersLogs(t *testing.T) {
	for _, b := range []base{postgres(t), mysql(t)} {
		table := b.table(t, "ann")
		instance := open(t, b.config(table))
		for number, account := range []string{"ann", "nobody", "ann"} {
			_ = instance.Apply(t.Context(), set(account, fmt.Sprintf("canary-%d-Zq8!", number)))
			_, _ = instance.Verify(t.Context(), account, "", secret.New(fmt.Sprintf("canary-%d-Zq8!", number)))
		}
		log := map[string]func() string{"postgres": func() string { return shared.pg.Log() }, "mysql": func() string { return shared.my.Log() }}[b.engine]()
		if !strings.Contains(log, "UPDATE ") || !strings.Contains(log, table) {
			t.Fatalf("%s logs no statements: the test shows nothing", b.engine)
		}
		if strings.Contains(log, "canary-") {
			t.Errorf("%s: a value is in the log", b.engine)
		}
	}
}
