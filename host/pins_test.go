package host

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/ledger"
)

// TestWhatAConfinedPluginMayUseIsWiderOrNot compares grants before and now.
func TestWhatAConfinedPluginMayUseIsWiderOrNot(t *testing.T) {
	t.Parallel()
	confined := func(grants ...string) ledger.BackendPin { return ledger.BackendPin{Confined: true, Grants: grants} }
	for _, x := range []struct {
		name     string
		old, now ledger.BackendPin
		want     string
	}{
		{"the same", confined("read /a", "write /b", "connect 1"), confined("read /a", "write /b", "connect 1"), ""},
		{"fewer", confined("read /a", "connect 1"), confined("connect 1"), ""},
		{"a port more", confined("connect 1"), confined("connect 1", "connect 11"), "connect 11"},
		{"another path", confined("read /a"), confined("read /ab"), "read /ab"},
		{"below", confined("read /a"), confined("read /a/b"), ""},
		{"above", confined("read /a/b"), confined("read /a"), "read /a"},
		{"beside, by dots", confined("read /a"), confined("read /a/../b"), "read /a/../b"},
		{"reads what it wrote", confined("write /a"), confined("read /a/x"), ""},
		{"writes what it read", confined("read /a"), confined("write /a"), "write /a"},
		{"nothing before", confined(), confined("connect 1", "read /a"), "connect 1, read /a"},
		{"not confined any more", confined("connect 1"), ledger.BackendPin{}, "everything, without --sandbox"},
		{"confined now", ledger.BackendPin{}, confined("connect 1"), ""},
		{"never confined", ledger.BackendPin{}, ledger.BackendPin{}, ""},
	} {
		if got := strings.Join(widened(x.old, x.now), ", "); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
}

// TestChangesOfABackendAreTold is every kind of change of what a run has on
// record, as its message.
func TestChangesOfABackendAreTold(t *testing.T) {
	t.Parallel()
	base := ledger.BackendPin{Name: "ldap", Label: "dir", Version: "1", Digest: "aaaaaaaaaaaaaaaaaaaa", Config: `{"url":"ldap://a","cost":1}`, Reaches: `{"url":"ldap://a"}`}
	with := func(f func(*ledger.BackendPin)) []ledger.BackendPin { p := base; f(&p); return []ledger.BackendPin{p} }
	for _, x := range []struct {
		name  string
		now   []ledger.BackendPin
		moved bool
		want  string
	}{
		{"nothing", []ledger.BackendPin{base}, false, ""},
		{"another beside it", append([]ledger.BackendPin{{Name: "x", Label: "y"}}, base), false, ""},
		{"a setting that is no target", with(func(p *ledger.BackendPin) { p.Config = `{"url":"ldap://a","cost":2}` }), false, ""},
		{"the target", with(func(p *ledger.BackendPin) { p.Reaches, p.Config = `{"url":"ldap://me:secret@b"}`, "" }), true,
			`backend "dir" was ldap(url = "ldap://a"), and is ldap(url = "ldap://me:xxxxx@b") now`},
		{"a plugin that calls more its target", with(func(p *ledger.BackendPin) { p.Reaches = p.Config }), false, ""},
		{"another plugin", with(func(p *ledger.BackendPin) { p.Name, p.Version = "ad", "9" }), true, `and is ad(url = "ldap://a") now`},
		{"the version", with(func(p *ledger.BackendPin) { p.Version, p.Digest = "2", "b" }), false, "it was planned with ldap 1, this is 2"},
		{"the program", with(func(p *ledger.BackendPin) { p.Digest = "bbbbbbbbbbbbbbbbbbbb" }), false, "it was planned with ldap 1 of SHA-256 aaaaaaaaaaaaaaaa…, this is of SHA-256 bbbbbbbbbbbbbbbb…"},
		{"moved out of a file", with(func(p *ledger.BackendPin) { p.Digest = "" }), false, "this is of no SHA-256 on record"},
		{"gone", nil, true, `backend "dir" was ldap(url = "ldap://a"), and the script has none now`},
	} {
		list := changes([]ledger.BackendPin{base}, x.now)
		switch {
		case x.want == "" && len(list) > 0 || x.want != "" && len(list) != 1:
			t.Errorf("%s: %v, want %q", x.name, list, x.want)
		case x.want != "" && (list[0].moved != x.moved || !strings.Contains(list[0].what, x.want)):
			t.Errorf("%s: %+v, want %q, moved %v", x.name, list[0], x.want, x.moved)
		}
	}
}
