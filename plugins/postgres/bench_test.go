package postgres_test

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/postgres"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/sdk"
)

// benched is how many roles a round is about; scripted, how many of them the script.
const (
	benched  = 64
	scripted = 4
)

// BenchmarkSet compares the backend with a loop written by hand, over the same
// number of connections to the same server. Both make a verifier of each value.
// Beside them is what a script does, a psql a role, one after the other.
func BenchmarkSet(b *testing.B) {
	server := postgrestest.Start(b, postgrestest.Options{Sync: true, Settings: []string{"log_statement = none"}})
	b.Cleanup(server.Remove)
	if _, err := server.SQL(b.Context(), fmt.Sprintf(`DO $$ BEGIN FOR n IN 0..%d LOOP EXECUTE format('CREATE ROLE %%I LOGIN', 'bench' || n); END LOOP; END $$`, benched-1)); err != nil {
		b.Fatal(err)
	}
	for _, atOnce := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d at once", atOnce), func(b *testing.B) {
			instance, pool := openAs(b, server, atOnce), poolOf(b, server, atOnce)
			reachtest.Race{Accounts: benched, Scripted: scripted, Program: "psql",
				Script: func() { byScript(b, server) },
				Hand: func() {
					spread(atOnce, func(number int) error {
						_, err := pool.Exec(b.Context(), fmt.Sprintf(`ALTER ROLE "bench%d" PASSWORD '%s'`, number, byHand("a new value")))
						return err
					}, b)
				},
				Mine: func() {
					spread(atOnce, func(number int) error {
						if receipt := instance.Apply(b.Context(), set(fmt.Sprint("bench", number), "a new value")); receipt.Outcome != sdk.Applied {
							return receipt.Err
						}
						return nil
					}, b)
				},
			}.Run(b)
		})
	}
}

// byHand is a verifier as a loop written by hand makes it.
func byHand(value string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, value, salt, 4096, sha256.Size)
	if err != nil {
		panic(err)
	}
	mac := func(text string) []byte {
		made := hmac.New(sha256.New, salted)
		made.Write([]byte(text))
		return made.Sum(nil)
	}
	stored, encode := sha256.Sum256(mac("Client Key")), base64.StdEncoding.EncodeToString
	return "SCRAM-SHA-256$4096:" + encode(salt) + "$" + encode(stored[:]) + ":" + encode(mac("Server Key"))
}

// byScript gives roles values with a psql each.
func byScript(b *testing.B, server *postgrestest.Server) {
	b.Helper()
	for number := range scripted {
		command := exec.CommandContext(b.Context(), "psql", "-XAtqw", "-h", "127.0.0.1", "-p", server.Port(), "-U", server.User, "-d", "postgres",
			"-c", fmt.Sprintf(`ALTER ROLE "bench%d" PASSWORD 'a new value'`, number))
		command.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + server.Password}
		if said, err := command.CombinedOutput(); err != nil {
			b.Fatalf("psql: %v: %s", err, said)
		}
	}
}

func openAs(b *testing.B, server *postgrestest.Server, atOnce int) *postgres.Instance {
	made := config(server, "iterations", int64(4096))
	made.Concurrency = atOnce
	return open(b, made)
}

func poolOf(b *testing.B, server *postgrestest.Server, atOnce int) *pgxpool.Pool {
	b.Helper()
	pool, err := pgxpool.New(context.Background(), fmt.Sprintf("host=127.0.0.1 port=%s user=%s password=%s dbname=postgres sslmode=disable pool_max_conns=%d", server.Port(), server.User, server.Password, atOnce))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// spread does one thing for each role, so many at once.
func spread(atOnce int, do func(number int) error, b *testing.B) {
	b.Helper()
	var workers sync.WaitGroup
	for worker := range atOnce {
		workers.Go(func() {
			for number := worker; number < benched; number += atOnce {
				if err := do(number); err != nil {
					b.Error(err)
				}
			}
		})
	}
	workers.Wait()
}
