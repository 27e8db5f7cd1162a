package main_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// directory is a real slapd with accounts, and a place to rotate them from.
type directory struct {
	*ldaptest.Server
	*place
	logins []string
	dn     map[string]string
	now    map[string]string // the value that each login has
}

// newDirectory starts a server; the file users.csv names its accounts.
func newDirectory(t *testing.T, o ldaptest.Options) *directory {
	t.Helper()
	s := ldaptest.Start(t, o)
	d := &directory{Server: s, place: newPlace(t, "LDAP_BIND_PASSWORD="+s.Password), dn: map[string]string{}, now: map[string]string{}}
	for n := range o.Users {
		d.has(fmt.Sprint("user", n), s.UserDN(n), s.UserPassword(n))
	}
	d.list()
	return d
}

// has notes an account.
func (d *directory) has(login, dn, password string) {
	d.logins = append(d.logins, login)
	d.dn[login], d.now[login] = dn, password
}

// list writes users.csv.
func (d *directory) list() {
	d.write("users.csv", "login\n"+strings.Join(d.logins, "\n")+"\n")
}

// rotate are the arguments of a run of the shipped script.
func (d *directory) rotate(more ...string) []string {
	return append(append([]string{"run", "@rekey/rotate.star", "url=" + d.URL, "base_dn=" + d.BaseDN, "bind_dn=" + d.BindDN, "users=users.csv"}, more...), "--yes")
}

// binds reports which of the values, by login, the server accepts: an entry a
// login that it does.
func (d *directory) binds(values map[string]string) map[string]bool {
	var mu sync.Mutex
	accepted := map[string]bool{}
	var workers sync.WaitGroup
	logins := make(chan string)
	for range 4 {
		workers.Go(func() {
			for login := range logins {
				if d.Bind(d.dn[login], values[login]) == nil {
					mu.Lock()
					accepted[login] = true
					mu.Unlock()
				}
			}
		})
	}
	for login, value := range values {
		if value != "" { // a logon without a value is one as nobody
			logins <- login
		}
	}
	close(logins)
	workers.Wait()
	return accepted
}

// passwords reads the report of the shipped script.
func (d *directory) passwords() map[string]string {
	d.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(d.read("passwords.csv"))).ReadAll()
	if err != nil {
		d.t.Fatal(err)
	}
	if strings.Join(rows[0], ",") != "login,password" {
		d.t.Fatalf("header %q", rows[0])
	}
	found := map[string]string{}
	for n, r := range rows[1:] {
		if r[0] != d.logins[n] {
			d.t.Fatalf("line %d is %q, want %q: the order of the file", n+2, r[0], d.logins[n])
		}
		found[r[0]] = r[1]
	}
	return found
}

// candidate is one value of rekey reveal.
type candidate struct{ Key, Account, State, Form, Password string }

// revealed are the values that the ledger holds, newest first, by login.
func (p *place) revealed(run string) map[string][]candidate {
	p.t.Helper()
	var all []candidate
	if err := json.Unmarshal([]byte(p.must(0, "reveal", run, "--json").stdout), &all); err != nil {
		p.t.Fatal(err)
	}
	found := map[string][]candidate{}
	for _, c := range all {
		found[c.Key] = append(found[c.Key], c)
	}
	return found
}

// row is one line of rekey report --format jsonl.
type row struct {
	Key, Status, Code string
	Attempts          int
	Steps             []struct {
		Step, Outcome string
		Attempt       int
	}
}

// rows are what became of each login; one that is there twice, or not at all,
// fails the test.
func (d *directory) rows(run string) map[string]row {
	d.t.Helper()
	found := d.reported(run)
	for _, login := range d.logins {
		if found[login].Status == "" {
			d.t.Errorf("%s has no status", login)
		}
	}
	return found
}

// reported are the lines of rekey report, by key; one that is there twice fails
// the test.
func (p *place) reported(run string) map[string]row {
	p.t.Helper()
	found := map[string]row{}
	for line := range strings.Lines(p.must(0, "report", run, "--format", "jsonl", "--out", "-").stdout) {
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			p.t.Fatalf("%v: %q", err, line)
		}
		if _, twice := found[r.Key]; twice {
			p.t.Errorf("%s is there twice", r.Key)
		}
		found[r.Key] = r
	}
	return found
}

// wantRotated wants every login to have the value that the report says, and
// none that it had before. It notes the new ones.
func (d *directory) wantRotated(logins []string) {
	d.t.Helper()
	reported, values := d.passwords(), map[string]string{}
	for _, login := range logins {
		values[login] = reported[login]
	}
	works := d.binds(values)
	before := map[string]string{}
	for _, login := range logins {
		if !works[login] {
			d.t.Errorf("%s: the server does not accept the reported password", login)
		}
		before[login] = d.now[login]
		d.now[login] = values[login]
	}
	for login := range d.binds(before) {
		d.t.Errorf("%s: the old password still works", login)
	}
}

func TestSlapdRotateGivesEveryAccountANewPasswordInWaves(t *testing.T) {
	d := newDirectory(t, ldaptest.Options{Users: 2000, Sync: true, PPolicy: true})
	o := d.outcome(0, d.rotate()...)
	if o.Status != "finished" || o.Counts["done"] != 2000 {
		t.Fatalf("got %+v", o)
	}
	var waves []string
	for _, w := range o.Waves {
		waves = append(waves, fmt.Sprint(w.Name, " ", w.Counts["done"]))
	}
	if want := []string{"first 10", "second 100", "rest 1890"}; !slices.Equal(waves, want) {
		t.Errorf("waves %q, want %q", waves, want)
	}
	d.wantRotated(d.logins)
	for login, values := range d.revealed("last") {
		if len(values) != 1 || values[0].State != "applied" || values[0].Password != d.now[login] {
			t.Fatalf("%s: revealed are %d values, want the reported one", login, len(values))
		}
	}
}

// What the directory's administrator has to put right before a retry: accounts
// that do not exist, and accounts that the rotator may not write.
const missing, denied = 37, 12

// writers is who may write under ou=denied: a group, so that a right can be
// given without a restart.
const (
	writers    = "cn=writers,dc=rekey,dc=test"
	writeGroup = `access to dn.subtree="ou=denied,dc=rekey,dc=test" attrs=userPassword by group/groupOfNames/member="` + writers + `" write by anonymous auth by * none`
)

func TestSlapdWaveThatFailsStopsAndResumeAndRetryFinish(t *testing.T) {
	ldif := "dn: " + writers + "\nobjectClass: groupOfNames\ncn: writers\nmember: cn=nobody,dc=rekey,dc=test\n\n"
	for n := range denied {
		ldif += ldaptest.Entry(fmt.Sprint("guarded", n), "ou=denied,dc=rekey,dc=test", fmt.Sprint("guarded-password-", n)) + "\n\n"
	}
	d := newDirectory(t, ldaptest.Options{Users: 2000, LDIF: ldif, Before: []string{writeGroup}})
	good := slices.Clone(d.logins)
	for n := range denied {
		login := fmt.Sprint("guarded", n)
		d.has(login, "uid="+login+",ou=denied,"+d.BaseDN, fmt.Sprint("guarded-password-", n))
	}
	for n := range missing {
		login := fmt.Sprint("missing", n)
		d.has(login, "uid="+login+",ou=people,"+d.BaseDN, "")
	}
	// The first waves are fine; the bad ones are anywhere in the last.
	rest := d.logins[110:]
	rand.Shuffle(len(rest), func(a, b int) { rest[a], rest[b] = rest[b], rest[a] })
	d.list()

	o := d.outcome(4, d.rotate("max_failures=1")...) // of 1,939: 19
	if o.Status != "stopped" || o.Counts["failed"] < 20 || o.Counts["failed"] > 20+16 || o.Counts["pending"] == 0 {
		t.Errorf("got %+v, want a stop soon after 20 failures", o)
	}
	stops := 1
	for ; o.ExitCode == 4 && stops < 5; stops++ {
		r := d.rekey("resume", "last", "--yes", "--json", "--over-threshold")
		if err := json.Unmarshal([]byte(r.stdout), &o); err != nil {
			t.Fatalf("%v\n%s%s", err, r.stdout, r.stderr)
		}
	}
	if o.ExitCode != 3 || o.Counts["done"] != 2000 || o.Counts["failed"] != missing+denied {
		t.Fatalf("after %d resumes: %+v", stops-1, o)
	}
	d.wantFailed(map[string]string{"missing": "AccountNotFound", "guarded": "PermissionDenied"})
	d.wantRotated(good)
	if still := d.binds(map[string]string{"guarded0": "guarded-password-0"}); !still["guarded0"] {
		t.Error("the password of a guarded account is not what it was")
	}

	d.repair()
	o = d.outcome(0, "retry", "last", "--yes")
	if o.Status != "finished" || o.Counts["done"] != int64(len(d.logins)) {
		t.Errorf("after the retry: %+v", o)
	}
	reported := d.passwords()
	for _, login := range good {
		if reported[login] != d.now[login] {
			t.Fatalf("%s: the retry gave it another password", login)
		}
	}
	d.wantRotated(slices.DeleteFunc(slices.Clone(d.logins), func(l string) bool { return slices.Contains(good, l) }))
}

// wantFailed wants the logins that begin so to have failed with the code, and
// no others.
func (d *directory) wantFailed(codes map[string]string) {
	d.t.Helper()
	for login, r := range d.rows("last") {
		want := codes[strings.TrimRight(login, "0123456789")]
		if r.Code != want || (r.Status == "failed") != (want != "") {
			d.t.Errorf("%s: %s %s, want %q", login, r.Status, r.Code, want)
		}
	}
}

// repair is the administrator's work: the missing are created, the right given.
func (d *directory) repair() {
	d.t.Helper()
	c, err := d.Root()
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	for n := range missing {
		login := fmt.Sprint("missing", n)
		add := goldap.NewAddRequest(d.dn[login], nil)
		add.Attribute("objectClass", []string{"inetOrgPerson"})
		for _, name := range []string{"uid", "cn", "sn"} {
			add.Attribute(name, []string{login})
		}
		if err := c.Add(add); err != nil {
			d.t.Fatal(err)
		}
	}
	grant := goldap.NewModifyRequest(writers, nil)
	grant.Add("member", []string{d.BindDN})
	if err := c.Modify(grant); err != nil {
		d.t.Fatal(err)
	}
}

func TestSlapdRotateTakesEveryTransportAndAFilter(t *testing.T) {
	d := newDirectory(t, ldaptest.Options{Users: 20, TLS: true})
	for name, params := range map[string][]string{
		"ldaps":     {"url=" + d.TLSURL, "ca_file=" + d.CAFile},
		"start_tls": {"url=" + d.URL, "start_tls=true", "ca_file=" + d.CAFile},
		"ldapi":     {"url=" + d.Socket},
		"a filter":  {"url=" + d.URL, "filter=(uid=user*)", "users=none.csv"},
	} {
		args := append([]string{"run", "@rekey/rotate.star", "base_dn=" + d.BaseDN, "bind_dn=" + d.BindDN, "--yes", "--new"}, params...)
		if o := d.outcome(0, args...); o.Counts["done"] != 20 {
			t.Fatalf("%s: %+v", name, o)
		}
		d.wantRotated(d.logins)
	}
}

func TestSlapdRotateRefusesWhatCannotWork(t *testing.T) {
	d := newDirectory(t, ldaptest.Options{Users: 3, TLS: true})
	other := newPlace(t, "LDAP_BIND_PASSWORD=wrong")
	other.write("users.csv", "login\nuser0\n")
	base := "base_dn=" + d.BaseDN
	for _, tt := range []struct {
		name   string
		place  *place
		params []string
		want   string
	}{
		{"in clear to another machine", d.place, []string{"url=ldap://ds.example", base}, "InsecureTransport"},
		{"an authority that nobody trusts", d.place, []string{"url=" + d.TLSURL, base}, "ca_file"},
		{"a wrong password", other, []string{"url=" + d.URL, base}, "refuses the logon"},
		{"nobody there", d.place, []string{"url=ldap://127.0.0.1:1", base}, "connection refused"},
		{"a base that is not there", d.place, []string{"url=" + d.URL, "base_dn=ou=none," + d.BaseDN}, "does not exist"},
	} {
		args := append([]string{"run", "@rekey/rotate.star", "bind_dn=" + d.BindDN, "--yes"}, tt.params...)
		if r := tt.place.must(2, args...); !strings.Contains(r.stderr, tt.want) {
			t.Errorf("%s: %s, want %q", tt.name, r.stderr, tt.want)
		}
	}
	if r := d.must(0, "runs"); strings.Contains(r.stdout, "rotate") {
		t.Errorf("runs are left: %s", r.stdout)
	}
	if works := d.binds(d.now); len(works) != 3 {
		t.Errorf("%d of 3 old passwords work", len(works))
	}
}
