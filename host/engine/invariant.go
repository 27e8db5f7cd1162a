package engine

import (
	"errors"
	"fmt"
)

// ErrInvariant is in the chain of what Apply returns when it was about to break
// one of its own promises: a defect of rekey. The run stops before that.
var ErrInvariant = errors.New("rekey was about to break a promise of its own; please report it")

// durable are the requests of a frame whose intents are on the disk; the others
// are answered with an error, and not sent.
func durable(frame []*request) []*request {
	kept := frame[:0]
	for _, request := range frame {
		if !request.durable {
			request.end(reply{err: fmt.Errorf("%w: %s of %s would be sent before its value is in the ledger", ErrInvariant, request.op.Verb, request.op.Account)})
			continue
		}
		kept = append(kept, request)
	}
	return kept
}
