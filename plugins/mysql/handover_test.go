package mysql_test

import (
	"testing"

	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func handOver(account, value string) sdk.Operation {
	op := set(account, value)
	op.Verb = sdk.Handover
	return op
}

// rights are what rekey needs of an account of its own.
func rights(name string) []string {
	return []string{"GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO " + account(name), "GRANT SELECT ON mysql.* TO " + account(name)}
}

// asService is the configuration of an account of its own, with what was handed over
// since.
func asService(t *testing.T, user string, handed ...string) sdk.Config {
	made := as(config(server(t)), user, "service-0")
	for _, value := range handed {
		made.Handed = append(made.Handed, secret.New(value))
	}
	return made
}

// TestTheServiceAccountIsHandedOver, however it proves its password: this instance goes
// on, and so does the next one that is told the value, wherever it stands among those
// that never arrived.
func TestTheServiceAccountIsHandedOver(t *testing.T) {
	for user, words := range map[string]string{"service": "IDENTIFIED BY 'service-0'", "edward": "IDENTIFIED VIA ed25519 USING PASSWORD('service-0')"} {
		name := user + "@127.0.0.1"
		accounts(t, map[string]string{name: words, user + "-ann@%": ""})
		query(t, rights(name)...)
		ann := user + "-ann"
		instance := open(t, asService(t, user))
		want(t, instance.Apply(t.Context(), set(ann, "first")), "applied")
		want(t, instance.Apply(t.Context(), handOver(name, "service-1")), "applied")
		if user == "service" { // PyMySQL's ed25519 needs more than Debian has
			if in := server(t).Logons(t, []mysqltest.Logon{{User: user, Value: "service-1"}, {User: user, Value: "service-0"}}); in[0] != name || in[1] == name {
				t.Errorf("PyMySQL with the new password and with the old one: %q", in)
			}
		}
		want(t, instance.Apply(t.Context(), set(ann, "second")), "applied")
		again := handOver(name, "service-1")
		again.Attempt = 2
		want(t, instance.Apply(t.Context(), again), "already-applied")
		want(t, instance.Apply(t.Context(), handOver(name, "service-2")), "applied")
		next := open(t, asService(t, user, "never-arrived", "service-2", "service-1"))
		want(t, next.Apply(t.Context(), set(ann, "third")), "applied")
		again = handOver(name, "service-2")
		again.Attempt = 2
		want(t, next.Apply(t.Context(), again), "already-applied")
		want(t, open(t, asService(t, user)).Apply(t.Context(), set(ann, "fourth")), "refused LoginExpired")
	}
}

// TestOnlyTheServiceAccountIsHandedOver, by its whole name, if a password of its own is
// what it logs in with; and it is nothing else than handed over.
func TestOnlyTheServiceAccountIsHandedOver(t *testing.T) {
	accounts(t, map[string]string{"service@127.0.0.1": "IDENTIFIED BY 'service-0'", "service@10.9.9.9": "", "handed@%": ""})
	query(t, rights("service@127.0.0.1")...)
	instance := open(t, asService(t, "service"))
	want(t, instance.Apply(t.Context(), handOver("handed", "first")), "refused InvalidOperation")
	want(t, instance.Apply(t.Context(), handOver("service@10.9.9.9", "first")), "refused InvalidOperation")
	want(t, instance.Apply(t.Context(), handOver("service", "first")), "refused AccountNotFound")
	want(t, instance.Apply(t.Context(), set("service@127.0.0.1", "first")), "refused Protected")
	want(t, instance.Apply(t.Context(), must(handOver("service@127.0.0.1", "first"))), "refused Unsupported")
	if in := server(t).Logons(t, []mysqltest.Logon{{User: "service", Value: "service-0"}}); in[0] != "service@127.0.0.1" {
		t.Errorf("the password of the service account is another one: %q", in)
	}
}
