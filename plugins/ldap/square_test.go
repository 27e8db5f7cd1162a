package ldap

import (
	"os"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// firstValue is what hostile accounts have at first.
const firstValue = "First value 1"

// share is how much of something that takes long is done: all of it by make faults.
func share(few, all int) int {
	if os.Getenv("REKEY_FAULTS") == "full" {
		return all
	}
	return few
}

// square is a server whose accounts have the names of hostile.
type square struct {
	sdk.Instance
	accounts []string
	dn       func(number int) string      // of an account
	bind     func(dn, value string) error // by another client
	refused  map[string]string            // values that the server does not take, and the answer
}

// test sets each value to an account and each account to a value, and after each
// round has all of them log on: none got another's. make faults goes through
// all values with all accounts.
func (s square) test(t *testing.T) {
	t.Helper()
	rounds, held := share(1, len(hostileValues)), map[string]string{}
	sets := 0
	for round := range rounds {
		for number, account := range s.accounts {
			value := hostileValues[(number+round)%len(hostileValues)]
			want, refused := s.refused[value]
			switch {
			case value == withNUL:
				want = "refused PolicyViolation forbidden_characters"
			case !refused:
				want, held[account] = "applied", value
			}
			if r := s.Apply(t.Context(), set(account, value)); !strings.HasPrefix(say(r), want) {
				t.Errorf("%q, %q: %s (%v), want %s", account, value, say(r), r.Err, want)
			}
			sets++
		}
		for number, account := range s.accounts {
			value, ok := held[account]
			if !ok {
				value = firstValue
			}
			if err := s.bind(s.dn(number), value); err != nil {
				t.Errorf("%q: %q does not log on: %v", account, value, err)
			}
		}
	}
	t.Logf("counts: %s: %d of %d pairs of hostile names and values", t.Name(), sets, len(s.accounts)*len(hostileValues))
}
