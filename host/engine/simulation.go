package engine

import (
	"context"
	"hash/fnv"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// simulation answers the steps of a hook in place of the backends: each does what
// it is asked, unless answer says otherwise. Nothing of it reaches an account.
type simulation struct {
	answer func(ordinal int, step journal.Step) *journal.Result // nil, or a nil result: the step succeeds
	looks  int                                                  // which of the made-up accounts a find finds
	notes  bool                                                 // wishes are kept
	plain  bool                                                 // values are placeholders, not minted

	wishes map[int]GenerateStep // of each generate, by its ordinal

	asked []journal.Step // all but generate, in order
	at    []int          // their ordinals
	found bool           // a find has told what is made up
}

// step answers one step.
func (s *simulation) step(ordinal int, step journal.Step) journal.Result {
	s.asked, s.at = append(s.asked, step), append(s.at, ordinal)
	if s.answer != nil {
		if result := s.answer(ordinal, step); result != nil {
			return *result
		}
	}
	result := journal.Result{Outcome: sdk.Applied}
	switch step.Verb {
	case journal.Reset:
		result.Value = journal.Given(placeholder())
	case journal.Find:
		s.found = true
		account := madeUp(s.looks, step.Account)
		result.Account = &account
	}
	return result
}

// wish keeps what a generate asks for.
func (s *simulation) wish(ordinal int, wish GenerateStep) {
	if s == nil || !s.notes {
		return
	}
	if s.wishes == nil {
		s.wishes = map[int]GenerateStep{}
	}
	s.wishes[ordinal] = wish
}

// changes are the steps that would change something.
func (s *simulation) changes() (list []journal.Step) {
	for _, step := range s.asked {
		if traits, _ := journal.TraitsOf(step.Verb); traits.Changes {
			list = append(list, step)
		}
	}
	return list
}

// value is a placeholder for a value, whose rules are found all the same: they may
// contradict each other.
func (s *simulation) value(ctx context.Context, run *run, wish GenerateStep, ordinal int) (*journal.Value, error) {
	if wish.Generator != "" {
		if err := run.generates(wish.Generator); err != nil {
			return nil, generateFault(err)
		}
	} else if _, err := run.recipes.of(ctx, wish); err != nil {
		return nil, generateFault(err)
	}
	value := &journal.Value{Origin: ordinal}
	value.Replace(placeholder())
	return value, nil
}

// placeholder stands for any value.
func placeholder() secret.Value { return secret.New("simulated") }

// madeUpAccounts is how many different accounts there are to find, and activeAccounts how
// many of them, the first, are active, as one that a step may be taken on is.
const (
	madeUpAccounts = 5
	activeAccounts = 3
)

// madeUp is an account that a find finds. The first says as little as a backend may; the
// others are unlike it in all else that a hook can look at.
func madeUp(which int, name string) sdk.Account {
	account := sdk.Account{Account: name, ID: name, Login: name, Status: sdk.StatusActive}
	if which == 0 {
		return account
	}
	if which >= activeAccounts {
		account.ID, account.Status = "cn="+name+",ou=people,dc=example", sdk.StatusLocked
		if which > activeAccounts {
			account.Status = sdk.StatusDisabled
		}
		return account
	}
	must := which == 1
	account.ID, account.MustChange, account.ChangedAt = "id of "+name, &must, time.Unix(1_000_000_000, 0).UTC()
	if must {
		account.Kinds = []string{""}
	}
	return account
}

// share is where a step of a user stands between 0 and 1, the same at every time.
func share(key string, ordinal int, verb string) float64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key))
	_, _ = hash.Write([]byte{0, byte(ordinal)})
	_, _ = hash.Write([]byte(verb))
	mixed := hash.Sum64() * 0x9e3779b97f4a7c15
	return float64(mixed>>11) / (1 << 53)
}
