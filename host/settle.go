package host

import (
	"fmt"
	"strconv"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// Settlement is what a person knows of a user whose outcome is unknown.
type Settlement struct {
	Key     string
	As      string // changed: the newest value is in force; unchanged: none of the doubtful ones; or its number, as Reveal lists them, from 1
	Backend string // label; "": any, as the following
	Account string
	Kind    string
}

// Settle takes over which value of an unknown user is in force, from a person who
// looked, and why they say so from the options. The user is partial or failed then,
// as the rest of their rotate has not run: a retry goes on with that, by a fresh value
// where the doubtful one is not in force. Nothing is sent.
func (s *Session) Settle(settlement Settlement) (Outcome, error) {
	out, err := s.settle(settlement)
	return s.whole(out, err)
}

func (s *Session) settle(settlement Settlement) (Outcome, error) {
	if _, err := strconv.Atoi(settlement.As); err != nil && settlement.As != "changed" && settlement.As != "unchanged" {
		return Outcome{}, &UsageError{Message: fmt.Sprintf("--as %q", settlement.As), Fix: asFix}
	}
	if s.options.Reason == "" {
		return Outcome{}, &UsageError{Message: "settle wants to know how you know", Fix: `give --reason "…": it stands in the ledger`}
	}
	user, err := s.run.User(settlement.Key)
	if err != nil {
		return Outcome{}, usagef("run %s has no user %q", s.run.ID(), settlement.Key)
	}
	if user.Status != journal.Unresolved {
		return Outcome{}, &UsageError{Message: fmt.Sprintf("user %q is %s: only who is unknown can be settled", user.Key, user.Status), Fix: "rekey show " + s.run.ID() + " --status unknown"}
	}
	doubt := doubt{now: s.host.Now(), records: user.History, Settlement: settlement}
	if doubt.last, err = s.run.LastAt(); err != nil {
		return Outcome{}, err
	}
	outcomes, err := doubt.outcomes(fmt.Sprintf("settled as %s by %s: %s", settlement.As, s.host.OSUser, s.options.Reason))
	if err != nil {
		return Outcome{}, err
	}
	if err := s.run.Commit(s.settled(user, outcomes)); err != nil {
		return Outcome{}, err
	}
	return s.afterSettling()
}

// settled are the records of a user who is settled: all or none are written.
func (s *Session) settled(user ledger.User, outcomes []*journal.Record) []*journal.Record {
	history := journal.Read(user.History)
	reopened := &journal.Record{Kind: journal.Reopened, User: user.Pos}
	records := []*journal.Record{{Kind: journal.Settled, Detail: journal.Detail{OSUser: s.host.OSUser, Host: s.host.Hostname, Requestor: s.options.Requestor,
		Message: s.options.Reason, Facts: map[string]string{"user": user.Key}}}, reopened}
	history.Add(reopened)
	for _, outcome := range outcomes {
		outcome.User = user.Pos
		history.Add(outcome)
		records = append(records, outcome)
	}
	end := history.Conclude(journal.Verdict{Kind: journal.SaidFailed, Reason: outcomes[0].Detail.Message + "; the rest of rotate has not run"})
	end.User = user.Pos
	return append(records, &end)
}

// afterSettling says where the run stands: with its last unknown user it is finished.
func (s *Session) afterSettling() (Outcome, error) {
	out, err := outcomeOf(s.run)
	if err != nil {
		return out, err
	}
	if out.Status == journal.StateUnsettled && out.Counts.Unknown == 0 {
		if err := s.note(journal.Ended, journal.Detail{State: journal.StateFinished}); err != nil {
			return out, err
		}
		if out, err = outcomeOf(s.run); err != nil {
			return out, err
		}
	}
	out.Next, err = advice(s.run, out)
	return out, err
}

// doubt is what is not known of a user, and what a person says of it.
type doubt struct {
	Settlement
	now, last time.Time // last: the run's newest record
	records   []journal.Record
}

// longestLate is how long a request without an answer may be under way where its
// process was killed and has not recorded it.
const longestLate = 10 * time.Minute

// outcomes are the records that end the doubt.
func (d doubt) outcomes(message string) ([]*journal.Record, error) {
	history := journal.Read(d.records)
	credential, err := d.credential(history)
	if err != nil {
		return nil, err
	}
	open := credential.Open()
	for _, attempt := range open {
		if until := d.lateOf(attempt); until.After(d.now) {
			return nil, &UsageError{Message: fmt.Sprintf("user %q: a request may still reach %s until %s", d.Key, credential.Account, until.Local().Format(time.DateTime)), Fix: "look again after that, and settle then"}
		}
	}
	last, err := d.inForce(history, credential, open)
	if err != nil {
		return nil, err
	}
	var outcomes []*journal.Record
	for _, attempt := range open {
		if attempt == last {
			outcomes = outcomes[:0] // it settles what was sent before it
			outcomes = append(outcomes, settledAs(attempt.Intent, sdk.Applied, message))
			continue
		}
		outcomes = append(outcomes, settledAs(attempt.Intent, sdk.Refused, message))
	}
	return outcomes, nil
}

// settledAs is the outcome of an attempt by what a person says.
func settledAs(intent *journal.Record, outcome sdk.Outcome, message string) *journal.Record {
	record := &journal.Record{Kind: journal.Outcome, Step: intent.Step, Try: intent.Try, Verb: intent.Verb, Backend: intent.Backend, Account: intent.Account, Cred: intent.Cred, Outcome: outcome}
	if outcome == sdk.Refused {
		record.Code = sdk.ConnectionLost // what made it unknown
	}
	record.Detail.Message = message
	return record
}

// credential is the one in doubt.
func (d doubt) credential(history *journal.History) (*journal.CredentialHistory, error) {
	var found []*journal.CredentialHistory
	for _, credential := range history.Touched() {
		if len(credential.Open()) > 0 && d.means(history, credential) {
			found = append(found, credential)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, &UsageError{Message: fmt.Sprintf("user %q: %d credentials are in doubt, %s and %s", d.Key, len(found), named(found[0]), named(found[1])), Fix: "name one by --backend, --account and --kind"}
	case d.Backend+d.Account+d.Kind != "":
		return nil, usagef("user %q: nothing is in doubt there", d.Key)
	}
	return nil, &UsageError{Message: fmt.Sprintf("user %q: no value is in doubt", d.Key), Fix: "rekey resume goes on with them"}
}

// means reports whether it is a credential that was named, by itself or by the number of
// one of its values.
func (d doubt) means(history *journal.History, credential *journal.CredentialHistory) bool {
	if number, err := strconv.Atoi(d.As); err == nil {
		if list := history.Candidates(); number >= 1 && number <= len(list) {
			of := list[number-1]
			return (journal.Credential{Backend: of.Backend, Account: of.Account, Kind: of.Cred}) == credential.Credential
		}
	}
	return (d.Backend == "" || d.Backend == credential.Backend) && (d.Account == "" || d.Account == credential.Account) && (d.Kind == "" || d.Kind == credential.Kind)
}

// named is a credential in words.
func named(credential *journal.CredentialHistory) string {
	text := credential.Account + " on " + credential.Backend
	if credential.Kind != "" {
		text += ", kind " + credential.Kind
	}
	return text
}

// lateOf is until when a request of the attempt may arrive.
func (d doubt) lateOf(attempt *journal.Attempt) time.Time {
	if attempt.Outcome == nil {
		return d.last.Add(longestLate)
	}
	if late := attempt.Outcome.Detail.Late; late != nil {
		return *late
	}
	return time.Time{}
}

// inForce is the doubtful attempt that took effect; nil: none.
func (d doubt) inForce(history *journal.History, credential *journal.CredentialHistory, open []*journal.Attempt) (*journal.Attempt, error) {
	switch d.As {
	case "changed":
		return open[len(open)-1], nil
	case "unchanged":
		return nil, nil
	}
	candidates := history.Candidates()
	number, err := strconv.Atoi(d.As)
	if err != nil || number < 1 || number > len(candidates) {
		return nil, &UsageError{Message: fmt.Sprintf("--as %s: user %q has %d values", d.As, d.Key, len(candidates)), Fix: asFix}
	}
	named := candidates[number-1]
	for _, attempt := range open {
		if attempt.Intent == named.Record {
			return attempt, nil
		}
	}
	if named.State == journal.CandidateApplied && named.Backend == credential.Backend && named.Account == credential.Account && named.Cred == credential.Kind {
		return nil, nil // the one before the doubtful ones
	}
	return nil, &UsageError{Message: fmt.Sprintf("--as %s: that value of user %q is %s", d.As, d.Key, named.State), Fix: "name one that is unknown, or say unchanged"}
}

const asFix = "say changed, unchanged, or the number of a value as rekey reveal lists them, from 1"
