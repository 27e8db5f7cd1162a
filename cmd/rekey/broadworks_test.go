package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var odinParams = []string{"url=http://127.0.0.1:1/api/v2", "user=admin", "provider=Acme", "group=Sales"}

func TestBroadworksScriptTakesUsersFromAListOrAFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.txt"), []byte("zoe@acme.example\nann@acme.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{"users=zoe@acme.example, ann@acme.example", "file=users.txt"} {
		w, err := loadShipped(t, dir, "broadworks_bulk_reset.star", append(odinParams, "kind=SIP", given)...)
		if err != nil {
			t.Fatal(err)
		}
		if got := keysOf(t, w); !slices.Equal(got, []string{"zoe@acme.example", "ann@acme.example"}) {
			t.Errorf("%s: users %q, want the order of the input", given, got)
		}
	}
	for _, given := range [][]string{{"kind=WEB", "users="}, {"kind=Vm"}} {
		w, err := loadShipped(t, dir, "broadworks_bulk_reset.star", append(given, odinParams...)...)
		if err != nil || w.Users.Name() != "accounts of broadworks" {
			t.Errorf("%s: got %v, want the whole group", given, err)
		}
	}
	if _, err := loadShipped(t, dir, "broadworks_bulk_reset.star", append(odinParams, "kind=SIP", "users=a", "file=users.txt")...); err == nil || !strings.Contains(err.Error(), "leave one of them out") {
		t.Errorf("both: got %v", err)
	}
}

func TestBroadworksScriptKnowsItsKindsInAnyCase(t *testing.T) {
	for _, kind := range []string{"SIP", "sip", "VM", "vm", "Vm", "voicemail", "Voicemail", "WEB", "Web"} {
		if _, err := loadShipped(t, t.TempDir(), "broadworks_bulk_reset.star", append(odinParams, "kind="+kind)...); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	_, err := loadShipped(t, t.TempDir(), "broadworks_bulk_reset.star", append(odinParams, "kind=FAX")...)
	for _, name := range []string{"sip", "voicemail", "web"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("FAX: got %v, want the three kinds", err)
		}
	}
}
