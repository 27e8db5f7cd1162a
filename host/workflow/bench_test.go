package workflow

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// instant answers every step at once.
type instant struct{ value *journal.Value }

func (i instant) Generate(context.Context, engine.GenerateStep) (*journal.Value, error) {
	return i.value, nil
}

func (instant) Do(context.Context, journal.Step) (journal.Result, error) {
	return journal.Result{Outcome: sdk.Applied}, nil
}

// BenchmarkRotate is what a script costs a user, without the rest of the
// pipeline: one hook of two steps, the same without a hook, and a saga.
func BenchmarkRotate(b *testing.B) {
	for _, bb := range []struct{ name, text string }{
		{"standard", "workflow(users = users, backend = directory)"},
		{"hook", "workflow(users = users, rotate = lambda user, step: step.set(directory, user.login, step.generate()))"},
		{"saga", saga},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := staff(b, bb.text)
			row := rowsOf(b, w)[0]
			steps := instant{journal.Given(secret.New("value"))}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if v := w.rotate(context.Background(), row, steps); v.Kind != journal.Returned {
						b.Error(said(v))
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "users/s")
		})
	}
}

// BenchmarkPlan is what reading, select and wave cost a user of a CSV file.
func BenchmarkPlan(b *testing.B) {
	const users = 20_000
	var text strings.Builder
	text.WriteString("login,temporary,team,age\n")
	for i := range users {
		fmt.Fprintf(&text, "user%06d,temporary%06d,%s,%d\n", i, i, []string{"it-ops", "sales", "payroll"}[i%3], i%90)
	}
	w := mustLoad(b, script(b, `workflow(users = csv("u.csv", key = "login", types = {"age": "int"}, secrets = ["temporary"]), backend = backend("memory"),
    select = lambda u: skip("frozen") if u.team == "payroll" else u.age > 3, wave = lambda u: "canary" if u.team == "it-ops" else "all", waves = {"canary": wave_rule(), "all": wave_rule()})`, "u.csv", text.String()))
	ctx := context.Background()
	for b.Loop() {
		err := w.Users.Rows(ctx, func(row source.Row) error {
			if due, _, err := w.Select(ctx, row); !due {
				return err
			}
			_, err := w.Wave(ctx, row)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*users/b.Elapsed().Seconds(), "users/s")
}

// BenchmarkReportRow is what a row function costs.
func BenchmarkReportRow(b *testing.B) {
	w := staff(b, `workflow(users = users, backend = target, reports = [report.csv("p.csv", row = lambda r: {"login": r.user.login, "status": r.status, "password": r.password})])`)
	r := outcome(rowsOf(b, w)[0])
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := w.ReportRow(context.Background(), 0, r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad is the part of rekey check that is not a process's start.
func BenchmarkLoad(b *testing.B) {
	fuzz := newFuzzed(b)
	for b.Loop() {
		w, err := fuzz.load(grownUp, false)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
