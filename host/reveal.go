package host

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// Revealed is one sealed value.
type Revealed struct {
	Key      string `json:"key"`
	Backend  string `json:"backend"`
	Account  string `json:"account"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Form     string `json:"form"`
	Password string `json:"password"`
}

// RevealOptions say whose values Reveal shows.
type RevealOptions struct {
	Key       string // of the user; "": all users
	Unaudited bool   // although it cannot be recorded
	Act
}

// reveal records the act, and calls show for every value of the selected users.
func reveal(runs runs, run *ledger.Run, key string, show func(Revealed) error) error {
	if err := run.Sealable(); err != nil {
		return err
	}
	var filter ledger.Filter
	if key != "" {
		filter.Keys = []string{key}
	}
	if err := runs.audited(run, journal.Revealed, map[string]string{"user": key}); err != nil {
		return err
	}
	found, bad := 0, notOpened{}
	err := run.Each(filter, ledger.OrderSource, func(user ledger.User) error {
		found++
		return revealUser(run, user, &bad, show)
	})
	if err == nil && found == 0 && key != "" {
		return usagef("run %s has no user %q", run.ID(), key)
	}
	if err != nil {
		return err
	}
	return bad.err(run.ID())
}

func revealUser(run *ledger.Run, user ledger.User, bad *notOpened, show func(Revealed) error) error {
	for _, candidate := range ledger.Candidates(user.History) {
		value, err := run.Unseal(user.Pos, candidate.Step, candidate.Try, "value", candidate.Sealed)
		if err != nil {
			bad.note(user.Key, err)
			continue
		}
		if err := show(Revealed{user.Key, candidate.Backend, candidate.Account, candidate.Cred, candidate.State, candidate.Form, value.Reveal()}); err != nil {
			return err
		}
	}
	return nil
}

// notOpened collects the values that do not open.
type notOpened struct {
	users []string
	last  error
}

// note takes an error over a user's value; nil changes nothing.
func (n *notOpened) note(key string, err error) {
	if err == nil {
		return
	}
	n.last = err
	if !slices.Contains(n.users, key) {
		n.users = append(n.users, key)
	}
}

// maxNotOpened is how many users are named.
const maxNotOpened = 10

func (n *notOpened) err(run string) error {
	if len(n.users) == 0 {
		return nil
	}
	names := strings.Join(n.users[:min(len(n.users), maxNotOpened)], ", ")
	if more := len(n.users) - maxNotOpened; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return &PartError{fmt.Errorf("run %s: sealed values of %s do not open (%w); all others are shown; rekey audit verify %s --open tells more", run, names, n.last, run)}
}
