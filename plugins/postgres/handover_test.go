package postgres_test

import (
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func handOver(account, value string) sdk.Operation {
	op := set(account, value)
	op.Verb = sdk.Handover
	return op
}

// asService is the configuration of a role of its own, with what was handed over
// since.
func asService(t *testing.T, handed ...string) sdk.Config {
	made := config(cluster(t), "user", "service")
	made.Secrets["password"] = secret.New("service-0")
	for _, value := range handed {
		made.Handed = append(made.Handed, secret.New(value))
	}
	return made
}

// TestTheServiceRoleIsHandedOver: this instance goes on, and so does the next one
// that is told the value, wherever it stands among those that never arrived.
func TestTheServiceRoleIsHandedOver(t *testing.T) { each(t, theServiceRoleIsHandedOver) }

func theServiceRoleIsHandedOver(t *testing.T) {
	roles(t, map[string]string{"service": "LOGIN CREATEROLE PASSWORD 'service-0'", "handed-ann": "LOGIN"})
	if newest(t) {
		sql(t, `GRANT "handed-ann" TO service WITH ADMIN TRUE`)
	}
	instance := open(t, asService(t))
	want(t, instance.Apply(t.Context(), set("handed-ann", "first")), "applied")
	want(t, instance.Apply(t.Context(), handOver("service", "service-1")), "applied")
	if !logsOn(t, "service", "service-1") || logsOn(t, "service", "service-0") {
		t.Error("the new password does not work, or the old one does")
	}
	want(t, instance.Apply(t.Context(), set("handed-ann", "second")), "applied")
	again := handOver("service", "service-1")
	again.Attempt = 2
	want(t, instance.Apply(t.Context(), again), "already-applied")
	want(t, instance.Apply(t.Context(), handOver("service", "service-2")), "applied")
	next := open(t, asService(t, "never-arrived", "service-2", "service-1"))
	want(t, next.Apply(t.Context(), set("handed-ann", "third")), "applied")
	again = handOver("service", "service-2")
	again.Attempt = 2
	want(t, next.Apply(t.Context(), again), "already-applied")
	want(t, open(t, asService(t)).Apply(t.Context(), set("handed-ann", "fourth")), "refused LoginExpired")
}

// TestARoleThatNeedsNoPasswordIsNotHandedOver: a logon with the new value would
// prove nothing, so that nothing could be said of it, of a value that was sent
// before either.
func TestARoleThatNeedsNoPasswordIsNotHandedOver(t *testing.T) {
	each(t, aRoleThatNeedsNoPasswordIsNotHandedOver)
}

func aRoleThatNeedsNoPasswordIsNotHandedOver(t *testing.T) {
	made := config(cluster(t), "url", cluster(t).Socket, "user", "admin")
	made.Handed = []secret.Value{secret.New("never-sent")}
	instance := open(t, made)
	again := handOver("admin", "never-sent")
	again.Attempt = 2
	for _, op := range []sdk.Operation{handOver("admin", "never-sent"), again, handOver("admin", "another")} {
		want(t, instance.Apply(t.Context(), op), "refused Unsupported")
	}
}

// TestOnlyTheServiceRoleIsHandedOver, and it is nothing else than handed over.
func TestOnlyTheServiceRoleIsHandedOver(t *testing.T) { each(t, onlyTheServiceRoleIsHandedOver) }

func onlyTheServiceRoleIsHandedOver(t *testing.T) {
	roles(t, map[string]string{"service": "LOGIN CREATEROLE PASSWORD 'service-0'", "handed-ann": "LOGIN"})
	instance := open(t, asService(t))
	want(t, instance.Apply(t.Context(), handOver("handed-ann", "first")), "refused InvalidOperation")
	want(t, instance.Apply(t.Context(), set("service", "first")), "refused Protected")
	if !logsOn(t, "service", "service-0") {
		t.Error("the password of the service role is another one")
	}
}
