package postgres

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
)

// The verifier that is made here is the one that the server makes.
func TestVerifiersAreThoseOfTheServer(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	defer server.Remove()
	for _, value := range []string{"x", "pencil", "with 'quotes' and \\", "ünïcödé", "日本語", "🔑 and é", strings.Repeat("long", 200), "\x01control", "مرحبا", "a مرحبا"} {
		if failed := refuseValue(value); failed != nil {
			t.Errorf("%q: %v", value, failed)
			continue
		}
		literal := "'" + strings.ReplaceAll(value, "'", "''") + "'"
		found, err := server.SQL(context.Background(), "ALTER ROLE rotator PASSWORD "+literal, "SELECT rolpassword FROM pg_authid WHERE rolname = 'rotator'")
		if err != nil {
			t.Fatal(err)
		}
		parts := scramForm.FindStringSubmatch(found[0])
		if parts == nil || !wellFormed(found[0]) {
			t.Fatalf("%q is not well-formed", found[0])
		}
		salt, err := base64.StdEncoding.DecodeString(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		iterations, _ := strconv.Atoi(parts[1])
		if made := verifier(value, salt, iterations); made != found[0] {
			t.Errorf("%q: made %s, the server makes %s", value, made, found[0])
		}
	}
}
