package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// Then is the command that goes on after a failure was mended.
type Then uint8

// The commands.
const (
	Retry        Then = iota // rekey retry RUN --code CODE
	RetryChanged             // the same with --accept-change: the script has to change
	Look                     // rekey show RUN --code CODE: one has to look at each
	Nothing                  // no advice: those users need a run of their own, if anything
)

// Advice is what to do about a code.
type Advice struct {
	Do   string // for people: "create them"
	Then Then
}

// advice has an entry for every code; a test sees to it. The texts follow the
// number of users and the code, and are followed by the command.
var advice = map[sdk.Code]Advice{
	sdk.AccountNotFound:      {"create them", Retry},
	sdk.UserNotFound:         {"give the accounts an owner", Retry},
	sdk.Ambiguous:            {"name each by its unique identifier, in a list of their own", Nothing},
	sdk.AccountStatus:        {"enable or unlock them", Retry},
	sdk.Protected:            {"leave them out; the account that the backend logs in as is handed over by step.handover", Nothing},
	sdk.NoCredential:         {"give them a password of their own, or leave them out", Retry},
	sdk.PolicyViolation:      {"fit the values, or the script's policy, to the target's rules", RetryChanged},
	sdk.ChangeNotAllowed:     {"let the accounts change their password, or use set", RetryChanged},
	sdk.WrongCurrentPassword: {"correct their old values, in a list of their own", Nothing},
	sdk.NotAccepted:          {"find out why the target does not take the new value", Look},
	sdk.PermissionDenied:     {"let the service account set passwords", Retry},
	sdk.SecondFactorNeeded:   {"use a service account that needs no second factor", RetryChanged},
	sdk.LoginExpired:         {"renew the service account's password", Retry},
	sdk.Conflict:             {"wait until no one else changes them", Retry},
	sdk.RateLimited:          {"lower rate, or wait", Retry},
	sdk.Unreachable:          {"mend the connection", Retry},
	sdk.InsecureTransport:    {"use TLS", RetryChanged},
	sdk.Timeout:              {"raise timeout, or find out why the target is slow", RetryChanged},
	sdk.ConnectionLost:       {"mend the connection", Retry},
	sdk.ReadOnly:             {"use a server that takes writes", RetryChanged},
	sdk.TargetUnavailable:    {"wait until the target is up", Retry},
	sdk.TargetError:          {"look the native codes up in the target's log", Look},
	sdk.InvalidConfig:        {"correct the backend's settings", RetryChanged},
	sdk.InvalidOperation:     {"correct their names in a list of their own, or the script's step", RetryChanged},
	sdk.Unsupported:          {"use another step: the backend cannot do this", RetryChanged},
	sdk.Cancelled:            {"nothing is wrong with them", Retry},
	sdk.Internal:             {"report the defect to the plugin's author", Look},
	journal.ScriptError:      {"mend the script", RetryChanged},
	journal.ScriptFailed:     {"see what the script says of each", Look},
	journal.Diverged:         {"run the script that was recorded", Retry},
	journal.DuplicateAccount: {"nothing was sent for them: keep one line for each account", Nothing},
}

// tooEarly is the advice for a rule that no other value meets: a minimum age, or
// how often a password may change.
var tooEarly = Advice{"wait until their passwords may be changed again, or let who keeps the target's rules lift the minimum age or set the count of changes back", Retry}

// AdviceFor returns what to do about a code; for an unknown one, to
// look.
func AdviceFor(code sdk.Code) Advice {
	if a, ok := advice[code]; ok {
		return a
	}
	return Advice{"read the message of each", Look}
}

// Group is the users that failed, or are unknown, with one code.
type Group struct {
	Code    sdk.Code
	Unknown bool  // whether the operation took effect is not known; else failed or partial
	Early   bool  // no other value helps: it is too early, or has been too often
	Users   int64 // of which Partial are partly changed
	Partial int64 //
	Key     string
	Message string // of the user Key, the first of them
}

// Fix returns what to do, with the command: "create them, then rekey retry
// r7k2 --code AccountNotFound".
func (g Group) Fix(run string) string {
	do, command := g.fix(run)
	if command == "" {
		return do
	}
	return do + ", then " + command
}

func (g Group) fix(run string) (do, command string) {
	if g.Unknown {
		return "see what each may have with rekey reveal " + run, "rekey resume " + run
	}
	advice := AdviceFor(g.Code)
	if g.Early {
		advice = tooEarly
	}
	switch {
	case g.Code == "":
		return advice.Do, "rekey show " + run
	case advice.Then == Retry:
		return advice.Do, fmt.Sprintf("rekey retry %s --code %s", run, g.Code)
	case advice.Then == RetryChanged:
		return advice.Do, fmt.Sprintf("rekey retry %s --code %s --accept-change", run, g.Code)
	case advice.Then == Look:
		return advice.Do + fmt.Sprintf(" with rekey show %s --code %s", run, g.Code), fmt.Sprintf("rekey retry %s --code %s", run, g.Code)
	default:
		return advice.Do, ""
	}
}

// label is the code, and whether it is certain.
func (g Group) label() string {
	code := string(g.Code)
	if code == "" {
		code = "without a code"
	}
	if g.Unknown {
		return code + ", outcome unknown"
	}
	return code
}

// Tally groups users by code as they are counted. The zero Tally is ready for
// use; its size depends on the number of codes only.
type Tally struct {
	groups map[Group]*Group // by Code, Unknown and Early
}

// Add counts a user; those that neither failed nor are unknown are in no group.
// broken are the rules that the last refusal named.
func (t *Tally) Add(key string, status journal.Status, code sdk.Code, message string, broken ...sdk.Violation) {
	if status != journal.Failed && status != journal.Partial && status != journal.Unresolved {
		return
	}
	id := Group{Code: code, Unknown: status == journal.Unresolved, Early: code == sdk.PolicyViolation && slices.ContainsFunc(broken, noValueHelps)}
	group := t.groups[id]
	if group == nil {
		if t.groups == nil {
			t.groups = map[Group]*Group{}
		}
		group = &Group{Code: code, Unknown: id.Unknown, Early: id.Early, Key: key, Message: message}
		t.groups[id] = group
	}
	group.Users++
	if status == journal.Partial {
		group.Partial++
	}
}

func noValueHelps(violation sdk.Violation) bool { return !violation.AnotherValueHelps() }

// Groups returns the groups: unknown users first, because no one may touch
// them, then the larger ones first.
func (t *Tally) Groups() []Group {
	var all []Group
	for _, group := range t.groups {
		all = append(all, *group)
	}
	slices.SortFunc(all, func(group, b Group) int {
		if group.Unknown != b.Unknown {
			return cmp.Compare(rank(group), rank(b))
		}
		return cmp.Or(cmp.Compare(b.Users, group.Users), cmp.Compare(group.Code, b.Code), cmp.Compare(group.Message, b.Message))
	})
	return all
}

func rank(group Group) int {
	if group.Unknown {
		return 0
	}
	return 1
}

// Next returns what to do after a run, one line each: "37 AccountNotFound:
// create them, then rekey retry r7k2 --code AccountNotFound". over says that a
// wave has failed more often than it may, and that a plain resume stays stopped.
func Next(run string, counts ledger.Counts, groups []Group, over bool) []string {
	var lines []string
	for _, group := range groups {
		lines = append(lines, fmt.Sprintf("%d %s: %s", group.Users, group.label(), group.Fix(run)))
	}
	if counts.Held > 0 {
		lines = append(lines, fmt.Sprintf("%d held: look at the wave before, then rekey approve %s and rekey resume %s", counts.Held, run, run))
	}
	if counts.Pending > 0 {
		lines = append(lines, fmt.Sprintf("%d pending: %s", counts.Pending, goOn(run, over)))
	}
	return lines
}

// goOn is how a run with pending users goes on.
func goOn(run string, over bool) string {
	if over {
		return fmt.Sprintf("stopped above max_failures: mend the cause and rekey retry %s, or go on all the same with rekey resume %s --over-threshold", run, run)
	}
	return "rekey resume " + run
}
