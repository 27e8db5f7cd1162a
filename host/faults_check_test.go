package host_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/rekey-host/rekey/host/internal/faultfs"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk/leaktest"
)

// finding is something that must never be. It names the protection that is
// there to prevent it.
type finding struct {
	class      string // lost, doubled, no status, leaked, or another word
	protection string
	text       string
}

func (f finding) String() string { return f.class + " (" + f.protection + "): " + f.text }

// The classes that have bars of their own.
const (
	lost     = "lost"
	doubled  = "doubled"
	noStatus = "no status"
	leaked   = "leaked"
	wrong    = "wrong"

	falseDone    = "false done"    // what is said to be in force is not
	falseRefused = "false refused" // what is said to have had no effect had one
	cancelled    = "cancelled"     // a cancellation was taken for an answer
)

// candidate is a value that the ledger holds.
type candidate struct {
	value  string
	state  string
	bridge bool
	now    bool
}

// scene is what is left when a process ended: the disk, what the accounts were
// given, what the process said.
type scene struct {
	image   faultfs.Image
	entries []entry
	said    []byte
	guard   string // the protection that has to hold: of the ledger's contents
	settled bool   // the last process ended by itself
	lossy   bool   // answers were lost
	retried bool   // failed users were put back, and may have got another value
	exist   bool   // the accounts that were missing are there
	story   string // what was done to the users
	calm    bool   // nothing but a signal has happened: nobody's outcome is unknown
	bare    bool   // there was no wire: what a system says is not scrubbed
}

// examination compares the ledger of a scene with what the accounts have.
type examination struct {
	scene
	found    []finding
	inForce  map[string]string
	sequence map[string][]string
	known    map[string][]candidate // by label and account
	status   map[string]journal.Status
	past     past
	unknown  int // users whose outcome is not known
	pending  int
}

// examine returns all that is wrong with a scene. dir is for its own use.
func examine(s scene, dir string) ([]finding, error) {
	x, err := examined(s, dir)
	if err != nil {
		return nil, err
	}
	return x.found, nil
}

func examined(s scene, dir string) (*examination, error) {
	x := &examination{scene: s, past: newPast(s.entries), inForce: map[string]string{}, sequence: map[string][]string{}, known: map[string][]candidate{}, status: map[string]journal.Status{}}
	for _, e := range s.entries {
		if e.What == given {
			x.inForce[key(e.Label, e.Account)] = e.Value
			x.sequence[key(e.Label, e.Account)] = append(x.sequence[key(e.Label, e.Account)], e.Value)
		}
	}
	if err := s.image.Save(dir); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := x.readLedger(dir); err != nil {
		return nil, err
	}
	x.values()
	x.doubles()
	if !x.bare {
		x.leaks()
	}
	return x, nil
}

func (x *examination) report(class, protection, format string, args ...any) {
	x.found = append(x.found, finding{class, protection, fmt.Sprintf(format, args...)})
}

func (x *examination) readLedger(dir string) error {
	store, err := ledger.Open(filepath.Join(dir, stateDir), ledger.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	list, err := store.Runs()
	if err != nil {
		return err
	}
	switch {
	case len(list) > 1:
		x.report(wrong, "the draft's rename", "there are %d runs", len(list))
	case len(list) == 0 && x.settled:
		x.report(noStatus, x.guard, "the run is gone")
	case len(list) == 1:
		return x.readRun(store, list[0], filepath.Join(dir, identityFile))
	}
	return nil
}

func (x *examination) readRun(store *ledger.Store, s ledger.Summary, identity string) error {
	if s.Err != nil {
		x.report(lost, x.guard, "the run cannot be read: %v", s.Err)
		return nil
	}
	keys, err := ledger.OpenKeys(identity)
	if err != nil {
		x.report(lost, x.guard, "the identity is gone: %v", err)
		return nil
	}
	r, err := store.ReadWith(s.Header.ID, keys)
	if err != nil {
		return err
	}
	defer r.Close()
	audit, err := store.Verify(s.Header.ID, "")
	if err != nil {
		return err
	}
	if !audit.OK {
		x.report(wrong, x.guard, "the audit log: %v", audit.Problems)
	}
	return r.Each(ledger.Filter{}, ledger.OrderApply, func(u ledger.User) error { return x.readUser(r, u) })
}

func (x *examination) readUser(r *ledger.Run, u ledger.User) error {
	for _, c := range ledger.Candidates(u.History) {
		v, err := r.Unseal(u.Pos, c.Step, c.Try, "value", c.Sealed)
		if err != nil {
			return err
		}
		k := key(c.Backend, c.Account)
		x.known[k] = append(x.known[k], candidate{v.Reveal(), c.State, c.Bridge, c.Current})
	}
	ends := 0
	for _, rec := range u.History {
		switch rec.Kind {
		case journal.Finished:
			ends++
		case journal.Reopened:
			ends--
		}
	}
	x.status[u.Key] = u.Status
	acts, err := actsOf(r, u)
	if err != nil {
		return err
	}
	x.found = append(x.found, x.past.contradicts(u.Status, acts)...)
	x.found = append(x.found, uncancelled(u)...)
	x.ended(u)
	if !x.settled {
		return nil
	}
	if ends != 1 {
		x.report(noStatus, "one status a user", "%s has %d", u.Key, ends)
	}
	if ends == 1 && u.Status != x.wanted(u) {
		x.report(wrong, outcomeUnknown, "%s is %s (%s), want %s", u.Key, u.Status, u.Reason, x.wanted(u))
	}
	return nil
}

// ended counts who has not ended, and checks that nobody has ended otherwise
// than without a signal.
func (x *examination) ended(u ledger.User) {
	switch {
	case u.Status == journal.Pending || u.Status == journal.HeldPending:
		x.pending++
	case u.Status == journal.Unresolved && !x.calm:
		x.unknown++
	case x.calm && u.Status != x.wanted(u):
		x.report(cancelled, cancellation, "%s is %s (%s %s), want %s or pending", u.Key, u.Status, u.Code, u.Reason, x.wanted(u))
	}
}

// wanted is what a user has to come to. A value that is refused while an
// earlier attempt is settled is not replaced: nothing new is sent then.
func (x *examination) wanted(u ledger.User) journal.Status {
	switch {
	case strings.HasPrefix(u.Key, "ghost") && !x.exist, x.lossy && strings.HasPrefix(u.Key, "picky") && u.Reason == "too plain":
		return journal.Failed
	}
	return journal.Done
}

// values checks that the ledger holds what is in force, and says so when it is
// settled.
func (x *examination) values() {
	for k, value := range x.inForce {
		label, account := cutKey(k)
		found, denies := false, true
		for _, c := range x.known[k] {
			if c.value == value {
				found = true
				denies = denies && (c.state == journal.CandidateRefused || c.state == journal.CandidateUnsent)
			}
			if x.settled && c.now && c.value != value {
				x.report(wrong, outcomeUnknown, "%s: the ledger says that a value is in force which is not", k)
			}
		}
		was := value == before(label, account)
		switch {
		case label == desk:
		case !found && !was:
			x.report(lost, x.guard, "%s has a value that the ledger does not hold", k)
		case found && denies:
			x.report(lost, outcomeUnknown, "%s has a value of which the ledger says that it was refused", k)
		}
	}
}

// doubles checks that no account got a second, different value, and that a
// user's accounts have the same.
func (x *examination) doubles() {
	for k, list := range x.sequence {
		label, account := cutKey(k)
		if label == desk {
			continue
		}
		values := map[string]bool{}
		for _, v := range list {
			if v != before(label, account) && !x.isBridge(k, v) {
				values[v] = true
			}
		}
		if len(values) > 1 && !x.severalValues() && !(x.retried && strings.HasPrefix(account, "haunted")) {
			x.report(doubled, x.doubleGuard(), "%s was given %d different values", k, len(values))
		}
	}
	for _, name := range tales[x.story].names {
		if x.status[name] == journal.Failed {
			x.setBack(name)
		}
		if x.status[name] != journal.Done || x.story != "" {
			continue
		}
		one := x.inForce[key(plain, name)]
		if x.inForce[key(vault, vaultName(name))] != one || x.inForce[key(cloud, vaultName(name))] != one {
			x.report(doubled, outcomeUnknown, "the accounts of %s have different values", name)
		}
	}
}

// severalValues reports whether the story gives an account one value after the
// other.
func (x *examination) severalValues() bool {
	return x.story == "two values" || x.story == "with a history" || x.story == "change then set"
}

// setBack checks that a failed user's accounts are as they were.
func (x *examination) setBack(name string) {
	for _, label := range []string{vault, cloud} {
		account := vaultName(name)
		if v, any := x.inForce[key(label, account)]; any && v != before(label, account) {
			x.report(wrong, "the set-back", "%s has failed, and %s has another value than before", name, key(label, account))
		}
	}
}

// doubleGuard is what keeps a second value from being sent.
func (x *examination) doubleGuard() string {
	if x.guard == "" {
		return outcomeUnknown
	}
	return x.guard
}

func (x *examination) isBridge(k, value string) bool {
	return slices.ContainsFunc(x.known[k], func(c candidate) bool { return c.bridge && c.value == value })
}

// leaks looks for any six bytes of the canary, and for every other value of the
// scene, in all their forms on the disk and in what was said.
func (x *examination) leaks() {
	x.pieces("what the process said", x.said)
	for name, file := range x.searched() {
		x.pieces(filepath.Ext(name), file.Data)
	}
	values := map[string]bool{}
	for _, e := range x.entries {
		if e.Value != "" {
			values[e.Value] = true
		}
	}
	for value := range values {
		for form, text := range forms(value) {
			if bytes.Contains(x.said, text) {
				x.report(leaked, redaction, "a value stands %s in what the process said", form)
			}
			for name, file := range x.searched() {
				if bytes.Contains(file.Data, text) {
					x.report(leaked, redaction, "a value stands %s in %s", form, filepath.Ext(name))
				}
			}
		}
	}
}

// canaryPieces finds any six bytes of the canary.
var canaryPieces = sync.OnceValue(func() *leaktest.Finder { return leaktest.New(canary) })

func (x *examination) pieces(where string, text []byte) {
	if form := canaryPieces().Find(text); form != "" {
		x.report(leaked, redaction, "a piece of the canary stands %s in %s", form, where)
	}
}

// searched are the files that are looked through for values: those of every
// scene that a process left by itself, and of the others each third one.
func (x *examination) searched() faultfs.Image {
	if !x.settled && len(x.entries)%3 > 0 {
		return nil
	}
	return x.image
}

// forms are the ways in which a value may appear.
func forms(value string) map[string][]byte {
	quoted := strconv.Quote(value)
	inJSON, _ := json.Marshal(value)
	list := map[string][]byte{
		"raw": []byte(value), "quoted": []byte(quoted[1 : len(quoted)-1]), "as JSON": inJSON[1 : len(inJSON)-1],
		"as URL": []byte(url.QueryEscape(value)), "as path": []byte(url.PathEscape(value)),
		"as base64": []byte(base64.RawStdEncoding.EncodeToString([]byte(value))), "as base64url": []byte(base64.RawURLEncoding.EncodeToString([]byte(value))),
		"as hex": []byte(hex.EncodeToString([]byte(value))), "as HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(value)))),
	}
	var wide []byte
	for _, u := range utf16.Encode([]rune(value)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	list["as UTF-16LE"] = wide
	return list
}
