package host

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

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
// user, the value sent last first. It reads the intents of every run. Where one cannot
// be read, none is current, and the error is a *PartError.
func (h *Host) Find(ctx context.Context, options FindOptions, each func(Found) error) error {
	list, err := h.store.Runs()
	if err != nil {
		return err
	}
	search := finder{host: h, options: options, newest: map[string]time.Time{}}
	for _, run := range list {
		if err := search.in(ctx, run.Header.ID); err != nil {
			h.notices.warn("run %s cannot be read: %s", run.Header.ID, err)
			search.unread = err
		}
	}
	switch {
	case len(search.all) > 0 || search.unread != nil:
	case search.elsewhere != "":
		return &UsageError{Message: fmt.Sprintf("no run knows %q on backend %q", options.Name, options.Backend), Fix: "it is known on " + search.elsewhere}
	default:
		return &UsageError{Message: "no run of this state directory knows " + strconv.Quote(options.Name), Fix: "give the account as the target has it, or the user's key"}
	}
	slices.SortStableFunc(search.all, func(a, b held) int { return b.candidate.Record.At.Compare(a.candidate.Record.At) })
	for _, one := range search.all {
		one.found.Current = one.candidate.Current && search.unread == nil && !search.newest[one.name()].After(one.candidate.Record.At)
		if err := each(one.found); err != nil {
			return err
		}
	}
	if search.unread != nil {
		return &PartError{fmt.Errorf("a run cannot be read, and may know a newer value: none is called current: %w", search.unread)}
	}
	return nil
}

// finder is one search over all runs.
type finder struct {
	host      *Host
	options   FindOptions
	all       []held
	elsewhere string               // a backend that knows the name, though not the one asked for
	newest    map[string]time.Time // by held.name: when the last value that is in force, or may be, was sent
	unread    error                // why a run, or a part of one, is missing
}

// held is a value that a run knows of, and who has it.
type held struct {
	user      ledger.User
	pin       journal.BackendPin
	candidate journal.Candidate
	found     Found
}

// name is what values replace each other on, over all runs.
func (h held) name() string {
	return h.pin.Target() + "\x00" + h.candidate.Account + "\x00" + h.candidate.Cred
}

// in takes over what one run knows.
func (f *finder) in(ctx context.Context, id string) error {
	run, err := f.open(ctx, id)
	if err != nil {
		return err
	}
	defer run.Close()
	keys, err := f.keys(run)
	if err != nil {
		return err
	}
	pins, err := run.Backends()
	if err != nil {
		return err
	}
	var mine []held
	for _, key := range keys {
		user, err := run.User(key)
		if err != nil {
			return err
		}
		mine = append(mine, f.of(pins, user)...)
	}
	if err := f.take(run, mine); err != nil {
		return err
	}
	return whatIsLost(run, nil)
}

// open opens a run, with the key to its values where they are wanted and it is there.
func (f *finder) open(ctx context.Context, id string) (*ledger.Run, error) {
	if f.options.Reveal {
		return f.host.runs().restOpened(ctx, id)
	}
	return f.host.runs().rest(id)
}

// take takes values of one run over.
func (f *finder) take(run *ledger.Run, mine []held) error {
	if f.options.Reveal && len(mine) > 0 && run.Sealable() == nil {
		audit := f.host.runs()
		audit.unaudited, audit.act = f.options.Unaudited, f.options.Act
		if err := audit.audited(run, journal.Revealed, map[string]string{"user": f.options.Name}); err != nil {
			return err
		}
	}
	for _, one := range mine {
		one.found = f.shown(run, one)
		state, at := one.candidate.State, one.candidate.Record.At
		if (state == journal.CandidateApplied || state == journal.CandidateUnknown) && at.After(f.newest[one.name()]) {
			f.newest[one.name()] = at
		}
		f.all = append(f.all, one)
	}
	return nil
}

// shown is a value as it is told of; one that does not open is told of without.
func (f *finder) shown(run *ledger.Run, one held) Found {
	candidate := one.candidate
	found := Found{Run: run.ID(), Script: run.Header().Script, At: stamped(candidate.Record.At), Key: one.user.Key, Backend: candidate.Backend, Target: target(one.pin),
		Account: candidate.Account, Kind: candidate.Cred, State: candidate.State, Status: string(one.user.Status)}
	if !f.options.Reveal {
		return found
	}
	value, err := run.Unseal(one.user.Pos, candidate.Step, candidate.Try, journal.RoleValue, candidate.Sealed)
	if err != nil { // forgotten, or sealed to others
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
			list = append(list, held{user: user, pin: pin, candidate: candidate})
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
