package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
	"github.com/rekey-host/rekey/sdk"
)

// benched is how many accounts a round is about; scripted, how many of them the
// script.
const (
	benched  = 512
	scripted = 4
)

// BenchmarkSet compares the backend with a loop written by hand, one account a
// statement, over the same number of connections to the same server: accounts/s
// of either, and the ratio. The backend is given batches as its host gives them.
// Beside them is what a script does, a mariadb an account, one after the other.
func BenchmarkSet(b *testing.B) {
	running := mysqltest.Start(b, mysqltest.Options{Args: []string{"--general-log=OFF"}})
	b.Cleanup(running.Remove)
	var names []string
	for number := range benched {
		names = append(names, fmt.Sprintf("`bench%d`", number))
	}
	if _, err := running.SQL(b.Context(), "CREATE USER "+strings.Join(names, ", ")); err != nil {
		b.Fatal(err)
	}
	for _, atOnce := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d at once", atOnce), func(b *testing.B) {
			made := config(running)
			made.Concurrency = atOnce
			instance, db := open(b, made), byHand(b, running, min(atOnce, 16))
			reachtest.Race{Accounts: benched, Scripted: scripted, Program: "mariadb",
				Script: func() { byScript(b, running) },
				Hand:   func() { loop(b, db, min(atOnce, 16)) },
				Mine:   func() { batches(b, instance.ApplyBatch, atOnce) },
			}.Run(b)
		})
	}
}

func byHand(b *testing.B, running *mysqltest.Server, connections int) *sql.DB {
	b.Helper()
	config := driver.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr, config.InterpolateParams = running.User, running.Password, "tcp", running.Address, true
	connector, err := driver.NewConnector(config)
	if err != nil {
		b.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// byScript gives accounts values with a mariadb each.
func byScript(b *testing.B, running *mysqltest.Server) {
	b.Helper()
	host, port, _ := strings.Cut(running.Address, ":")
	for number := range scripted {
		command := exec.CommandContext(b.Context(), "mariadb", "--no-defaults", "-h", host, "-P", port, "-u", running.User, "-e", fmt.Sprintf("ALTER USER `bench%d` IDENTIFIED BY 'a new value'", number))
		command.Env = []string{"PATH=" + os.Getenv("PATH"), "MYSQL_PWD=" + running.Password}
		if said, err := command.CombinedOutput(); err != nil {
			b.Fatalf("mariadb: %v: %s", err, said)
		}
	}
}

func loop(b *testing.B, db *sql.DB, atOnce int) {
	b.Helper()
	var workers sync.WaitGroup
	for worker := range atOnce {
		workers.Go(func() {
			for number := worker; number < benched; number += atOnce {
				if _, err := db.Exec(fmt.Sprintf("ALTER USER `bench%d` IDENTIFIED BY 'a new value'", number)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	workers.Wait()
}

// batches gives a backend as many operations at once as its host would.
func batches(b *testing.B, apply func(context.Context, []sdk.Operation) []sdk.Receipt, atOnce int) {
	b.Helper()
	for first := 0; first < benched; first += atOnce {
		var ops []sdk.Operation
		for number := first; number < min(first+atOnce, benched); number++ {
			ops = append(ops, set(fmt.Sprint("bench", number), "another value"))
		}
		for _, receipt := range apply(b.Context(), ops) {
			if receipt.Outcome != sdk.Applied {
				b.Error(receipt.Err)
			}
		}
	}
}
