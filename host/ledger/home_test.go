package ledger

import "testing"

func TestWhoAppliedARunLastIsToldAsFarAsItIsKnown(t *testing.T) {
	for _, c := range []struct {
		by   Applier
		want string
	}{
		{Applier{At: 1_767_225_600_000_000}, "it was last planned at 2026-01-01T00:00:00Z"},
		{Applier{At: 1_767_225_600_000_000, Began: true}, "it was last applied at 2026-01-01T00:00:00Z"},
		{Applier{At: 1_767_225_600_000_000, Began: true, OSUser: "ann"}, "it was last applied at 2026-01-01T00:00:00Z by ann"},
		{Applier{At: 1_767_225_600_000_000, Began: true, Host: "h"}, "it was last applied at 2026-01-01T00:00:00Z on host h"},
		{Applier{At: 1_767_225_600_000_000, OSUser: "ann", Host: "h"}, "it was last planned at 2026-01-01T00:00:00Z by ann on host h"},
	} {
		if got := c.by.String(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.by, got, c.want)
		}
	}
}
