package engine

import (
	"context"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
)

// oneAccount is a rotate that names an account of its own for each user.
func oneAccount(names map[string]string) script {
	return func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		v, err := s.Generate(ctx, GenerateStep{})
		if err != nil {
			return *must(journal.Result{}, err)
		}
		if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "web", Account: names[row.Key], Value: v})); bad != nil {
			return *bad
		}
		return journal.Verdict{}
	}
}

func TestTwoSpellingsOfAnAccountAreOne(t *testing.T) {
	for _, c := range []struct{ name, a, b string }{
		{"case", "ann", "ANN"},
		{"composition", "rené", "rene\u0301"},
		{"sharp s", "straße", "STRASSE"},
		{"sigmas", "σς", "ΣΣ"},
		{"ligature", "\ufb01", "FI"},
		{"full width", "ａｎｎ", "ann"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(2)
			x := newTarget(t, b)
			if _, err := Apply(t.Context(), jobOf(b, oneAccount(map[string]string{"user1": c.a, "user2": c.b}), x.backend("web"))); err != nil {
				t.Fatal(err)
			}
			done, refused := 0, 0
			for pos := int64(1); pos <= 2; pos++ {
				switch r := b.finished(pos); {
				case r.Code == journal.DuplicateAccount:
					refused++
				case r.Code == "":
					done++
				}
			}
			if done != 1 || refused != 1 || x.n != 1 {
				t.Errorf("%d done, %d refused as DuplicateAccount, %d sent; want one of each", done, refused, x.n)
			}
		})
	}
}
