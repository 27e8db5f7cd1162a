package journal

import "testing"

func TestTwoPinsReachTheSameAccounts(t *testing.T) {
	pin := func(name, config, reaches string) BackendPin {
		return BackendPin{Name: name, Label: "x", Config: config, Reaches: reaches}
	}
	was := pin("ldap", `{"bind":"a","url":"u"}`, `{"url":"u"}`)
	for _, c := range []struct {
		name string
		is   BackendPin
		want bool
	}{
		{"as it was", was, true},
		{"under another label", BackendPin{Name: was.Name, Label: "y", Config: was.Config, Reaches: was.Reaches}, true},
		{"another version", BackendPin{Name: was.Name, Version: "2", Digest: "d", Config: was.Config, Reaches: was.Reaches}, true},
		{"with another setting that does not matter", pin("ldap", `{"bind":"b","url":"u"}`, `{"url":"u"}`), true},
		{"another system", pin("ldap", `{"bind":"a","url":"v"}`, `{"url":"v"}`), false},
		{"another plugin", pin("ad", was.Config, was.Reaches), false},
		{"all the same settings, and more of them matter", pin("ldap", was.Config, `{"bind":"a","url":"u"}`), true},
		{"all the same settings, and none of them matter", pin("ldap", was.Config, ""), true},
		{"other settings, and others of them matter", pin("ldap", `{"bind":"b","url":"u"}`, `{"bind":"b"}`), false},
		{"another plugin with the same settings", pin("ad", was.Config, `{"bind":"a","url":"u"}`), false},
		{"the same settings, of which one is a path that leads elsewhere", pin("ldap", was.Config, `{"url":"v"}`), false},
	} {
		if got, back := was.SameTarget(c.is), c.is.SameTarget(was); got != c.want || back != c.want {
			t.Errorf("%s: %v, the other way round %v; want %v", c.name, got, back, c.want)
		}
	}
}

func TestATargetIsToldByTheSettingsWhereNothingElseSays(t *testing.T) {
	one, other := BackendPin{Name: "ldap", Config: "1"}, BackendPin{Name: "ldap", Config: "2"}
	if one.Target() != "ldap 1" || one.SameTarget(other) {
		t.Errorf("%q and %q", one.Target(), other.Target())
	}
	one.Reaches = "r"
	if one.Target() != "ldap r" {
		t.Errorf("%q", one.Target())
	}
}

// TestPinsAreEqualOnlyInEveryRespect.
func TestPinsAreEqualOnlyInEveryRespect(t *testing.T) {
	whole := func() BackendPin {
		return BackendPin{Name: "n", Label: "l", Version: "v", Digest: "d", Config: "c", Reaches: "r",
			There: []string{"t"}, Absent: []string{"a"}, Confined: true, Grants: []string{"g"}}
	}
	if !whole().Equal(whole()) || !(BackendPin{Grants: []string{}}).Equal(BackendPin{There: []string{}}) {
		t.Error("the same pins are not equal")
	}
	for name, change := range map[string]func(*BackendPin){
		"name":     func(p *BackendPin) { p.Name = "x" },
		"label":    func(p *BackendPin) { p.Label = "x" },
		"version":  func(p *BackendPin) { p.Version = "x" },
		"digest":   func(p *BackendPin) { p.Digest = "x" },
		"config":   func(p *BackendPin) { p.Config = "x" },
		"reaches":  func(p *BackendPin) { p.Reaches = "x" },
		"there":    func(p *BackendPin) { p.There = []string{"x"} },
		"absent":   func(p *BackendPin) { p.Absent = nil },
		"confined": func(p *BackendPin) { p.Confined = false },
		"grants":   func(p *BackendPin) { p.Grants = append(p.Grants, "x") },
	} {
		is := whole()
		if change(&is); is.Equal(whole()) || whole().Equal(is) {
			t.Errorf("pins that differ in %s are equal", name)
		}
	}
}
