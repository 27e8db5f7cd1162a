package mysql

import (
	"cmp"
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// job is one operation on its way.
type job struct {
	op      sdk.Operation
	name    name
	clause  secret.Value // how the account is identified from now on
	hash    string       // what the server will keep; "": it makes that itself
	alone   bool         // not in a statement with others
	settled bool         // the receipt is final
	receipt sdk.Receipt
}

func (j *job) settle(receipt sdk.Receipt) { j.receipt, j.settled = receipt, true }

func (j *job) refuse(failure *sdk.Error) {
	copied := *failure
	j.settle(sdk.Refuse(&copied))
}

// Apply sets one value, or hands rekey's own account over.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.ApplyBatch(ctx, []sdk.Operation{op})[0]
}

// ApplyBatch sets many values with one statement. That is not atomic: where the
// server refuses it, it is asked which accounts have their hash, and those that
// have it not are set one by one, each with the answer that it gets. A handover is
// done by itself.
func (i *Instance) ApplyBatch(ctx context.Context, ops []sdk.Operation) []sdk.Receipt {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	jobs := make([]*job, len(ops))
	for index, op := range ops {
		jobs[index] = &job{op: op}
		name, failed := parse(op.Account)
		if failed == nil {
			failed = refuse(op)
		}
		if failed != nil {
			jobs[index].refuse(failed)
		}
		jobs[index].name = name
		if failed == nil && op.Verb == sdk.Handover {
			jobs[index].settle(i.handOver(ctx, op))
		}
	}
	i.do(ctx, jobs)
	receipts := make([]sdk.Receipt, len(jobs))
	for index, job := range jobs {
		receipts[index] = job.scrubbed()
	}
	return receipts
}

// refuse returns why an operation makes no sense whatever the account is.
func refuse(op sdk.Operation) *sdk.Error {
	switch {
	case op.Verb == sdk.Handover && (op.MustChange != nil || len(op.Options) > 0):
		return sdk.Errorf(sdk.Unsupported, "a handover takes neither must_change nor options")
	case op.HashFormat != "":
		return refuseHash(op.HashFormat, op.Value.Reveal())
	}
	return refuseValue(op.Value.Reveal())
}

// open are the jobs that are not settled.
func open(jobs []*job) []*job {
	return slices.DeleteFunc(slices.Clone(jobs), func(job *job) bool { return job.settled })
}

// do carries the jobs out over one connection. One that was dead before anything
// was sent is replaced.
func (i *Instance) do(ctx context.Context, jobs []*job) {
	for try := 0; len(open(jobs)) > 0; try++ {
		conn, failed := i.acquire(ctx)
		if failed != nil {
			for _, job := range open(jobs) {
				job.refuse(failed)
			}
			return
		}
		err := i.over(ctx, conn, open(jobs))
		_ = conn.Close() // it goes back to the pool
		if err == nil || lost(err) && try == 0 && ctx.Err() == nil {
			continue
		}
		for _, job := range open(jobs) {
			job.refuse(i.unread(err))
		}
	}
}

// over reads the accounts and changes them. Its error is of the reading.
func (i *Instance) over(ctx context.Context, conn *sql.Conn, jobs []*job) error {
	met, err := i.met(ctx, conn)
	if err != nil {
		return err
	}
	names := make([]name, len(jobs))
	for index, job := range jobs {
		names[index] = job.name
	}
	there, err := met.read(ctx, conn, names)
	if err != nil {
		return err
	}
	thread, err := i.thread(ctx, conn, met)
	if err != nil {
		return err
	}
	session := &session{instance: i, conn: conn, met: met, thread: thread}
	session.prepare(jobs, there)
	session.change(ctx, open(jobs))
	return nil
}

// session is a connection and what is known of its server.
type session struct {
	instance *Instance
	conn     *sql.Conn
	met      *server
	thread   thread
}

// prepare finds out what is to be sent for each job, and refuses those whose
// account does not bear it.
func (s *session) prepare(jobs []*job, there map[name]account) {
	seen := map[name]bool{}
	for _, job := range jobs {
		account, ok := there[job.name]
		failed := missing(job.op.Account, job.name)
		if ok {
			failed = s.met.protects(account)
		}
		if failed == nil {
			failed = s.identify(job, account)
		}
		if failed != nil {
			job.refuse(failed)
		}
		job.alone = job.alone || seen[job.name]
		seen[job.name] = true
	}
}

// protects refuses accounts that are none of rekey's business.
func (s *server) protects(account account) *sdk.Error {
	switch {
	case account.role:
		return sdk.Errorf(sdk.NoCredential, "account %q: a role", account.String())
	case account.name == s.self:
		return sdk.Errorf(sdk.Protected, "account %q: rekey is logged in as it", account.String())
	case slices.Contains(ofServer, account.user):
		return sdk.Errorf(sdk.Protected, "account %q: one of the server's own", account.String())
	case account.super && !s.super:
		return sdk.Errorf(sdk.Protected, "account %q: it has SUPER, and %s has it not", account.String(), s.self)
	case account.several:
		return sdk.Errorf(sdk.Unsupported, "account %q: it has several ways to log in, and a set would take the others away", account.String())
	case !takes(account.plugin):
		return sdk.Errorf(sdk.NoCredential, "account %q: it logs in by %s, not by a password of its own", account.String(), account.plugin)
	}
	return nil
}

// identify fills in the clause of a job.
func (s *session) identify(job *job, account account) *sdk.Error {
	plugin, value := account.plugin, job.op.Value.Reveal()
	plain := s.instance.send == sendValue
	job.hash = hashOf(plugin, value)
	if job.op.HashFormat != "" {
		plugin, job.hash, plain = job.op.HashFormat, value, false
	}
	retain, _ := job.op.Options["retain_current"].(bool)
	switch {
	case plugin == cachingSHA2 && s.met.maria, plugin == ed25519 && !s.met.maria:
		return sdk.Errorf(sdk.Unsupported, "hash_format: this server has no %s", plugin)
	case retain && !s.met.retains():
		return sdk.Errorf(sdk.Unsupported, "retain_current: only MySQL from 8.0.14 on keeps the old password")
	}
	text := s.met.clause(plugin, job.hash, value, plain)
	if retain {
		text += " RETAIN CURRENT PASSWORD"
	}
	job.clause = secret.New(text)
	// What a value meets is told of it alone, and an expiry is of a whole statement.
	job.alone = plain || job.hash == "" || job.op.MustChange != nil && *job.op.MustChange
	return nil
}

// clause says how an account is identified: by a hash, or by a value that the
// server looks at.
func (s *server) clause(plugin, hash, value string, plain bool) string {
	switch {
	case s.maria && plain && plugin == native:
		return "IDENTIFIED BY " + literal(value)
	case s.maria && plain:
		return "IDENTIFIED VIA " + plugin + " USING PASSWORD(" + literal(value) + ")"
	case s.maria:
		return "IDENTIFIED VIA " + plugin + " USING " + literal(hash)
	case plain || hash == "":
		return "IDENTIFIED WITH " + plugin + " BY " + literal(value)
	}
	return "IDENTIFIED WITH " + plugin + " AS " + literal(hash)
}

// change sends what is prepared: one statement for all, and one for each that
// has to be alone.
func (s *session) change(ctx context.Context, jobs []*job) {
	together := slices.DeleteFunc(slices.Clone(jobs), func(job *job) bool { return job.alone })
	if len(together) > 1 {
		s.alter(ctx, together)
	}
	left := open(jobs)
	for index := range left {
		s.alter(ctx, left[index:index+1])
	}
}

// alter sends one statement. Of one for many that was refused the jobs that have
// got their hash are settled, and no others.
func (s *session) alter(ctx context.Context, jobs []*job) {
	var accounts []string
	for _, job := range jobs {
		accounts = append(accounts, job.name.quoted()+" "+job.clause.Reveal())
	}
	text := "ALTER USER " + strings.Join(accounts, ", ")
	if must := jobs[0].op.MustChange; len(jobs) == 1 && must != nil && *must {
		text += " PASSWORD EXPIRE"
	}
	_, err := s.conn.ExecContext(ctx, text)
	answer, ok := answered(err)
	switch {
	case err == nil:
		settle(jobs, sdk.OK())
	case ok && answer.final() && len(jobs) > 1:
		s.whoHas(ctx, jobs)
	case ok && answer.final():
		jobs[0].refuse(s.explain(answer.reason(ctx, s.conn)))
	case ok:
		settle(jobs, sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "the server stopped before its answer: %s", answer.Message)))
	case errors.Is(err, sqldriver.ErrBadConn):
		settle(jobs, sdk.Refuse(sdk.Errorf(sdk.Unreachable, "the connection was lost before anything was sent")))
	case ctx.Err() != nil:
		s.cutOff(ctx, jobs, err)
	default:
		settle(jobs, sdk.Lost(s.instance.Lost(err)))
	}
}

func settle(jobs []*job, receipt sdk.Receipt) {
	for _, job := range jobs {
		job.settle(receipt)
		if receipt.Err != nil {
			copied := *receipt.Err
			job.receipt.Err = &copied
		}
	}
}

// explain is the error of a refusal, with what mends it.
func (s *session) explain(answer answer) *sdk.Error {
	failure := answer.failure()
	switch failure.Code {
	case sdk.InvalidConfig:
		failure.Message += `; a plugin that validates passwords is loaded: say send = "value", so that it sees them`
	case sdk.PermissionDenied:
		failure.Message += fmt.Sprintf("; %s needs CREATE USER", s.met.self)
	}
	return failure
}

// whoHas settles the jobs whose hash the server has.
func (s *session) whoHas(ctx context.Context, jobs []*job) {
	have, err := holding(ctx, s.conn, jobs)
	for _, job := range jobs {
		switch {
		case err != nil:
			job.settle(sdk.Lost(s.instance.Lost(err)))
		case have[job.name]:
			job.settle(sdk.OK())
		}
	}
}

// holding asks which accounts have the hash of their job.
func holding(ctx context.Context, conn *sql.Conn, jobs []*job) (map[name]bool, error) {
	var args []any
	for _, job := range jobs {
		args = append(args, job.name.user, job.name.host, job.hash)
	}
	triples := strings.TrimSuffix(strings.Repeat("(?,?,?),", len(jobs)), ",")
	rows, err := conn.QueryContext(ctx, "SELECT User, Host FROM mysql.user WHERE (User, Host, authentication_string) IN ("+triples+")", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	have := map[name]bool{}
	for rows.Next() {
		var found name
		if err := rows.Scan(&found.user, &found.host); err != nil {
			return nil, err
		}
		have[name{found.user, strings.ToLower(found.host)}] = true
	}
	return have, rows.Err()
}

// late is how long it may take to find out what became of a statement that was
// cut off.
const late = 400 * time.Millisecond

// cutOff settles jobs whose time was over: the statement is ended, and then the
// server is asked who has his hash.
func (s *session) cutOff(ctx context.Context, jobs []*job, err error) {
	settle(jobs, sdk.Lost(s.instance.Lost(cmp.Or(ctx.Err(), err))))
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), late)
	defer cancel()
	conn, failed := s.instance.acquire(after)
	if failed != nil {
		return
	}
	defer conn.Close()
	if !s.thread.over(after, conn, s.met) || slices.ContainsFunc(jobs, func(job *job) bool { return job.hash == "" }) {
		return
	}
	have, err := holding(after, conn, jobs)
	if err != nil {
		return
	}
	for _, job := range jobs {
		if have[job.name] {
			job.settle(sdk.OK())
			continue
		}
		job.refuse(job.receipt.Err)
	}
}

// gone reports whether a thread is over, within the time of ctx.
func gone(ctx context.Context, conn *sql.Conn, thread int64) bool {
	for ctx.Err() == nil {
		var count int
		if err := conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = ?", thread).Scan(&count); err != nil {
			return false
		}
		if count == 0 {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// scrubbed is the receipt without what a server says of the value.
func (j *job) scrubbed() sdk.Receipt {
	if j.receipt.Err == nil {
		return j.receipt
	}
	clean := func(text string) string {
		for _, plain := range []string{j.op.Value.Reveal(), j.hash} {
			if plain != "" {
				text = strings.ReplaceAll(text, plain, secret.Redacted)
			}
		}
		return text
	}
	j.receipt.Err.Message = clean(j.receipt.Err.Message)
	for index := range j.receipt.Err.Violations {
		j.receipt.Err.Violations[index].Message = clean(j.receipt.Err.Violations[index].Message)
	}
	return j.receipt
}

// Unlock lifts a lock (ACCOUNT UNLOCK).
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	name, failed := parse(op.Account)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	account, failed := i.look(ctx, op.Account, name)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	conn, failed := i.acquire(ctx)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	defer conn.Close()
	session := &session{instance: i, conn: conn, met: i.found.Load()}
	if failed := session.met.protects(account); failed != nil && failed.Code == sdk.Protected {
		return sdk.Refuse(failed)
	}
	_, err := conn.ExecContext(ctx, "ALTER USER "+name.quoted()+" ACCOUNT UNLOCK")
	answer, ok := answered(err)
	switch {
	case err == nil:
		return sdk.OK()
	case ok && answer.final():
		return sdk.Refuse(session.explain(answer.reason(ctx, conn)))
	case errors.Is(err, sqldriver.ErrBadConn):
		return sdk.Refuse(sdk.Errorf(sdk.Unreachable, "the connection was lost before anything was sent"))
	}
	return sdk.Lost(i.Lost(err))
}
