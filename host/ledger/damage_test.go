package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
)

// TestGapsAreSaidInWords: what is missing of a log is what somebody looks for
// in a backup.
func TestGapsAreSaidInWords(t *testing.T) {
	for _, c := range []struct {
		there []int64
		last  int64
		want  string
	}{
		{[]int64{1, 2, 3}, 3, ""},
		{[]int64{1, 3}, 3, "2"},
		{[]int64{2, 3}, 3, "1"},
		{[]int64{1, 2}, 3, "3"},
		{nil, 40, "1 to 40"},
		{[]int64{3, 10}, 40, "1 to 2, 4 to 9, 11 to 40"},
		{[]int64{2, 4, 6, 8, 10, 12, 14, 16}, 16, "1, 3, 5, 7, 9, 11, 13, 15"},
		{[]int64{2, 4, 6, 8, 10, 12, 14, 16, 18, 20}, 20, "1, 3, 5, 7, 9, 11, 13, 15 and 2 more places"},
	} {
		var g gaps
		for _, n := range c.there {
			g.seen(n)
		}
		g.end(c.last)
		if got := g.String(); got != c.want {
			t.Errorf("of %d there are %v: missing are %q, want %q", c.last, c.there, got, c.want)
		}
	}
}

func TestDamageSaysWhatIsLost(t *testing.T) {
	for _, c := range []struct {
		lost []string
		want string
	}{
		{nil, "nothing of it is lost"},
		{[]string{"its waves", "records 3"}, "what cannot be read: its waves; records 3; the rest is shown"},
	} {
		d := &Damage{Run: "r1", File: "/x/r1.db", Cause: hashlog.ErrFrame, Lost: c.lost}
		if got := d.Error(); !strings.Contains(got, c.want) {
			t.Errorf("Error() = %q, want %q", got, c.want)
		}
	}
}

func TestDamagedIsWhatDoesNotHoldWhatWasWritten(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("run r: %w", hashlog.ErrFrame), true},
		{fmt.Errorf("run r: %w", hashlog.NotAsWritten("x")), true},
		{&Damage{Cause: errors.New("x")}, true},
		{ErrGone, false},
		{fs.ErrPermission, false},
		{errors.New("x"), false},
	} {
		if got := Damaged(c.err); got != c.want {
			t.Errorf("Damaged(%v) = %v", c.err, got)
		}
	}
}
