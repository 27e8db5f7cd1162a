package engine

import (
	"context"
	"fmt"
	"os"
	"runtime"
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

// TestAnAccountBelongsToTheFirst, however many there are and wherever they are
// kept, and nobody is refused for another name.
func TestAnAccountBelongsToTheFirst(t *testing.T) {
	const users = 3 * ownerPiles * ownerPart
	for _, about := range []int64{0, 100, users} {
		dir := t.TempDir()
		o := newOwners(dir, about)
		defer o.close()
		claim := func(user, account int, want int64) {
			owner, mine, err := o.claim("web", fmt.Sprint("user", account), "", int64(user))
			if err != nil || owner != want || mine != (int64(user) == want) {
				t.Fatalf("about %d: user %d claims account %d: of %d, %v, %v; want %d", about, user, account, owner, mine, err, want)
			}
		}
		for user := range users {
			claim(user, user, int64(user))
			if user%1000 == 0 {
				claim(user, user/2, int64(user/2))
			}
		}
		for user := 0; user < users; user += 997 {
			claim(user, user, int64(user))
			claim(user+1, user, int64(user))
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 || !o.piles.InFile() {
			t.Errorf("in a file: %v; its name: %v, %v", o.piles.InFile(), left, err)
		}
	}
}

// TestAClaimIsOfBackendAccountAndKind together.
func TestAClaimIsOfBackendAccountAndKind(t *testing.T) {
	o := newOwners("", 0)
	for user, c := range [][3]string{{"web", "ann", ""}, {"pbx", "ann", ""}, {"web", "bob", ""}, {"web", "ann", "sip"}, {"webann", "", ""}, {"", "webann", ""}} {
		if owner, mine, err := o.claim(c[0], c[1], c[2], int64(user)); !mine || err != nil {
			t.Errorf("%q has the owner %d, %v", c, owner, err)
		}
	}
	if _, mine, err := o.claimIdentity("ann", "", 9); !mine || err != nil {
		t.Errorf("an identity is taken for a name: %v", err)
	}
	if owner, mine, _ := o.claimIdentity("ann", "", 8); mine || owner != 9 {
		t.Errorf("the identity is of %d, want 9", owner)
	}
}

// TestABloomFilterKnowsWhatItWasGiven, and takes little else for it.
func TestABloomFilterKnowsWhatItWasGiven(t *testing.T) {
	const n = 100_000
	o := newOwners("", 0)
	sum := func(i int) uint64 { return o.hash(0, "web", fmt.Sprint(i), "") }
	for _, about := range []int64{0, n} {
		s := bloomFilter{about: about}
		known := 0
		for i := range n {
			if s.add(sum(i)) {
				known++
			}
		}
		for i := range n {
			if !s.add(sum(i)) {
				t.Fatalf("about %d: what was given is not known", about)
			}
		}
		if known > n/200 {
			t.Errorf("about %d: of %d that are new %d were known", about, n, known)
		}
	}
}

// BenchmarkOwners claims an account of each of many users; heap is what is kept.
func BenchmarkOwners(b *testing.B) {
	const users = 2_000_000
	names := make([]string, users)
	for i := range names {
		names[i] = fmt.Sprintf("user%07d", i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var o *owners
	for b.Loop() {
		o = newOwners(b.TempDir(), users)
		for user, name := range names {
			if _, mine, err := o.claim("web", name, "", int64(user)); !mine || err != nil {
				b.Fatal(user, err)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/users, "ns/user")
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/users, "heap-B/user")
	runtime.KeepAlive(names)
	o.close()
}
