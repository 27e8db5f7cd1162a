package command_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/plugins/command/kerberostest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// share is how much of something that takes long is done: all of it by make faults.
func share(few, all int) int {
	if os.Getenv("REKEY_FAULTS") == "full" {
		return all
	}
	return few
}

// together calls do for each number, eight at once.
func together(count int, do func(n int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for n := int(next.Add(1) - 1); n < count; n = int(next.Add(1) - 1) {
				do(n)
			}
		})
	}
	workers.Wait()
}

// TestThousandsOfPrincipals have a value of their own each, with which kinit logs in;
// those that have to change it are asked, those that are locked are let in again, and
// the list has all of them.
func TestThousandsOfPrincipals(t *testing.T) {
	count := share(48, 2000)
	var names []string
	for n := range count {
		names = append(names, fmt.Sprint("user", n))
	}
	kdc := kerberostest.Start(t, names...)
	kdc.Admin(t, "modify_policy -maxfailure 1 staff\n")
	i := open(t, kerberos(kdc)...)
	value := func(n int) string { return fmt.Sprintf("Value-%d-%d", n, n*n) }
	var rejected atomic.Int64
	together(count, func(n int) {
		if r := i.Apply(t.Context(), set(names[n], value(n))); r.Outcome != sdk.Applied {
			t.Errorf("%s: %v", names[n], r.Err)
		}
	})
	var must strings.Builder
	for n := range count {
		if n%8 == 1 {
			fmt.Fprintf(&must, "modify_principal +needchange user%d\n", n)
		}
	}
	kdc.Admin(t, must.String())
	together(count, func(n int) {
		want, right := sdk.Accepted, value(n)
		switch n % 8 {
		case 1:
			want = sdk.AcceptedMustChange
		case 2: // one wrong logon locks it
			if kdc.Login(t, names[n], "wrong") || kdc.Login(t, names[n], right) {
				t.Errorf("%s is not locked", names[n])
			}
			wantVerdict(t, i, names[n], right, sdk.Blocked)
			if r := i.Unlock(t.Context(), sdk.Operation{Verb: sdk.Unlock, Account: names[n]}); r.Outcome != sdk.Applied {
				t.Errorf("unlock of %s: %v", names[n], r.Err)
			}
		case 3:
			wantVerdict(t, i, names[n], right+"x", sdk.Rejected)
			rejected.Add(1)
			return
		}
		wantVerdict(t, i, names[n], right, want)
		if want == sdk.Accepted && !kdc.Login(t, names[n], right) {
			t.Errorf("%s: kinit does not log in", names[n])
		}
	})
	listed := 0
	if err := i.List(t.Context(), "user*1", nil, func(sdk.Account) error { listed++; return nil }); err != nil || listed != (count+8)/10 {
		t.Errorf("%d of %d are listed by a filter, %v", listed, count, err)
	}
	t.Logf("counts: command: %d principals, %d of them tried with a wrong value", count, rejected.Load())
}

// TestHostileNamesWithHostileValues: of each pair only the named account changes, or
// neither.
func TestHostileNamesWithHostileValues(t *testing.T) {
	image := newImage(t, "ann:*", "other:*")
	values := image.values()
	values["min_length"] = int64(1)
	var settings []any
	for name, value := range values {
		settings = append(settings, name, value)
	}
	i := open(t, settings...)
	each := share(2, len(hostile))
	together(len(hostile)*each, func(n int) {
		name, value := hostile[n/each], hostile[(n/each*7+n%each)%len(hostile)]
		r := i.Apply(t.Context(), sdk.Operation{ID: fmt.Sprint(n), Attempt: 1, Verb: sdk.Set, Account: name, Value: secret.New(value)})
		if r.Outcome != sdk.Refused || r.Err.Code != sdk.AccountNotFound && r.Err.Code != sdk.InvalidOperation && r.Err.Code != sdk.PolicyViolation {
			t.Errorf("account %q, value %q: %v %v", name, value, r.Outcome, r.Err)
		}
	})
	if image.hash("ann") != "*" || image.hash("other") != "*" {
		t.Error("an account changed that was not named")
	}
	t.Logf("counts: command: %d pairs of hostile names and values", len(hostile)*each)
}
