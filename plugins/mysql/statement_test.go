package mysql

import (
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The forms that each kind of server is sent. Those of MySQL are by its manual.
func TestStatements(t *testing.T) {
	maria := &server{maria: true, version: [3]int{10, 11, 6}}
	mysql := &server{version: [3]int{8, 4, 0}}
	old := &server{version: [3]int{5, 7, 44}}
	const hash = "*FD571203974BA9AFE270FE62151AE967ECA5E0AA" // of "*"
	for _, test := range []struct {
		name   string
		server *server
		plugin string
		send   string
		edit   func(*sdk.Operation)
		want   string // "": Unsupported
	}{
		{"MariaDB", maria, native, sendHash, nil, "IDENTIFIED VIA mysql_native_password USING '" + hashOf(native, `it's \ "`) + "'"},
		{"MariaDB, ed25519", maria, ed25519, sendHash, nil, "IDENTIFIED VIA ed25519 USING '" + publicKey(`it's \ "`) + "'"},
		{"MariaDB, the value", maria, native, sendValue, nil, `IDENTIFIED BY 'it''s \\ "'`},
		{"MariaDB, the value, ed25519", maria, ed25519, sendValue, nil, `IDENTIFIED VIA ed25519 USING PASSWORD('it''s \\ "')`},
		{"MariaDB, a hash in any case", maria, native, sendValue, func(op *sdk.Operation) { op.HashFormat, op.Value = native, secret.New(hash) }, "IDENTIFIED VIA mysql_native_password USING '" + hash + "'"},
		{"MariaDB, retained", maria, native, sendHash, retained, ""},
		{"MariaDB, a hash of MySQL", maria, native, sendHash, func(op *sdk.Operation) { op.HashFormat = cachingSHA2 }, ""},
		{"MySQL", mysql, cachingSHA2, sendHash, nil, `IDENTIFIED WITH caching_sha2_password BY 'it''s \\ "'`},
		{"MySQL, native", mysql, native, sendHash, nil, "IDENTIFIED WITH mysql_native_password AS '" + hashOf(native, `it's \ "`) + "'"},
		{"MySQL, retained", mysql, cachingSHA2, sendHash, retained, `IDENTIFIED WITH caching_sha2_password BY 'it''s \\ "' RETAIN CURRENT PASSWORD`},
		{"MySQL, too old to retain", old, native, sendHash, retained, ""},
		{"MySQL, a hash of MariaDB", mysql, native, sendHash, func(op *sdk.Operation) { op.HashFormat = ed25519 }, ""},
	} {
		session := &session{instance: &Instance{settings: settings{send: test.send}}, met: test.server}
		job := &job{op: sdk.Operation{Verb: sdk.Set, Account: "ann", Value: secret.New(`it's \ "`)}}
		if test.edit != nil {
			test.edit(&job.op)
		}
		failed := session.identify(job, account{plugin: test.plugin})
		switch {
		case test.want == "" && failed != nil && failed.Code == sdk.Unsupported:
		case failed != nil || job.clause.Reveal() != test.want:
			t.Errorf("%s: %s, %v, want %s", test.name, job.clause.Reveal(), failed, test.want)
		}
	}
	if got := hashOf(native, "password"); got != "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19" {
		t.Errorf("native hash: %s", got)
	}
	if got := (name{"a`b", "%"}).quoted(); got != "`a``b`@`%`" {
		t.Errorf("name: %s", got)
	}
}

func retained(op *sdk.Operation) { op.Options = map[string]any{"retain_current": true} }

// Which accounts a logon from a machine may mean.
func TestHostsThatSuitAMachine(t *testing.T) {
	for _, test := range []struct {
		pattern, machine string
		want             bool
	}{
		{"%", "10.0.0.7", true}, {"10.0.0.7", "10.0.0.7", true}, {"10.%", "10.0.0.7", true}, {"10.0.0._", "10.0.0.7", true}, {"10.0.0._", "10.0.0.71", false}, {"192.%", "10.0.0.7", false},
		{"10.0.0.0/255.255.255.0", "10.0.0.7", true}, {"10.0.1.0/255.255.255.0", "10.0.0.7", false}, {"%.acme.example", "db.acme.example", true}, {"", "x", false}, {"localhost", "localhost", true}, {"%x%", "", false},
	} {
		if got := suits(test.pattern, test.machine); got != test.want {
			t.Errorf("suits(%q, %q) = %v", test.pattern, test.machine, got)
		}
	}
}
