package ledger

import (
	"bytes"
	"math"
	"slices"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// handed is a value sent as the password that a backend logs in with.
type handed struct {
	backend   string
	user      int64
	step, try int64
	sealed    []byte
}

// Handed returns, by label, the values that the run has sent by Handover and that
// may be in force, newest first: one of them, or the configured one, is what the
// backend logs in with. Those that were refused, and those before one that took
// effect, are not among them: each would be a failed logon. It reads all records.
func (r *Run) Handed() (map[string][]secret.Value, error) {
	var sent []handed
	err := r.reading(func(c storage) error {
		var dec hashlog.Decoder
		sent = nil // it may be read once more
		return eachRecord(c, 0, math.MaxInt64, func(found *hashlog.Stored) error {
			if named := bytes.Contains(found.Body, []byte(journal.Handover)); !named && (found.Kind != journal.Outcome || len(sent) == 0) {
				return nil
			}
			f, err := dec.Split(found.Body)
			if err == nil {
				sent = handedBy(sent, &f)
			}
			return err
		})
	})
	if err != nil {
		return nil, ofRun(r.id, err)
	}
	values := map[string][]secret.Value{}
	for _, h := range slices.Backward(sent) {
		value, err := r.Unseal(h.user, int(h.step), int(h.try), journal.RoleValue, h.sealed)
		if err != nil {
			return nil, ofRun(r.id, err)
		}
		values[h.backend] = append(values[h.backend], value)
	}
	return values, nil
}

// handedBy takes the next intent or outcome over.
func handedBy(sent []handed, f *hashlog.Frame) []handed {
	switch {
	case f.Kind == journal.Intent && f.Verb == journal.Handover:
		return append(sent, handed{f.Backend, f.User, f.Step, f.Try, slices.Clone(f.Sealed)})
	case f.Kind == journal.Outcome && f.Outcome == sdk.Refused:
		return slices.DeleteFunc(sent, func(h handed) bool { return h.of(f) })
	case f.Kind == journal.Outcome && (f.Outcome == sdk.Applied || f.Outcome == sdk.AlreadyApplied):
		at := slices.IndexFunc(sent, func(h handed) bool { return h.of(f) })
		if at < 0 {
			return sent
		}
		older := sent[at] // a value is sent only when none of those before can arrive any more
		return append(slices.DeleteFunc(sent[:at:at], func(h handed) bool { return h.backend == older.backend }), sent[at:]...)
	}
	return sent
}

// of reports whether an outcome is that of the value.
func (h *handed) of(f *hashlog.Frame) bool {
	return h.user == f.User && h.step == f.Step && h.try == f.Try
}
