package redis_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	backend "github.com/rekey-host/rekey/plugins/redis"
	"github.com/rekey-host/rekey/plugins/redis/redistest"
	"github.com/rekey-host/rekey/sdk"
)

// benched is how many users a round is about.
const benched = 1024

// BenchmarkSet compares the backend with loops written by hand, over as many
// connections as there are operations at once: users/s, and ratios. One loop sends
// a command and takes its answer, and saves once at its end: until then nothing of
// it lasts, which is more than the backend may say of an applied set. The other
// saves after each command, as the backend's promise needs.
func BenchmarkSet(b *testing.B) {
	running := redistest.Start(b, redistest.Options{})
	b.Cleanup(running.Remove)
	var create []string
	for number := range benched {
		create = append(create, fmt.Sprintf("ACL SETUSER bench%d on", number))
	}
	if said, err := running.CLI(create...); err != nil {
		b.Fatal(err, said)
	}
	for _, save := range []string{"acl", "none"} {
		for _, atOnce := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("save %s, %d at once", save, atOnce), func(b *testing.B) {
				instance, conns := open(b, config(running, "save", save)), connections(b, running, atOnce)
				var mine, lasting, hand time.Duration
				for b.Loop() {
					hand += byHand(b, conns, false)
					if save == "acl" {
						hand += saving(b, conns[0])
						lasting += byHand(b, conns, true)
					}
					mine += batches(b, instance, atOnce)
				}
				users := float64(b.N * benched)
				b.ReportMetric(users/hand.Seconds(), "byhand-users/s")
				b.ReportMetric(users/mine.Seconds(), "backend-users/s")
				b.ReportMetric(hand.Seconds()/mine.Seconds(), "ratio")
				if save == "acl" {
					b.ReportMetric(lasting.Seconds()/mine.Seconds(), "ratio-saving-each")
				}
			})
		}
	}
}

func connections(b *testing.B, running *redistest.Server, count int) []redis.Conn {
	b.Helper()
	var conns []redis.Conn
	for range count {
		conn, err := redis.Dial("tcp", running.Address, redis.DialUsername(running.User), redis.DialPassword(running.Password))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		conns = append(conns, conn)
	}
	return conns
}

// byHand is how long the loop takes.
func byHand(b *testing.B, conns []redis.Conn, save bool) time.Duration {
	b.Helper()
	start := time.Now()
	var workers sync.WaitGroup
	for worker, conn := range conns {
		workers.Go(func() {
			for number := worker; number < benched; number += len(conns) {
				sum := sha256.Sum256([]byte("a new value"))
				if _, err := conn.Do("ACL", "SETUSER", fmt.Sprint("bench", number), "resetpass", "#"+hex.EncodeToString(sum[:])); err != nil {
					b.Error(err)
				}
				if save {
					saving(b, conn)
				}
			}
		})
	}
	workers.Wait()
	return time.Since(start)
}

func saving(b *testing.B, conn redis.Conn) time.Duration {
	b.Helper()
	start := time.Now()
	if _, err := conn.Do("ACL", "SAVE"); err != nil {
		b.Error(err)
	}
	return time.Since(start)
}

// batches is how long the backend takes, given batches as its host gives them.
func batches(b *testing.B, instance *backend.Instance, atOnce int) time.Duration {
	b.Helper()
	start := time.Now()
	for first := 0; first < benched; first += atOnce {
		var ops []sdk.Operation
		for number := first; number < first+atOnce; number++ {
			ops = append(ops, set(fmt.Sprint("bench", number), "another value"))
		}
		for _, receipt := range instance.ApplyBatch(b.Context(), ops) {
			if receipt.Outcome != sdk.Applied {
				b.Error(receipt.Err)
			}
		}
	}
	return time.Since(start)
}
