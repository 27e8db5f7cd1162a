package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gomodule/redigo/redis"

	"github.com/rekey-host/rekey/sdk"
)

// Apply sets one value.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.ApplyBatch(ctx, []sdk.Operation{op})[0]
}

// job is one operation on its way.
type job struct {
	op      sdk.Operation
	was     user
	settled bool
	receipt sdk.Receipt
}

func (j *job) settle(receipt sdk.Receipt) { j.receipt, j.settled = receipt, true }

// open are the jobs that are not settled.
func open(jobs []*job) []*job {
	var left []*job
	for _, job := range jobs {
		if !job.settled {
			left = append(left, job)
		}
	}
	return left
}

// ApplyBatch sends the commands of many operations at once, and makes them last
// with one save, which operations of other batches share.
func (i *Instance) ApplyBatch(ctx context.Context, ops []sdk.Operation) []sdk.Receipt {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	jobs := make([]*job, len(ops))
	for index, op := range ops {
		jobs[index] = &job{op: op}
		if failed := refuse(op); failed != nil {
			jobs[index].settle(sdk.Refuse(failed))
		}
	}
	receipts := make([]sdk.Receipt, len(jobs))
	asked := open(jobs)
	var failed *failure
	if len(asked) > 0 {
		failed = i.saver.do(ctx, asked)
	}
	for index, job := range jobs {
		if failed != nil && slices.Contains(asked, job) {
			receipts[index] = failed.receipt() // the job is still the round's
			continue
		}
		receipts[index] = job.receipt
	}
	return receipts
}

var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// refuse returns why an operation makes no sense whatever the user is.
func refuse(op sdk.Operation) *sdk.Error {
	if failed := refuseName(op.Account); failed != nil {
		return failed
	}
	if op.HashFormat != "" && !digestForm.MatchString(op.Value.Reveal()) {
		return sdk.Errorf(sdk.InvalidOperation, "hash_format: the value is not 64 digits of 0-9 and a-f")
	}
	return nil
}

// refuseName returns why no user can have the name.
func refuseName(account string) *sdk.Error {
	switch {
	case account == "":
		return sdk.Errorf(sdk.InvalidOperation, "account: the name is empty")
	case !utf8.ValidString(account):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: the name is not UTF-8", account)
	case strings.ContainsAny(account, " \t\n\v\f\r\x00"):
		return sdk.Errorf(sdk.AccountNotFound, "account %q: no user has a space, a line end or a NUL in its name", account)
	}
	return nil
}

// digest is what the server gets.
func (j *job) digest() string {
	if j.op.HashFormat != "" {
		return j.op.Value.Reveal()
	}
	sum := sha256.Sum256([]byte(j.op.Value.Reveal()))
	return hex.EncodeToString(sum[:])
}

// carry settles the jobs of a round. Before anything is set, the server has shown
// that it saves.
func (i *Instance) carry(ctx context.Context, round *round) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	jobs := round.waiting()
	if failed := i.saves(ctx); failed != nil {
		settle(jobs, &failure{err: failed})
		return
	}
	i.look(ctx, jobs)
	i.set(ctx, open(round.freeze()))
}

func settle(jobs []*job, failed *failure) {
	for _, job := range jobs {
		job.settle(failed.receipt())
	}
}

// saves returns why nothing that is set would last. A server that has saved the
// last time is not asked.
func (i *Instance) saves(ctx context.Context) *sdk.Error {
	if i.save == saveNone || i.saved {
		return nil
	}
	replies, failed := i.ask(ctx, []command{i.saving()})
	if failed != nil {
		return failed
	}
	if answer, ok := replies[0].(redis.Error); ok {
		refusal := explain(answer)
		refusal.Message = "nothing was set, for it could not be saved: " + refusal.Message
		return refusal
	}
	i.saved = true
	return nil
}

// saving is the command that makes what is set last.
func (i *Instance) saving() command {
	if i.save == saveConfig {
		return command{"CONFIG", "REWRITE"}
	}
	return command{"ACL", "SAVE"}
}

// look reads the users, and settles the jobs of those that there are not, or
// that must not be touched.
func (i *Instance) look(ctx context.Context, jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	names := make([]string, len(jobs))
	for index, job := range jobs {
		names[index] = job.op.Account
	}
	found, failed := i.before(ctx, names)
	for index, job := range jobs {
		switch self := i.self.Load(); {
		case failed != nil:
			job.settle((&failure{err: failed}).receipt())
		case self != nil && job.op.Account == *self:
			job.settle(sdk.Refuse(ofItself(job.op.Account)))
		case found[index] == nil:
			job.settle(sdk.Refuse(missing(job.op.Account)))
		default:
			job.was = *found[index]
		}
	}
}

func ofItself(account string) *sdk.Error {
	return sdk.Errorf(sdk.Protected, "account %q: rekey is logged in as it", account)
}

func missing(account string) *sdk.Error {
	return sdk.Errorf(sdk.AccountNotFound, "account %q: no such ACL user", account)
}

// set sends the digests and the save behind them as one.
func (i *Instance) set(ctx context.Context, jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	commands := make([]command, len(jobs), len(jobs)+1)
	for index, job := range jobs {
		commands[index] = command{"ACL", "SETUSER", job.op.Account, "resetpass", "#" + job.digest()}
		if keep, _ := job.op.Options["keep_others"].(bool); keep {
			commands[index] = command{"ACL", "SETUSER", job.op.Account, "#" + job.digest()}
		}
	}
	if i.save != saveNone {
		commands = append(commands, i.saving())
	}
	replies, failed := i.send(ctx, i.admin, commands)
	if failed != nil {
		i.saved = false
		settle(jobs, failed)
		return
	}
	taken := takenBy(jobs, replies)
	if i.save == saveNone || len(taken) == 0 {
		return
	}
	if answer, ok := replies[len(jobs)].(redis.Error); ok {
		i.saved = false
		i.putBack(ctx, taken, explain(answer))
	}
}

// takenBy settles jobs by the server's answers, and returns those that it took.
func takenBy(jobs []*job, replies []any) []*job {
	var taken []*job
	for index, job := range jobs {
		if answer, ok := replies[index].(redis.Error); ok {
			job.settle(sdk.Refuse(explain(answer)))
			continue
		}
		job.settle(sdk.OK())
		taken = append(taken, job)
	}
	return taken
}

// putBack gives users the passwords that they had before a save that failed, and
// saves that. Until it is saved, a save of another client may have taken in
// what was set meanwhile: such a job is not refused.
func (i *Instance) putBack(ctx context.Context, jobs []*job, why *sdk.Error) {
	settle(jobs, &failure{sent: true, err: &sdk.Error{Code: why.Code, Native: why.Native,
		Message: "the value was set and could not be saved; whether it was put back, and is so after a start of the server, is not known: " + why.Message}})
	commands := make([]command, len(jobs), len(jobs)+1)
	for index, job := range jobs {
		commands[index] = append(command{"ACL", "SETUSER", job.op.Account, "resetpass"}, job.was.restoring()...)
	}
	replies, lost := i.send(ctx, i.admin, append(commands, i.saving()))
	if lost != nil {
		return
	}
	if _, unsaved := replies[len(jobs)].(redis.Error); unsaved {
		return
	}
	i.saved = true
	for index, job := range jobs {
		if _, unchanged := replies[index].(redis.Error); !unchanged {
			job.settle(sdk.Refuse(&sdk.Error{Code: why.Code, Native: why.Native, Message: "the value was set, could not be saved, and was put back: " + why.Message}))
		}
	}
}

func notSent(why error) *sdk.Error {
	if errors.Is(why, context.Canceled) {
		return sdk.Errorf(sdk.Cancelled, "given up before anything was sent")
	}
	return sdk.Errorf(sdk.Timeout, "the time was over before anything was sent")
}

func notSaved(why error) *sdk.Error {
	return sdk.Errorf(sdk.Timeout, "whether the value was set and saved is not known: %v", why)
}

// meanings of the first word of an error.
var meanings = map[string]sdk.Code{
	"NOPERM":     sdk.PermissionDenied,
	"NOAUTH":     sdk.LoginExpired,
	"WRONGPASS":  sdk.LoginExpired,
	"LOADING":    sdk.TargetUnavailable,
	"BUSY":       sdk.TargetUnavailable,
	"MASTERDOWN": sdk.TargetUnavailable,
	"READONLY":   sdk.ReadOnly,
}

// explain is the error of an answer.
func explain(answer redis.Error) *sdk.Error {
	text := string(answer)
	word, _, _ := strings.Cut(text, " ")
	failure := &sdk.Error{Code: sdk.TargetError, Native: word, Message: "the server answers " + text}
	switch code, ok := meanings[word]; {
	case ok:
		failure.Code = code
	case strings.Contains(text, "max number of clients"):
		failure.Code = sdk.TargetUnavailable
	case strings.Contains(text, "not configured to use an ACL file"):
		failure.Code = sdk.InvalidConfig
		failure.Message += `; give it an aclfile, or say save = "config" or save = "none"`
	case strings.Contains(text, "without a config file"):
		failure.Code = sdk.InvalidConfig
		failure.Message += `; say save = "acl" or save = "none"`
	case strings.Contains(text, "ACL SETUSER modifier"), strings.Contains(text, "Usernames can't"):
		failure.Code = sdk.InvalidOperation
	}
	return failure
}

// refusedLogin is the error of a logon of rekey's own user.
func (i *Instance) refusedLogin(answer redis.Error) *sdk.Error {
	failure := explain(answer)
	if failure.Code == sdk.LoginExpired {
		failure.Message = "user " + strconv.Quote(i.user) + ": the server refuses the logon: " + string(answer)
	}
	return failure
}
