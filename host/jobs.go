package host

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// jobs hands the run of a session to the engine.
type jobs struct{ *Session }

// job returns what the engine applies.
func (j jobs) job(ctx, stop context.Context) (engine.Job, error) {
	schema, err := schemaOf(j.run)
	if err != nil {
		return engine.Job{}, err
	}
	approved, err := j.run.Approvals()
	if err != nil {
		return engine.Job{}, err
	}
	held, _, err := j.run.Hold()
	if err != nil {
		return engine.Job{}, err
	}
	host, runOptions := j.host, j.options
	job := engine.Job{
		ID: j.run.ID(), Journal: j.run, Vault: j.run, Plan: j.run, Backends: j.backends.list, Hooks: j.hooks, Row: rowReader(j.run, schema),
		Held: held, Approved: func(wave string) bool { return slices.Contains(approved, wave) },
		Scratch: host.store.Scratch(), Policy: j.flow.Policy, Revert: j.flow.Revert, Known: known(ctx, host, j.run.ID(), j.backends), KeyOf: j.run.KeyOf,
		Requestor: runOptions.Requestor, SourceSystem: runOptions.SourceSystem, LastRecord: j.gaveUp,
		Clock: host.Clock, Random: host.Random, Stop: stop, Panicked: host.Panicked, Crash: host.Crash,
		Notice: func(text string) { host.notices.say("%s", text) },
	}
	return job, j.waves(&job)
}

// waves adds the waves, with the failures that stand against each.
func (j jobs) waves(job *engine.Job) error {
	rules, err := wavesOf(j.run)
	if err != nil {
		return err
	}
	waves, err := j.run.WaveCounts()
	if err != nil {
		return err
	}
	job.Waves, job.Planned = rules, make([]int64, len(rules))
	for i, wave := range waves {
		job.Planned[i] = wave.Counts.Total
	}
	job.Failed, err = failedOf(j.run, rules, waves, nil)
	if j.options.OverThreshold {
		job.Failed, job.Waived = nil, job.Failed
	}
	return err
}

// schemaOf returns the schema of the source, as the ledger has it.
func schemaOf(run *ledger.Run) (source.Schema, error) {
	var schema source.Schema
	if err := json.Unmarshal(run.Header().Schema, &schema); err != nil {
		return schema, fmt.Errorf("schema of run %s: %w", run.ID(), err)
	}
	return schema, nil
}

// rowReader decodes the rows of a run's plan.
func rowReader(run *ledger.Run, schema source.Schema) func(ledger.User) (source.Row, error) {
	return func(user ledger.User) (source.Row, error) {
		row, err := source.Decode(schema, user.Row, secretCell(run, user.Seq))
		row.Line, row.Key = user.Line, user.Key
		return row, err
	}
}

// secretCell opens the secret cells of the row with that number.
func secretCell(run *ledger.Run, seq int64) func(string, []byte) (secret.Value, error) {
	return func(column string, sealed []byte) (secret.Value, error) {
		return run.UnsealCell(column, seq, sealed)
	}
}

// knownValue finds the newest value of an account that earlier runs know as
// applied.
type knownValue func(label, account, cred string) (secret.Value, bool, error)

// known returns how a revert finds the value to set back, also while the run is
// being cancelled: its keys were read before.
func known(ctx context.Context, host *Host, run string, opened *backends) knownValue {
	ctx = context.WithoutCancel(ctx)
	return func(label, account, cred string) (secret.Value, bool, error) {
		keys, err := host.keyring.keys(ctx)
		if err != nil {
			return secret.Value{}, false, err
		}
		for _, pin := range opened.pins {
			if pin.Label == label {
				return host.store.NewestApplied(keys, run, pin.Target(), account, cred)
			}
		}
		return secret.Value{}, false, nil
	}
}

// gaveUp returns when what earlier processes sent was given up at the latest: at
// the newest record, if the last process recorded its end. A killed process may
// have tried again and again since without a record: then it stays unknown.
func gaveUp(run *ledger.Run) (time.Time, error) {
	state, err := run.State()
	if err != nil || state == journal.StateRunning {
		return time.Time{}, err
	}
	return run.LastAt()
}
