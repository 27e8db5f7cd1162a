package command

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// The words of an answer that are neither codes, verdicts nor statuses.
const (
	wordApplied = "applied"
	wordUnknown = "unknown"
)

// meaning is what an answer says. One of its fields is filled in.
type meaning struct {
	word    string     // applied or unknown
	failure *sdk.Error // a refusal; its message is the tool's
	verdict sdk.Verdict
	tried   bool       // verdict counts
	status  sdk.Status // of find
}

// rule is one line of answers.
type rule struct {
	meaning
	exits   []int
	pattern *regexp.Regexp // nil: exits decide
}

// rules are what the answers of a tool mean; the first that fits counts.
type rules []rule

// newRules reads the setting answers.
func newRules(lines []string) (rules, error) {
	var made rules
	for _, line := range lines {
		rule, err := newRule(line)
		if err != nil {
			return nil, fmt.Errorf("answers: %q: %w", line, err)
		}
		made = append(made, rule)
	}
	return made, nil
}

func newRule(line string) (rule, error) {
	what, when, _ := strings.Cut(line, ": ")
	meaning, err := newMeaning(what)
	if err != nil {
		return rule{}, err
	}
	made := rule{meaning: meaning}
	kind, rest, _ := strings.Cut(when, " ")
	switch {
	case kind == "exit" && rest != "":
		made.exits, err = exits(rest)
	case kind == "output" && rest != "":
		made.pattern, err = regexp.Compile("(?m)" + rest)
	default:
		err = fmt.Errorf(`write "%s: exit N" or "%s: output PATTERN"`, what, what)
	}
	return made, err
}

func exits(text string) ([]int, error) {
	var codes []int
	for _, word := range strings.Split(text, ",") {
		code, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || code < 0 || code > 255 {
			return nil, fmt.Errorf("%q is no exit code: they are 0 to 255", word)
		}
		codes = append(codes, code)
	}
	return codes, nil
}

// verdicts are the answers of verify, by their words.
var verdicts = []sdk.Verdict{sdk.Accepted, sdk.AcceptedMustChange, sdk.Rejected, sdk.Blocked, sdk.CannotTell}

// reserved are codes that no tool can say: they are about rekey itself.
var reserved = []sdk.Code{sdk.Internal, sdk.Cancelled, sdk.NotAccepted, sdk.Timeout, sdk.ConnectionLost}

func newMeaning(what string) (meaning, error) {
	if what == wordApplied || what == wordUnknown {
		return meaning{word: what}, nil
	}
	for _, verdict := range verdicts {
		if what == verdict.String() {
			return meaning{verdict: verdict, tried: true}, nil
		}
	}
	if status := sdk.Status(what); slices.Contains(sdk.Statuses(), status) {
		return meaning{status: status}, nil
	}
	name, detail, _ := strings.Cut(what, "/")
	code := sdk.Code(name)
	if !slices.Contains(sdk.Codes(), code) || slices.Contains(reserved, code) {
		return meaning{}, fmt.Errorf("%q is neither a code nor applied, unknown, a verdict or a status", name)
	}
	failure, err := refusal(code, detail)
	return meaning{failure: failure}, err
}

// refusal is a code with its detail.
func refusal(code sdk.Code, detail string) (*sdk.Error, error) {
	made := &sdk.Error{Code: code}
	switch rule, status := sdk.Rule(detail), sdk.Status(detail); {
	case code == sdk.PolicyViolation && detail == "":
		made.Violations = []sdk.Violation{{Rule: sdk.RuleOpaque}}
	case code == sdk.PolicyViolation:
		if !slices.Contains(sdk.Rules(), rule) {
			return nil, fmt.Errorf("%q is no rule; such are min_length, history, dictionary, opaque", detail)
		}
		made.Violations = []sdk.Violation{{Rule: rule}}
	case code == sdk.AccountStatus:
		if !slices.Contains(sdk.Statuses(), status) {
			return nil, fmt.Errorf("say which: AccountStatus/locked, AccountStatus/disabled, …")
		}
		made.AccountStatus = status
	case detail != "":
		return nil, fmt.Errorf("%s has no detail", code)
	}
	return made, nil
}

// fits reports whether an ending is what the rule is about, and where in the
// output that is said.
func (r rule) fits(end ending) (line string, ok bool) {
	if r.pattern == nil {
		return end.last(), slices.Contains(r.exits, end.Exit)
	}
	span := r.pattern.FindIndex(end.printed())
	if span == nil {
		return "", false
	}
	return lineAt(end.printed(), span[0]), true
}

// first returns the first rule that fits and that the question is about.
func (l rules) first(end ending, about func(meaning) bool) (rule, string, bool) {
	for _, rule := range l {
		if !about(rule.meaning) {
			continue
		}
		if line, ok := rule.fits(end); ok {
			return rule, line, true
		}
	}
	return rule{}, "", false
}

// has reports whether a rule has a meaning of that sort.
func (l rules) has(sort func(meaning) bool) bool {
	return slices.ContainsFunc(l, func(rule rule) bool { return sort(rule.meaning) })
}

// The sorts of meanings.
func ofOutcome(meaning meaning) bool { return meaning.word != "" || meaning.failure != nil }
func isApplied(meaning meaning) bool { return meaning.word == wordApplied }
func ofVerdict(meaning meaning) bool { return meaning.tried || meaning.failure != nil }
func isAccepted(meaning meaning) bool {
	return meaning.tried && meaning.verdict == sdk.Accepted
}
func ofAccount(meaning meaning) bool { return meaning.status != "" || meaning.failure != nil }

// receipt is what an ending says of a set or an unlock.
func (l rules) receipt(end ending) sdk.Receipt {
	switch {
	case !end.Started:
		return sdk.Refuse(end.Failure)
	case end.Failure != nil:
		return sdk.Lost(end.Failure)
	}
	rule, line, ok := l.first(end, ofOutcome)
	switch {
	case ok && rule.failure != nil:
		return sdk.Refuse(rule.told(end, line))
	case ok && rule.word == wordApplied:
		return sdk.OK()
	case ok:
		return sdk.Lost(end.fault(line))
	case end.Exit == 0 && !l.has(isApplied):
		return sdk.OK()
	case end.Exit == 0:
		return sdk.Lost(sdk.Errorf(sdk.TargetError, "%s: exit 0, and none of its answers that mean applied; %s", end.name, end.quoted(end.last())))
	}
	return sdk.Lost(end.fault(end.last()))
}

// verdict is what an ending says of a value.
func (l rules) verdict(end ending) (sdk.Verdict, *sdk.Error) {
	if end.Failure != nil {
		return sdk.CannotTell, end.Failure
	}
	rule, line, ok := l.first(end, ofVerdict)
	switch {
	case ok && rule.failure != nil:
		return sdk.CannotTell, rule.told(end, line)
	case ok:
		return rule.verdict, nil
	case end.Exit == 0 && !l.has(isAccepted):
		return sdk.Accepted, nil
	case end.Exit == 0:
		return sdk.CannotTell, nil
	}
	return sdk.CannotTell, end.fault(end.last())
}

// status is what an ending says of an account.
func (l rules) status(end ending) (sdk.Status, *sdk.Error) {
	if end.Failure != nil {
		return sdk.StatusUnknown, end.Failure
	}
	rule, line, ok := l.first(end, ofAccount)
	switch {
	case ok && rule.failure != nil:
		return sdk.StatusUnknown, rule.told(end, line)
	case ok:
		return rule.status, nil
	case end.Exit == 0:
		return sdk.StatusUnknown, nil
	}
	return sdk.StatusUnknown, end.fault(end.last())
}

// fault is why an ending is not a good one; nil if it is.
func (l rules) fault(end ending) *sdk.Error {
	switch {
	case end.Failure != nil:
		return end.Failure
	case end.Exit == 0:
		return nil
	}
	isFailure := func(meaning meaning) bool { return meaning.failure != nil }
	if rule, line, ok := l.first(end, isFailure); ok {
		return rule.told(end, line)
	}
	return end.fault(end.last())
}

// told is the refusal with the words of the tool.
func (r rule) told(end ending, line string) *sdk.Error {
	made := *r.failure
	made.Native = "exit " + strconv.Itoa(end.Exit)
	made.Message = end.name + ": " + end.quoted(line)
	return &made
}
