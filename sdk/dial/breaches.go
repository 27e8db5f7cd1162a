package dial

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// Breach is a way to break the contract, in words that a count follows.
type Breach string

// The breaches. None of them is believed: what the host makes of each is said
// at Instance.Submit.
const (
	OddAnswers       Breach = "answers to operations that had one, or were never sent"
	AppliedWithError Breach = "receipts that say applied, with an error"
	NoReason         Breach = "receipts without a reason"
	UnknownOutcome   Breach = "outcomes or codes that the contract does not have"
	Undeclared       Breach = "abilities that its description does not declare"
	Noise            Breach = "lines on standard output, which belongs to the handshake"
	Changing         Breach = "starts at which it described itself otherwise"
)

// Breaches counts what a plugin does against the contract, in all its
// processes. It is safe for concurrent use; a nil one counts nothing.
type Breaches struct {
	mu     sync.Mutex
	counts map[Breach]int
}

// Note counts one. It reports whether it is the first of its kind.
func (b *Breaches) Note(breach Breach) (first bool) {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts == nil {
		b.counts = map[Breach]int{}
	}
	b.counts[breach]++
	return b.counts[breach] == 1
}

// List returns each kind with its count, "answers to … (50)", sorted.
func (b *Breaches) List() []string {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, breach := range slices.Sorted(maps.Keys(b.counts)) {
		list = append(list, fmt.Sprintf("%s (%d)", breach, b.counts[breach]))
	}
	return list
}

// receipt counts what is wrong with a receipt before it is decoded.
func (b *Breaches) receipt(receipt *pb.Receipt, decoded sdk.Receipt) {
	outcome, failure := receipt.GetOutcome(), receipt.GetError()
	applied := outcome == pb.Outcome_OUTCOME_APPLIED || outcome == pb.Outcome_OUTCOME_ALREADY_APPLIED
	_, known := pb.Outcome_name[int32(outcome)]
	switch {
	case applied && failure != nil:
		b.Note(AppliedWithError)
	case !known, failure != nil && failure.GetCode() != string(decoded.Err.Code):
		b.Note(UnknownOutcome)
	case !applied && failure == nil:
		b.Note(NoReason)
	}
}
