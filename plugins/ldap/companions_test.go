package ldap

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
)

// ofBoth are entries that Samba and Linux go by.
func ofBoth(count int) string {
	ldif := ""
	for n := range count {
		ldif += classes(ldaptest.Entry(fmt.Sprint("both", n), people, "first value"), "sambaSamAccount", "posixAccount", "shadowAccount") +
			fmt.Sprintf("\nsambaNTPassword: 0CB6948805F797BF2A82807973B89537\nsambaLMPassword: 01FC5A6BE7BC6929AAD3B435B51404EE\nsambaPwdLastSet: 5\n"+
				"uidNumber: %d\ngidNumber: 1\nhomeDirectory: /x\nshadowLastChange: 15000\nshadowMax: 90\n\n", n)
	}
	return ldif
}

// mayWrite lets the rotator write attributes under ou=people.
func mayWrite(attributes string) []string {
	return []string{`access to dn.subtree="ou=people,dc=rekey,dc=test" attrs=` + attributes + ` by dn.exact="cn=rotator,dc=rekey,dc=test" write by * read`}
}

const sambaAndShadow = "sambaNTPassword,sambaLMPassword,sambaPwdLastSet,shadowLastChange"

func TestNTHashIsTheOneOfWindows(t *testing.T) {
	for value, want := range map[string]string{
		"password": "8846F7EAEE8FB117AD06BDD830B7586C",
		"":         "31D6CFE0D16AE931B73C59D7E0C089C0",
		"SecREt01": "CD06CA7C7E10C99B1D33B7485A2ED808",
	} {
		if got := ntHash(value); got != want {
			t.Errorf("ntHash(%q) = %s, want %s", value, got, want)
		}
	}
}

func TestSambaAndLinuxGetTheNewValueToo(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Global: samba, PPolicy: true, Users: 1, LDIF: ofBoth(4), Before: mayWrite(sambaAndShadow)})
	i := open(t, s, "update_samba", true, "update_shadow", true)
	today := fmt.Sprint(time.Now().Unix() / 86400)
	dn := func(n int) string { return fmt.Sprintf("uid=both%d,%s", n, people) }
	want := func(n int, hash, day string) {
		t.Helper()
		for name, want := range map[string]string{"sambaNTPassword": hash, "sambaLMPassword": "", "shadowLastChange": day} {
			if got := attributeOf(t, s, dn(n), name); got != want {
				t.Errorf("both%d: %s is %q, want %q", n, name, got, want)
			}
		}
	}
	wantReceipt(t, i.Apply(t.Context(), set("both0", "new value é")), "applied")
	want(0, ntHash("new value é"), today)
	if got := attributeOf(t, s, dn(0), "sambaPwdLastSet"); len(got) < 10 {
		t.Errorf("sambaPwdLastSet is %s, want now", got)
	}
	wantReceipt(t, i.Apply(t.Context(), must(set("both1", "new value 1"), true)), "applied")
	want(1, ntHash("new value 1"), "0")
	if got := attributeOf(t, s, dn(1), "sambaPwdLastSet"); got != "0" {
		t.Errorf("sambaPwdLastSet is %s, want a change at the next logon", got)
	}
	r := i.Reset(t.Context(), sdk.Operation{ID: "r", Attempt: 1, Verb: sdk.Reset, Account: "both2"})
	wantReceipt(t, r, "applied")
	want(2, ntHash(r.Value.Reveal()), today)
	wantReceipt(t, i.Apply(t.Context(), change("both3", "first value", "new value 3")), "applied")
	want(3, ntHash("new value 3"), today)
	wantReceipt(t, i.Apply(t.Context(), again(change("both3", "first value", "new value 3"))), "already-applied")
	wantReceipt(t, i.Apply(t.Context(), set("user0", "new value 1")), "applied") // has neither

	hashed := set("both0", userPassword(hashSSHA, "behind the hash"))
	hashed.HashFormat = formatRFC2307
	wantReceipt(t, i.Apply(t.Context(), hashed), "refused Unsupported")
	wantBind(t, s, dn(0), "new value é", true)
	if f := i.Check(t.Context()); len(f) != 0 {
		t.Errorf("Check = %+v, want nothing left behind", f)
	}
}

// A logon proves half of it: where the other half is seen to be another value, the
// value is not proven.
func TestAValueThatSambaDoesNotHaveIsNotProven(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		before := mayWrite(sambaAndShadow)
		if hidden {
			before = []string{strings.Replace(before[0], "write by * read", "=w by * none", 1)}
		}
		s := ldaptest.Start(t, ldaptest.Options{Global: samba, LDIF: ofBoth(1), Users: 1, Before: before})
		i := open(t, s, "update_samba", true)
		wantReceipt(t, i.Apply(t.Context(), set("both0", "new value 1")), "applied")
		wantVerdict(t, i, "both0", "new value 1", sdk.Accepted)
		wantVerdict(t, i, "user0", s.UserPassword(0), sdk.Accepted)
		asRoot(t, s, "uid=both0,"+people, "sambaNTPassword", "0CB6948805F797BF2A82807973B89537")
		verdict, err := i.Verify(t.Context(), "both0", "", set("both0", "new value 1").Value)
		switch {
		case hidden && (verdict != sdk.Accepted || err != nil):
			t.Errorf("a hash that is not seen: %v, %v, want Accepted", verdict, err)
		case !hidden && verdict != sdk.CannotTell:
			t.Errorf("Samba has another value: %v, %v, want CannotTell", verdict, err)
		}
		wantVerdict(t, i, "both0", "not it", sdk.Rejected)
		wantVerdict(t, open(t, s), "both0", "new value 1", sdk.Accepted)
	}
}

// What is refused has changed nothing, in Samba neither.
func TestWhatGoesWithAValueIsRehearsed(t *testing.T) {
	for name, before := range map[string][]string{
		"samba may not be written": mayWrite("shadowLastChange"),
		"the hash may not":         mayWrite("sambaLMPassword,sambaPwdLastSet,shadowLastChange"),
		"shadow may not":           mayWrite("sambaNTPassword,sambaLMPassword,sambaPwdLastSet"),
		"the policy refuses":       mayWrite(sambaAndShadow),
	} {
		s := ldaptest.Start(t, ldaptest.Options{Global: samba, PPolicy: true, LDIF: ofBoth(1), Before: before})
		i := open(t, s, "update_samba", true, "update_shadow", true)
		value, want := "new value 1", "refused PermissionDenied"
		if name == "the policy refuses" {
			value, want = "short", "refused PolicyViolation min_length"
		}
		r := i.Apply(t.Context(), set("both0", value))
		if say(r) != want || want == "refused PermissionDenied" && !strings.Contains(r.Err.Message, "update_s") {
			t.Errorf("%s: %s (%v), want %s", name, say(r), r.Err, want)
		}
		for attribute, want := range map[string]string{"sambaNTPassword": "0CB6948805F797BF2A82807973B89537", "sambaLMPassword": "01FC5A6BE7BC6929AAD3B435B51404EE", "shadowLastChange": "15000"} {
			if got := attributeOf(t, s, "uid=both0,"+people, attribute); got != want {
				t.Errorf("%s: %s is %q, want %q", name, attribute, got, want)
			}
		}
		wantBind(t, s, "uid=both0,"+people, "first value", true)
	}
}

// A refused set leaves no mark.
func TestARefusedSetAsksForNoChange(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true})
	wantReceipt(t, open(t, s).Apply(t.Context(), must(set("user0", "short"), true)), "refused PolicyViolation min_length")
	if got := attributeOf(t, s, s.UserDN(0), "pwdReset"); got != "" {
		t.Errorf("pwdReset is %q after a refusal", got)
	}
}

// A value that is set without what goes with it is not done.
func TestWhatCannotBeFinishedIsInDoubt(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Global: samba, LDIF: ofBoth(1), Before: mayWrite(sambaAndShadow)})
	p := ldaptest.StartProxy(t, s)
	i := open(t, s, "url", p.URL, "update_samba", true)
	wantReceipt(t, i.Apply(t.Context(), set("both0", "value before")), "applied")
	// Three rehearsals and the set pass; the rest is cut, and sent again.
	p.After(4)
	p.Next(ldaptest.CutRequest)
	wantReceipt(t, i.Apply(t.Context(), set("both0", "value after")), "applied")
	if got := attributeOf(t, s, "uid=both0,"+people, "sambaNTPassword"); got != ntHash("value after") {
		t.Errorf("sambaNTPassword is %s, want that of the new value", got)
	}
	wantBind(t, s, "uid=both0,"+people, "value after", true)
	list := []companion{{setting: "update_samba", name: "noSuchAttribute", values: fixed("x")}}
	r := i.writer.companions.finish(t.Context(), "uid=both0,"+people, list, set("both0", "x").Value, sdk.OK())
	if say(r) != "unknown Unsupported" || !strings.Contains(r.Err.Message, "the value is set, and what goes with it is not (update_samba)") {
		t.Errorf("got %s (%v), want doubt", say(r), r.Err)
	}
}

func TestALockIsKeptWhereTheScriptSaysSo(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 4, PPolicy: true})
	i := open(t, s, "keep_lock", true)
	since := time.Now().UTC().Format("20060102150405Z")
	for n, lock := range []string{forGood, since, forGood} {
		asRoot(t, s, s.UserDN(n), "pwdAccountLockedTime", lock)
	}
	for n, lock := range []string{forGood, since} {
		wantReceipt(t, i.Apply(t.Context(), set(fmt.Sprint("user", n), "new value 1")), "applied")
		if got := attributeOf(t, s, s.UserDN(n), "pwdAccountLockedTime"); got != lock {
			t.Errorf("user%d: locked %q, want %q", n, got, lock)
		}
		wantBind(t, s, s.UserDN(n), "new value 1", false)
		wantVerdict(t, i, fmt.Sprint("user", n), "new value 1", sdk.Blocked)
	}
	wantReceipt(t, i.Reset(t.Context(), sdk.Operation{ID: "r", Attempt: 1, Verb: sdk.Reset, Account: "user2"}), "applied")
	if got := attributeOf(t, s, s.UserDN(2), "pwdAccountLockedTime"); got != forGood {
		t.Errorf("user2: locked %q after a reset, want for good", got)
	}
	wantReceipt(t, i.Apply(t.Context(), set("user3", "new value 1")), "applied") // was not locked
	wantBind(t, s, s.UserDN(3), "new value 1", true)
	wantReceipt(t, i.Unlock(t.Context(), sdk.Operation{Verb: sdk.Unlock, Account: "user0"}), "applied")
	wantBind(t, s, s.UserDN(0), "new value 1", true)
	wantReceipt(t, open(t, s).Apply(t.Context(), set("user1", "new value 2")), "applied") // without the setting: see the documentation
	wantBind(t, s, s.UserDN(1), "new value 2", true)
}

// TestALockIsKeptWhereverAnAnswerIsLost: until it is put back nothing is proven of the
// entry, and a later attempt puts back what the first one found.
func TestALockIsKeptWhereverAnAnswerIsLost(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true})
	p := ldaptest.StartProxy(t, s)
	i := open(t, s, "keep_lock", true, "url", p.URL)
	wantReceipt(t, i.Apply(t.Context(), set("user0", "the first value")), "applied") // everything is asked for that is asked once
	lost := 0
	for n := range 12 {
		asRoot(t, s, s.UserDN(0), "pwdAccountLockedTime", forGood)
		op := set("user0", fmt.Sprint("new value ", n))
		op.ID = fmt.Sprint("lost ", n)
		p.After(n)
		p.Next(ldaptest.CutAnswer)
		r := i.Apply(t.Context(), op)
		p.Next(ldaptest.Pass)
		if open := attributeOf(t, s, s.UserDN(0), "pwdAccountLockedTime") == ""; open && r.Outcome != sdk.Unknown {
			t.Errorf("cut after %d requests: %s, and the entry is unlocked", n, say(r))
		}
		if r.Outcome == sdk.Unknown {
			lost++
			if verdict, _ := i.Verify(t.Context(), "user0", "", op.Value); verdict == sdk.Accepted {
				t.Errorf("cut after %d requests: the value is proven, and the entry is unlocked", n)
			}
			op.Attempt = 2
			if again := i.Apply(t.Context(), op); again.Outcome != sdk.Applied && again.Outcome != sdk.AlreadyApplied {
				t.Errorf("cut after %d requests, once more: %s, want applied", n, say(again))
			}
		}
		if got := attributeOf(t, s, s.UserDN(0), "pwdAccountLockedTime"); got != forGood {
			t.Errorf("cut after %d requests: locked %q, want for good", n, got)
		}
	}
	if lost == 0 {
		t.Error("no answer to a set was lost: the test proves nothing")
	}
}
