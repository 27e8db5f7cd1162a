package ldap

import (
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
)

// benched is how many accounts a round is about; scripted, how many of them the
// script.
const (
	benched  = 512
	scripted = 20
)

// BenchmarkSet compares the backend with a loop written by hand, over the same
// number of connections to the same slapd, whose writes reach the disk: accounts/s
// of either, and the ratio. Beside them is what a script does, an ldappasswd an
// account, one after the other.
func BenchmarkSet(b *testing.B) {
	server := ldaptest.Start(b, ldaptest.Options{Users: benched, Sync: true})
	for _, atOnce := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d at once", atOnce), func(b *testing.B) {
			made := config(server)
			made.Concurrency = atOnce
			instance, conns := configure(b, made), connections(b, server, atOnce)
			var mine, hand, script time.Duration
			for b.Loop() {
				script += byScript(b, server)
				hand += spread(b, atOnce, func(worker, number int) error {
					_, err := conns[worker].PasswordModify(goldap.NewPasswordModifyRequest(server.UserDN(number), "", "a new value"))
					return err
				})
				mine += spread(b, atOnce, func(_, number int) error {
					if receipt := instance.Apply(b.Context(), set(server.UserDN(number), "another value")); receipt.Outcome != sdk.Applied {
						return receipt.Err
					}
					return nil
				})
			}
			accounts := float64(b.N * benched)
			b.ReportMetric(accounts/hand.Seconds(), "byhand-accounts/s")
			b.ReportMetric(accounts/mine.Seconds(), "backend-accounts/s")
			b.ReportMetric(hand.Seconds()/mine.Seconds(), "ratio")
			b.ReportMetric(script.Seconds()/scripted/(mine.Seconds()/benched), "ratio-ldappasswd")
		})
	}
}

func connections(b *testing.B, server *ldaptest.Server, count int) []*goldap.Conn {
	b.Helper()
	var conns []*goldap.Conn
	for range count {
		conn, err := goldap.DialURL(server.URL)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		if err := conn.Bind(server.BindDN, server.Password); err != nil {
			b.Fatal(err)
		}
		conns = append(conns, conn)
	}
	return conns
}

// spread does one thing for each account, so many at once, and returns how long
// that took.
func spread(b *testing.B, atOnce int, do func(worker, number int) error) time.Duration {
	b.Helper()
	start := time.Now()
	var workers sync.WaitGroup
	for worker := range atOnce {
		workers.Go(func() {
			for number := worker; number < benched; number += atOnce {
				if err := do(worker, number); err != nil {
					b.Error(err)
				}
			}
		})
	}
	workers.Wait()
	return time.Since(start)
}

// byScript is how long an ldappasswd an account takes.
func byScript(b *testing.B, server *ldaptest.Server) time.Duration {
	b.Helper()
	start := time.Now()
	for number := range scripted {
		command := exec.CommandContext(b.Context(), "ldappasswd", "-x", "-H", server.URL, "-D", server.BindDN, "-w", server.Password, "-s", "a new value", server.UserDN(number))
		if said, err := command.CombinedOutput(); err != nil {
			b.Fatalf("ldappasswd: %v: %s", err, said)
		}
	}
	return time.Since(start)
}
