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
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rekey-host/rekey/plugins/postgres"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/sdk"
)

// benched is how many roles a round is about.
const benched = 400

// BenchmarkSet compares the backend with a loop written by hand, over the same
// number of connections to the same server: roles/s of either, and the median of
// the ratios.
// Both make a verifier of each value. Beside them is what a script does, a psql a
// role, one after the other.
func BenchmarkSet(b *testing.B) {
	server := postgrestest.Start(b, postgrestest.Options{Sync: true, Settings: []string{"log_statement = none"}})
	b.Cleanup(server.Remove)
	if _, err := server.SQL(b.Context(), fmt.Sprintf(`DO $$ BEGIN FOR n IN 0..%d LOOP EXECUTE format('CREATE ROLE %%I LOGIN', 'bench' || n); END LOOP; END $$`, benched-1)); err != nil {
		b.Fatal(err)
	}
	for _, atOnce := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d at once", atOnce), func(b *testing.B) {
			instance, pool := openAs(b, server, atOnce), poolOf(b, server, atOnce)
			var mine, hand, script time.Duration
			var ratios []float64
			for b.Loop() {
				script += scripted(b, server)
				before := [2]time.Duration{hand, mine}
				hand += spread(atOnce, func(number int) error {
					_, err := pool.Exec(b.Context(), fmt.Sprintf(`ALTER ROLE "bench%d" PASSWORD '%s'`, number, byHand("a new value")))
					return err
				}, b)
				mine += spread(atOnce, func(number int) error {
					if receipt := instance.Apply(b.Context(), set(fmt.Sprint("bench", number), "a new value")); receipt.Outcome != sdk.Applied {
						return receipt.Err
					}
					return nil
				}, b)
				ratios = append(ratios, float64(hand-before[0])/float64(mine-before[1]))
			}
			slices.Sort(ratios)
			roles := float64(b.N * benched)
			b.ReportMetric(roles/hand.Seconds(), "byhand-roles/s")
			b.ReportMetric(roles/mine.Seconds(), "backend-roles/s")
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(script.Seconds()/scriptedRoles/(mine.Seconds()/benched), "ratio-psql")
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

// scriptedRoles is how many roles the script is about.
const scriptedRoles = 20

// scripted is how long a psql a role takes.
func scripted(b *testing.B, server *postgrestest.Server) time.Duration {
	b.Helper()
	start := time.Now()
	for number := range scriptedRoles {
		command := exec.CommandContext(b.Context(), "psql", "-XAtqw", "-h", "127.0.0.1", "-p", server.Port(), "-U", server.User, "-d", "postgres",
			"-c", fmt.Sprintf(`ALTER ROLE "bench%d" PASSWORD 'a new value'`, number))
		command.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + server.Password}
		if said, err := command.CombinedOutput(); err != nil {
			b.Fatalf("psql: %v: %s", err, said)
		}
	}
	return time.Since(start)
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

// spread does one thing for each role, so many at once, and returns how long
// that took.
func spread(atOnce int, do func(number int) error, b *testing.B) time.Duration {
	b.Helper()
	start := time.Now()
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
	return time.Since(start)
}
