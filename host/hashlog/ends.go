package hashlog

import "github.com/rekey-host/rekey/host/journal"

// Most users end with the outcome of their last step. One leaf then says both: the
// frame of the outcome has the status of the record Finished, which has its index, its
// time and its attempts, and nothing else to say.

// Ends reports whether end, which follows record, has nothing to say that the frame of
// record cannot say too: then one frame can be both.
func Ends(record, end *journal.Record) bool {
	reads := record.Kind == journal.Answer && record.Detail.Attempt == 0
	return end.Kind == journal.Finished && end.User == record.User && end.Code == "" && end.At.IsZero() && record.At.IsZero() &&
		(reads || record.Kind == journal.Outcome && record.Detail.Attempt == end.Detail.Attempt) &&
		record.Detail.Status == "" && end.Detail.Bare() && end.Detail.Status == journal.Done && end.Detail.Digest == ""
}

// EndWith makes the frame both records. Ends is true of them.
func (f *Frame) EndWith(end *journal.Record) {
	f.Status, f.Attempt = string(end.Detail.Status), int64(end.Detail.Attempt)
}

// TakeEnd takes the second record out of a frame that is two; ok is false for one that
// is not.
func (f *Frame) TakeEnd() (end Frame, ok bool) {
	if f.Status == "" || f.Kind != journal.Outcome && f.Kind != journal.Answer {
		return end, false
	}
	end = Frame{Kind: journal.Finished, Index: f.Index, At: f.At, User: f.User, Attempt: f.Attempt, Status: f.Status}
	if f.Status = ""; f.Kind == journal.Answer {
		f.Attempt = 0
	}
	return end, true
}

// Records calls fn with the records that the frame is, in their order. What it is given is
// used again.
func (f *Frame) Records(into *journal.Record, fn func(r *journal.Record) error) error {
	end, two := f.TakeEnd()
	err := f.Into(into)
	if err == nil {
		err = fn(into)
	}
	if err == nil && two {
		if err = end.Into(into); err == nil {
			err = fn(into)
		}
	}
	return err
}
