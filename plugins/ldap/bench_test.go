package ldap

import (
	"fmt"
	"os/exec"
	"sync"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
)

// benched is how many accounts a round is about; scripted, how many of them the
// script.
const (
	benched  = 128
	scripted = 4
)

// frame is how many accounts a host asks about at once.
const frame = 64

// BenchmarkSet compares the backend with a loop written by hand, over the same
// number of connections to the same slapd, whose writes reach the disk. Beside them
// is what a script does, an ldappasswd an account, one after the other. The backend
// is new in each round: it knows no entry yet.
func BenchmarkSet(b *testing.B) {
	server := ldaptest.Start(b, ldaptest.Options{Users: benched, Sync: true})
	for _, atOnce := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d at once", atOnce), func(b *testing.B) {
			made := config(server)
			made.Concurrency = atOnce
			instance, conns := configure(b, made).(*resetting), connections(b, server, atOnce)
			reachtest.Race{Accounts: benched, Scripted: scripted, Program: "ldappasswd",
				Script: func() { byScript(b, server) },
				Hand: func() {
					spread(b, atOnce, func(worker, number int) error {
						_, err := conns[worker].PasswordModify(goldap.NewPasswordModifyRequest(server.UserDN(number), "", "a new value"))
						return err
					})
				},
				Mine: func() {
					instance.resolver.names = names{}
					resolve(b, instance, server)
					spread(b, atOnce, func(_, number int) error {
						if receipt := instance.Apply(b.Context(), set(server.UserDN(number), "another value")); receipt.Outcome != sdk.Applied {
							return receipt.Err
						}
						return nil
					})
				},
			}.Run(b)
		})
	}
}

// resolve is asked before accounts get values, for a frame at a time.
func resolve(b *testing.B, instance *resetting, server *ldaptest.Server) {
	b.Helper()
	for first := 0; first < benched; first += frame {
		accounts := make([]string, frame)
		for index := range accounts {
			accounts[index] = server.UserDN(first + index)
		}
		if _, err := instance.Resolve(b.Context(), accounts); err != nil {
			b.Fatal(err)
		}
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

// spread does one thing for each account, so many at once.
func spread(b *testing.B, atOnce int, do func(worker, number int) error) {
	b.Helper()
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
}

// byScript gives accounts values with an ldappasswd each.
func byScript(b *testing.B, server *ldaptest.Server) {
	b.Helper()
	for number := range scripted {
		command := exec.CommandContext(b.Context(), "ldappasswd", "-x", "-H", server.URL, "-D", server.BindDN, "-w", server.Password, "-s", "a new value", server.UserDN(number))
		if said, err := command.CombinedOutput(); err != nil {
			b.Fatalf("ldappasswd: %v: %s", err, said)
		}
	}
}
