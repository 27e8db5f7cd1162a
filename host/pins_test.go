package host

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
)

// TestWhatAConfinedPluginMayUseIsWiderOrNot compares grants before and now.
func TestWhatAConfinedPluginMayUseIsWiderOrNot(t *testing.T) {
	t.Parallel()
	confined := func(grants ...string) journal.BackendPin { return journal.BackendPin{Confined: true, Grants: grants} }
	for _, x := range []struct {
		name     string
		old, now journal.BackendPin
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
		{"not confined any more", confined("connect 1"), journal.BackendPin{}, "everything, without --sandbox"},
		{"confined now", journal.BackendPin{}, confined("connect 1"), ""},
		{"never confined", journal.BackendPin{}, journal.BackendPin{}, ""},
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
	base := journal.BackendPin{Name: "ldap", Label: "dir", Version: "1", Digest: "aaaaaaaaaaaaaaaaaaaa", Config: `{"url":"ldap://a","cost":1}`, Reaches: `{"url":"ldap://a"}`}
	with := func(f func(*journal.BackendPin)) []journal.BackendPin {
		p := base
		f(&p)
		return []journal.BackendPin{p}
	}
	for _, x := range []struct {
		name  string
		now   []journal.BackendPin
		moved bool
		want  string
	}{
		{"nothing", []journal.BackendPin{base}, false, ""},
		{"another beside it", append([]journal.BackendPin{{Name: "x", Label: "y"}}, base), false, ""},
		{"a setting that is no target", with(func(p *journal.BackendPin) { p.Config = `{"url":"ldap://a","cost":2}` }), false, ""},
		{"the target", with(func(p *journal.BackendPin) { p.Reaches, p.Config = `{"url":"ldap://me:secret@b"}`, "" }), true,
			`backend "dir" was ldap(url = "ldap://a"), and is ldap(url = "ldap://me:xxxxx@b") now`},
		{"a plugin that calls more its target", with(func(p *journal.BackendPin) { p.Reaches = p.Config }), false, ""},
		{"another plugin", with(func(p *journal.BackendPin) { p.Name, p.Version = "ad", "9" }), true, `and is ad(url = "ldap://a") now`},
		{"the version", with(func(p *journal.BackendPin) { p.Version, p.Digest = "2", "b" }), false, "it was planned with ldap 1, this is 2"},
		{"the program", with(func(p *journal.BackendPin) { p.Digest = "bbbbbbbbbbbbbbbbbbbb" }), false, "it was planned with ldap 1 of SHA-256 aaaaaaaaaaaaaaaa…, this is of SHA-256 bbbbbbbbbbbbbbbb…"},
		{"moved out of a file", with(func(p *journal.BackendPin) { p.Digest = "" }), false, "this is of no SHA-256 on record"},
		{"gone", nil, true, `backend "dir" was ldap(url = "ldap://a"), and the script has none now`},
	} {
		list := changes([]journal.BackendPin{base}, x.now)
		switch {
		case x.want == "" && len(list) > 0 || x.want != "" && len(list) != 1:
			t.Errorf("%s: %v, want %q", x.name, list, x.want)
		case x.want != "" && (list[0].moved != x.moved || !strings.Contains(list[0].what, x.want)):
			t.Errorf("%s: %+v, want %q, moved %v", x.name, list[0], x.want, x.moved)
		}
	}
}
