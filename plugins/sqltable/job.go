package sqltable

import (
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// job is one operation on its way.
type job struct {
	op      sdk.Operation
	held    hashed // what the row gets; of ha1 not before the row is read
	settled bool
	receipt sdk.Receipt
}

func (j *job) settle(receipt sdk.Receipt) { j.receipt, j.settled = receipt, true }

func (j *job) refuse(failure *sdk.Error) {
	copied := *failure
	j.settle(sdk.Refuse(&copied))
}

func (j *job) lose(failure *sdk.Error) {
	copied := *failure
	j.settle(sdk.Lost(&copied))
}

// open are the jobs that are not settled.
func open(jobs []*job) []*job {
	return slices.DeleteFunc(slices.Clone(jobs), func(job *job) bool { return job.settled })
}

// scrubbed is the receipt without what a database says of the value or of its
// hash.
func (j *job) scrubbed() sdk.Receipt {
	if j.receipt.Err == nil {
		return j.receipt
	}
	for _, plain := range []string{j.op.Value.Reveal(), j.held.text, j.held.data} {
		if plain != "" {
			j.receipt.Err.Message = strings.ReplaceAll(j.receipt.Err.Message, plain, secret.Redacted)
		}
	}
	return j.receipt
}
