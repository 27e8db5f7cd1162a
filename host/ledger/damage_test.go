package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
)

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
