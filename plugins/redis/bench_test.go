package redis_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/rekey-host/rekey/plugins/redis/redistest"
	"github.com/rekey-host/rekey/sdk"
)

// benched is how many users a round is about.
const benched = 1024

// BenchmarkSet compares the backend with a loop written by hand, one command and
// its answer after the other, and one save at the end: users/s of either, and
// the ratio. The backend saves with every batch, as its promise needs.
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
	conn, err := redis.Dial("tcp", running.Address, redis.DialUsername(running.User), redis.DialPassword(running.Password))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	for _, save := range []string{"acl", "none"} {
		b.Run("save "+save, func(b *testing.B) {
			instance := open(b, config(running, "save", save))
			var mine, hand time.Duration
			for b.Loop() {
				hand += byHand(b, conn, save == "acl")
				start := time.Now()
				for first := 0; first < benched; first += 128 {
					var ops []sdk.Operation
					for number := first; number < first+128; number++ {
						ops = append(ops, set(fmt.Sprint("bench", number), "another value"))
					}
					for _, receipt := range instance.ApplyBatch(b.Context(), ops) {
						if receipt.Outcome != sdk.Applied {
							b.Error(receipt.Err)
						}
					}
				}
				mine += time.Since(start)
			}
			users := float64(b.N * benched)
			b.ReportMetric(users/hand.Seconds(), "byhand-users/s")
			b.ReportMetric(users/mine.Seconds(), "backend-users/s")
			b.ReportMetric(hand.Seconds()/mine.Seconds(), "ratio")
		})
	}
}

func byHand(b *testing.B, conn redis.Conn, save bool) time.Duration {
	b.Helper()
	start := time.Now()
	for number := range benched {
		sum := sha256.Sum256([]byte("a new value"))
		if _, err := conn.Do("ACL", "SETUSER", fmt.Sprint("bench", number), "resetpass", "#"+hex.EncodeToString(sum[:])); err != nil {
			b.Fatal(err)
		}
	}
	if save {
		if _, err := conn.Do("ACL", "SAVE"); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}
