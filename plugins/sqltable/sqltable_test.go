package sqltable_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/sqltable"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func open(t testing.TB, config sdk.Config) *sqltable.Instance {
	t.Helper()
	instance, err := sqltable.New().Configure(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = instance.Close() })
	return instance.(*sqltable.Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: account, Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

// say is a receipt in a few words.
func say(receipt sdk.Receipt) string {
	text := receipt.Outcome.String()
	if receipt.Err != nil {
		text += " " + string(receipt.Err.Code)
	}
	return text
}

func want(t *testing.T, receipt sdk.Receipt, want string) {
	t.Helper()
	if got := say(receipt); got != want {
		t.Errorf("got %s (%v), want %s", got, receipt.Err, want)
	}
}

// proof is what another program is asked: whether a hash is of a value.
type proof struct {
	Format string `json:"format"`
	Key    string `json:"key"`
	Value  string `json:"value"`
	Hash   string `json:"hash"`
	Data   string `json:"data"`
	Realm  string `json:"realm"`
}

// passlib answers for each line whether the hash is of the value. What passlib
// does not know is made with the library of Python.
const passlib = `
import base64, crypt, hashlib, json, sys
import passlib.hash as h
kinds = {"argon2id": h.argon2, "bcrypt": h.bcrypt, "scrypt": h.scrypt, "pbkdf2-django": h.django_pbkdf2_sha256, "phpass": h.phpass, "sha512-crypt": h.sha512_crypt, "ssha": h.ldap_salted_sha1}
for line in sys.stdin:
    p = json.loads(line)
    if p["format"] == "ha1":
        ok = h.htdigest.verify(p["value"], p["hash"], p["key"], p["realm"])
    elif p["format"] == "yescrypt":
        ok = crypt.crypt(p["value"], p["hash"]) == p["hash"]
    elif p["format"] == "pbkdf2-keycloak":
        s, d = json.loads(p["hash"]), json.loads(p["data"])
        made = hashlib.pbkdf2_hmac(d["algorithm"].split("-")[1], p["value"].encode(), base64.b64decode(s["salt"]), d["hashIterations"])
        ok = base64.b64encode(made).decode() == s["value"]
    else:
        ok = kinds[p["format"]].verify(p["value"], p["hash"])
    print(json.dumps(ok))
`

// proven asks the other program.
func proven(t *testing.T, proofs []proof) []bool {
	t.Helper()
	var lines, said bytes.Buffer
	for _, proof := range proofs {
		if err := json.NewEncoder(&lines).Encode(proof); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", passlib)
	command.Stdin, command.Stderr = &lines, &said
	out, err := command.Output()
	if err != nil {
		t.Fatalf("python3 with python3-passlib, -bcrypt and -argon2: %v: %s", err, said.String())
	}
	var answers []bool
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var answer bool
		if err := decoder.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
	if len(answers) != len(proofs) {
		t.Fatalf("%d answers to %d questions", len(answers), len(proofs))
	}
	return answers
}

// Each hash is one to another program too, and tells a wrong value.
func TestHashesAreThoseOfOtherPrograms(t *testing.T) {
	b := sqlite(t)
	b.must(t, "CREATE TABLE u (login text, hash text, data text)")
	var proofs []proof
	for format, more := range map[string][]any{
		"argon2id": {"cost", int64(1), "memory", int64(64)}, "bcrypt": {"cost", int64(4)}, "scrypt": {"cost", int64(4)}, "pbkdf2-django": {"cost", int64(10)},
		"pbkdf2-keycloak": {"cost", int64(10), "data_column", "data"}, "phpass": {"cost", int64(7)}, "sha512-crypt": {"cost", int64(1000)}, "yescrypt": {"cost", int64(10)}, "ssha": {}, "ha1": {"realm", "sip.acme.example"},
	} {
		plain := append([]any{"table", "u", "key", "login", "column", "hash", "hash", format, "must_change_column", nil, "updated_column", nil, "set", nil, "replace_unusable", true}, more...)
		instance := open(t, b.config("u", plain...))
		for number, value := range []string{"x", "with 'quotes' and \\ $", "ünïcödé 日本語 🔑", strings.Repeat("y", 72)} {
			key := fmt.Sprint(format, " ", number)
			b.must(t, "INSERT INTO u VALUES ('"+key+"', NULL, NULL)")
			want(t, instance.Apply(t.Context(), set(key, value)), "applied")
			held := b.must(t, "SELECT hash FROM u WHERE login = '"+key+"'")[0]
			data := b.must(t, "SELECT data FROM u WHERE login = '"+key+"'")[0]
			proofs = append(proofs, proof{format, key, value, held, data, "sip.acme.example"}, proof{format, key, value[:len(value)-1] + "z", held, data, "sip.acme.example"})
			for try, verdict := range map[string]sdk.Verdict{value: sdk.Accepted, value[:len(value)-1] + "z": sdk.Rejected} {
				if got, err := instance.Verify(t.Context(), key, "", secret.New(try)); got != verdict || err != nil {
					t.Errorf("%s: Verify(%q) = %v, %v, want %v", format, try, got, err, verdict)
				}
			}
			if format == "pbkdf2-keycloak" {
				continue
			}
			again := set(key, held)
			again.HashFormat = format
			want(t, instance.Apply(t.Context(), again), "applied")
		}
		bad := set(format+" 0", "no hash")
		bad.HashFormat = format
		if receipt := instance.Apply(t.Context(), bad); receipt.Outcome != sdk.Refused {
			t.Errorf("%s: a malformed hash: %s", format, say(receipt))
		}
	}
	for number, answer := range proven(t, proofs) {
		if answer != (number%2 == 0) {
			t.Errorf("%+v: the other program says %v", proofs[number], answer)
		}
	}
}

const (
	many  = 2000
	batch = 64
)

func TestTwoThousandRowsAreSet(t *testing.T) {
	for _, b := range bases(t) {
		t.Run(b.engine, func(t *testing.T) {
			table := b.table(t)
			var rows []string
			for number := range many {
				rows = append(rows, fmt.Sprintf("('user %d', '{SSHA}MDAwMDAwMDAwMDAwMDAwMDAwMDBzYWx0c2FsdA==', 0, '', '7')", number))
			}
			b.must(t, "INSERT INTO "+table+" VALUES "+strings.Join(rows, ", "))
			instance := open(t, b.config(table))
			var workers sync.WaitGroup
			for worker := range 2 {
				workers.Go(func() {
					for first := worker * batch; first < many; first += 2 * batch {
						var ops []sdk.Operation
						for number := first; number < min(first+batch, many); number++ {
							ops = append(ops, set(fmt.Sprint("user ", number), fmt.Sprint("Valüe $", number)))
						}
						for index, receipt := range instance.ApplyBatch(t.Context(), ops) {
							if receipt.Outcome != sdk.Applied {
								t.Errorf("%s: %s: %v", ops[index].Account, say(receipt), receipt.Err)
							}
						}
					}
				})
			}
			workers.Wait()
			keys, hashes := b.must(t, fmt.Sprintf("SELECT %s FROM %s ORDER BY 1", b.name("user name"), table)), b.must(t, fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", b.name("pass`\"word"), table, b.name("user name")))
			var proofs []proof
			for index, key := range keys {
				proofs = append(proofs, proof{Format: "ssha", Value: "Valüe $" + strings.TrimPrefix(key, "user "), Hash: hashes[index]})
			}
			for number, answer := range proven(t, proofs) {
				if !answer {
					t.Fatalf("%s: passlib does not take the value for %q", keys[number], hashes[number])
				}
			}
			for filter, want := range map[string]int{"": many, "failed = '0'": many, b.name("user name") + " LIKE 'user 1%' -- no": 1111} {
				count := 0
				err := instance.List(t.Context(), filter, []string{"failed"}, func(account sdk.Account) error {
					count++
					if account.Attributes["failed"] != "0" || account.MustChange == nil || *account.MustChange {
						t.Fatalf("%+v", account)
					}
					return nil
				})
				if err != nil || count != want {
					t.Errorf("List(%s): %d, %v, want %d", filter, count, err, want)
				}
			}
			for _, attribute := range []string{"pass`\"word", "PASS`\"WORD"} {
				if err := instance.List(t.Context(), "", []string{attribute}, func(sdk.Account) error { return nil }); err == nil {
					t.Error("List gives hashes away")
				}
			}
			if err := instance.List(t.Context(), "no such (", nil, func(sdk.Account) error { return nil }); err == nil || sdk.AsError(err, "").Code != sdk.InvalidOperation {
				t.Errorf("List with nonsense: %v", err)
			}
		})
	}
}

func TestEachRefusalIsToldByItsCode(t *testing.T) {
	for _, b := range bases(t) {
		t.Run(b.engine, func(t *testing.T) {
			table := b.table(t, "plain", "twice", "twice", "none", "off")
			key, column := b.name("user name"), b.name("pass`\"word")
			b.must(t, fmt.Sprintf("UPDATE %s SET %s = NULL WHERE %s = 'none'", table, column, key), fmt.Sprintf("UPDATE %s SET %s = '!unusable' WHERE %s = 'off'", table, column, key))
			narrow := fmt.Sprintf("narrow%d", tables.Add(1))
			kind := map[string]string{"postgres": "varchar(20)", "mysql": "varchar(20)", "sqlite": "text CHECK (length(hash) <= 20)"}[b.engine]
			b.must(t, append([]string{fmt.Sprintf("CREATE TABLE %s (id int, login varchar(50), hash %s)", narrow, kind), fmt.Sprintf("INSERT INTO %s VALUES (7, 'ann', 'short')", narrow)}, b.grant(narrow)...)...)
			t.Cleanup(func() { _, _ = b.run("DROP TABLE " + narrow) })
			simple := []any{"must_change_column", nil, "updated_column", nil, "set", nil}
			with := func(table string, more ...any) *sqltable.Instance { return open(t, b.config(table, more...)) }
			good := with(table)
			yes := true
			must := set("plain", "a new value")
			must.MustChange = &yes
			long := map[string]string{"postgres": "refused InvalidConfig", "mysql": "refused InvalidConfig", "sqlite": "refused ChangeNotAllowed"}[b.engine]
			// MariaDB tells of no table to who may not read it.
			absent := map[string]string{"postgres": "refused InvalidConfig", "mysql": "refused PermissionDenied", "sqlite": "refused InvalidConfig"}[b.engine]
			for _, test := range []struct {
				name     string
				instance *sqltable.Instance
				op       sdk.Operation
				want     string
			}{
				{"good", good, set("plain", "a new value"), "applied"},
				{"must change", good, must, "applied"},
				{"unknown", good, set("nobody", "a new value"), "refused AccountNotFound"},
				{"a space at the end", good, set("plain ", "a new value"), "refused AccountNotFound"},
				{"two rows", good, set("twice", "a new value"), "refused Ambiguous"},
				{"NULL", good, set("none", "a new value"), "refused NoCredential"},
				{"unusable", good, set("off", "a new value"), "refused NoCredential"},
				{"unusable, replaced", with(table, "replace_unusable", true), set("off", "a new value"), "applied"},
				{"outside of where", with(table, "where", "failed = 'x' -- no"), set("plain", "a new value"), "refused AccountNotFound"},
				{"no such table", with("no_such_table"), set("plain", "a new value"), absent},
				{"no such column", with(table, "set", []string{"no_such=1"}), set("plain", "a new value"), "refused InvalidConfig"},
				{"too narrow", with(narrow, append([]any{"key", "login", "column", "hash"}, simple...)...), set("ann", "a new value"), long},
				{"must change without a column", with(narrow, append([]any{"key", "login", "column", "hash"}, simple...)...), must, "refused Unsupported"},
				{"a word for a number", with(narrow, append([]any{"key", "id", "column", "hash"}, simple...)...), set("x' OR 1=1", "a new value"), "refused AccountNotFound"},
				{"empty", good, set("plain", ""), "refused PolicyViolation"},
				{"NUL", good, set("plain", "a\x00b"), "refused PolicyViolation"},
				{"too long for bcrypt", with(table, "hash", "bcrypt", "cost", int64(4)), set("plain", strings.Repeat("é", 37)), "refused PolicyViolation"},
			} {
				t.Run(test.name, func(t *testing.T) { want(t, test.instance.Apply(t.Context(), test.op), test.want) })
			}
			if got := b.must(t, fmt.Sprintf("SELECT %s FROM %s WHERE %s = 'plain'", b.name("must change"), table, key)); got[0] != "1" {
				t.Errorf("must change is %s", got[0])
			}
			if got, err := good.Verify(t.Context(), "plain", "", secret.New("a new value")); got != sdk.AcceptedMustChange || err != nil {
				t.Errorf("Verify: %v, %v", got, err)
			}
			if kept := b.must(t, "SELECT hash FROM "+narrow)[0]; kept != "short" {
				t.Errorf("a column that is too narrow holds %q", kept)
			}
		})
	}
}

// What a trigger makes of a hash is seen before the commit.
func TestAHashThatIsNotKeptIsRolledBack(t *testing.T) {
	b := sqlite(t)
	table := b.table(t, "ann")
	b.must(t, fmt.Sprintf("CREATE TRIGGER meddle AFTER UPDATE ON %s BEGIN UPDATE %s SET %s = 'x' WHERE %s = NEW.%s; END", table, table, b.name("pass`\"word"), b.name("user name"), b.name("user name")))
	before := b.must(t, fmt.Sprintf("SELECT %s FROM %s", b.name("pass`\"word"), table))[0]
	want(t, open(t, b.config(table)).Apply(t.Context(), set("ann", "a new value")), "refused InvalidConfig")
	if after := b.must(t, fmt.Sprintf("SELECT %s FROM %s", b.name("pass`\"word"), table))[0]; after != before {
		t.Errorf("%q after a refusal, %q before", after, before)
	}
}

// A case that the database does not tell apart is the same account to it.
func TestCaseIsTheDatabases(t *testing.T) {
	b := mysql(t)
	b.must(t, append([]string{"CREATE TABLE folded (login varchar(50) COLLATE utf8mb4_general_ci, hash varchar(100))", "INSERT INTO folded VALUES ('Ann', 'x'), ('José', 'x')"}, b.grant("folded")...)...)
	t.Cleanup(func() { _, _ = b.run("DROP TABLE folded") })
	instance := open(t, b.config("folded", "key", "login", "column", "hash", "must_change_column", nil, "updated_column", nil, "set", nil))
	want(t, instance.Apply(t.Context(), set("ANN", "a new value")), "applied")
	want(t, instance.Apply(t.Context(), set("jose", "a new value")), "refused AccountNotFound")
	want(t, instance.Apply(t.Context(), set("Ann ", "a new value")), "refused AccountNotFound")
	found, err := instance.Resolve(t.Context(), []string{"ANN", "Ann", "jose", "JOSÉ"})
	if err != nil || found[0] != found[1] || found[0].ID != "Ann" || found[2].Err == nil || found[3].ID != "José" {
		t.Errorf("%+v, %v", found, err)
	}
}

// A commit whose answer is lost may have been done; what is lost before it has
// not.
func TestALostCommitIsUnknown(t *testing.T) {
	for _, b := range []base{postgres(t), mysql(t)} {
		t.Run(b.engine, func(t *testing.T) {
			table := b.table(t, "ann")
			relay := reachtest.NewRelay(t, b.server)
			instance := open(t, b.config(table, "url", b.engine+"://127.0.0.1:"+relay.Port))
			want(t, instance.Apply(t.Context(), set("ann", "the first")), "applied")
			word := map[string]string{"postgres": "commit", "mysql": "COMMIT"}[b.engine]
			relay.Next(reachtest.CutAnswer, word)
			want(t, instance.Apply(t.Context(), set("ann", "the second")), "unknown ConnectionLost")
			for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				got, err := instance.Verify(t.Context(), "ann", "", secret.New("the second"))
				if got == sdk.Accepted {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal(got, err)
				}
			}
			relay.Next(reachtest.CutAnswer, "UPDATE")
			if receipt := instance.Apply(t.Context(), set("ann", "the third")); receipt.Outcome != sdk.Refused {
				t.Errorf("lost before the commit: %s: %v", say(receipt), receipt.Err)
			}
			if got, err := instance.Verify(t.Context(), "ann", "", secret.New("the second")); got != sdk.Accepted {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	for _, b := range bases(t) {
		t.Run(b.engine, func(t *testing.T) {
			table := b.table(t, "ann")
			for _, test := range []struct {
				name string
				more []any
				want string // "": nothing is found
			}{
				{"good", nil, ""},
				{"another hash", []any{"hash", "bcrypt"}, "none of the hashes looked at is bcrypt; they are ssha"},
				{"no such table", []any{"table", "no_such"}, "no_such"},
				{"no such column", []any{"set", []string{"no_such=1"}}, "no_such"},
			} {
				found := open(t, b.config(table, test.more...)).Check(t.Context())
				if len(found) > 1 || (len(found) == 0) != (test.want == "") || len(found) == 1 && !strings.Contains(found[0].Message, test.want) {
					t.Errorf("%s: %+v, want %q", test.name, found, test.want)
				}
			}
			if b.server == "" {
				return
			}
			for name, more := range map[string][]any{"stranger": {"insecure", false}, "nothing there": {"url", b.engine + "://127.0.0.1:9"}} {
				found := open(t, b.config(table, more...)).Check(t.Context())
				if len(found) != 1 || found[0].Severity != sdk.Bad || found[0].Code != sdk.InvalidConfig && found[0].Code != sdk.Unreachable {
					t.Errorf("%s: %+v", name, found)
				}
			}
			private := fmt.Sprintf("private%d", tables.Add(1))
			b.must(t, "CREATE TABLE "+private+" (login varchar(9), hash varchar(99))")
			defer b.must(t, "DROP TABLE "+private)
			found := open(t, b.config(private, "key", "login", "column", "hash", "must_change_column", nil, "updated_column", nil, "set", nil)).Check(t.Context())
			if len(found) != 1 || found[0].Code != sdk.PermissionDenied {
				t.Errorf("no right: %+v", found)
			}
			if b.engine != "mysql" {
				return
			}
			for _, engine := range []string{"MyISAM", "MEMORY"} {
				b.must(t, "ALTER TABLE "+table+" ENGINE = "+engine)
				found := open(t, b.config(table)).Check(t.Context())
				if len(found) != 1 || found[0].Severity != sdk.Bad || !strings.Contains(found[0].Message, "which has no transactions") {
					t.Errorf("%s: %+v", engine, found)
				}
			}
		})
	}
}
