package host

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// FindOptions say what Find looks for.
type FindOptions struct {
	Name      string // an account, or a user's key
	Backend   string // a label or a backend's name; "": any
	Reveal    bool   // the values too, an audited act
	Unaudited bool
	Act
}

// Found is a value that a run gave an account, or may have given it.
type Found struct {
	Run      string `json:"run"`
	Script   string `json:"script"`
	At       string `json:"at"` // of its intent, UTC
	Key      string `json:"key"`
	Backend  string `json:"backend"`
	Target   string `json:"target"` // the system, as the plan shows it
	Account  string `json:"account"`
	Kind     string `json:"kind,omitempty"`
	State    string `json:"state"`   // applied, superseded, unknown, refused, unsent
	Status   string `json:"status"`  // of the user
	Current  bool   `json:"current"` // no later value of this state directory is, or may be, in force
	Password string `json:"password,omitempty"`
}

// Find calls each for all that the runs of the state directory know of an account or a
// user, the newest run first. It reads the intents of every run.
func (h *Host) Find(ctx context.Context, options FindOptions, each func(Found) error) error {
	list, err := h.store.Runs()
	if err != nil {
		return err
	}
	search := finder{host: h, options: options, each: each, settled: map[string]bool{}}
	for _, run := range list {
		if run.Err != nil {
			h.notices.warn("run %s cannot be read: %s", run.Header.ID, run.Err)
			continue
		}
		if err := search.in(ctx, run.Header.ID); err != nil {
			return err
		}
	}
	switch {
	case search.found == 0 && search.elsewhere != "":
		return &UsageError{Message: fmt.Sprintf("no run knows %q on backend %q", options.Name, options.Backend), Fix: "it is known on " + search.elsewhere}
	case search.found == 0:
		return &UsageError{Message: "no run of this state directory knows " + strconv.Quote(options.Name), Fix: "give the account as the target has it, or the user's key"}
	}
	return nil
}

// finder is one search over all runs.
type finder struct {
	host      *Host
	options   FindOptions
	each      func(Found) error
	found     int
	elsewhere string          // a backend that knows the name, though not the one asked for
	settled   map[string]bool // credentials of which a newer value is known, by target
}

func (f *finder) in(ctx context.Context, id string) error {
	open := f.host.runs().rest
	if f.options.Reveal {
		open = func(name string) (*ledger.Run, error) { return f.host.runs().restOpened(ctx, name) }
	}
	run, err := open(id)
	if err != nil {
		return err
	}
	defer run.Close()
	keys, err := f.keys(run)
	if err != nil || len(keys) == 0 {
		return err
	}
	pins, err := run.Backends()
	if err != nil {
		return err
	}
	var all []held
	for _, key := range keys {
		user, err := run.User(key)
		if err != nil {
			return err
		}
		all = append(all, f.of(pins, user)...)
	}
	return f.tell(run, all)
}

// held is a value that a run knows of, and who has it.
type held struct {
	user      ledger.User
	pin       journal.BackendPin
	candidate journal.Candidate
}

// tell tells of values of one run, newest first.
func (f *finder) tell(run *ledger.Run, all []held) error {
	if len(all) == 0 {
		return nil
	}
	if f.options.Reveal {
		audit := f.host.runs()
		audit.unaudited, audit.act = f.options.Unaudited, f.options.Act
		if err := audit.audited(run, journal.Revealed, map[string]string{"user": f.options.Name}); err != nil {
			return err
		}
	}
	for _, one := range all {
		f.found++
		if err := f.each(f.shown(run, one)); err != nil {
			return err
		}
	}
	return nil
}

// shown is a value as it is told of; one that does not open is told of without.
func (f *finder) shown(run *ledger.Run, one held) Found {
	candidate := one.candidate
	found := Found{Run: run.ID(), Script: run.Header().Script, At: stamped(candidate.Record.At), Key: one.user.Key, Backend: candidate.Backend, Target: target(one.pin),
		Account: candidate.Account, Kind: candidate.Cred, State: candidate.State, Status: string(one.user.Status)}
	name := one.pin.Target() + "\x00" + candidate.Account + "\x00" + candidate.Cred
	found.Current = candidate.Current && !f.settled[name]
	if candidate.State == journal.CandidateApplied || candidate.State == journal.CandidateUnknown {
		f.settled[name] = true
	}
	if !f.options.Reveal {
		return found
	}
	value, err := run.Unseal(one.user.Pos, candidate.Step, candidate.Try, journal.RoleValue, candidate.Sealed)
	if err != nil { // sealed to others
		f.host.notices.warn("run %s: a value of %s does not open: %s", run.ID(), one.user.Key, err)
		return found
	}
	found.Password = value.Reveal()
	return found
}

// keys are those of the users of a run who have that key, or whose account it is.
func (f *finder) keys(run *ledger.Run) ([]string, error) {
	positions := map[int64]bool{}
	folded := diag.Fold(f.options.Name)
	err := run.Intents(func(_, account, _, _ string, user int64) error {
		if diag.Fold(account) == folded {
			positions[user] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var keys []string
	if user, err := run.User(f.options.Name); err == nil {
		delete(positions, user.Pos)
		keys = append(keys, user.Key)
	}
	if len(positions) == 0 {
		return keys, nil
	}
	err = run.Each(ledger.Filter{}, ledger.OrderApply, func(user ledger.User) error {
		if positions[user.Pos] {
			keys = append(keys, user.Key)
		}
		return nil
	})
	return keys, err
}

// of are the values of one user that were looked for.
func (f *finder) of(pins []journal.BackendPin, user ledger.User) (list []held) {
	folded := diag.Fold(f.options.Name)
	byKey := diag.Fold(user.Key) == folded
	for _, candidate := range ledger.Candidates(user.History) {
		pin := pinOf(pins, candidate.Backend)
		there := f.options.Backend == "" || f.options.Backend == candidate.Backend || f.options.Backend == pin.Name
		mine := byKey || diag.Fold(candidate.Account) == folded
		if mine && !there {
			f.elsewhere = candidate.Backend
		}
		if there && mine {
			list = append(list, held{user, pin, candidate})
		}
	}
	return list
}

func pinOf(pins []journal.BackendPin, label string) journal.BackendPin {
	for _, pin := range pins {
		if pin.Label == label {
			return pin
		}
	}
	return journal.BackendPin{Label: label}
}
