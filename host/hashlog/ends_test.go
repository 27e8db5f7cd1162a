package hashlog

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// TestAFrameOfTwoRecordsGivesBackBoth, whatever the first one is.
func TestAFrameOfTwoRecordsGivesBackBoth(t *testing.T) {
	two, one := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		record := anyRecord(rt)
		end := journal.Record{Kind: journal.Finished, User: record.User, Detail: journal.Detail{Status: journal.Done, Attempt: record.Detail.Attempt}}
		if rapid.IntRange(0, 3).Draw(rt, "fits") > 0 {
			record.Kind, record.At, record.Detail.Status = rapid.SampledFrom([]journal.Kind{journal.Outcome, journal.Answer}).Draw(rt, "of"), time.Time{}, ""
			if record.Kind == journal.Answer {
				record.Detail.Attempt = 0
			}
		}
		if !Ends(&record, &end) {
			one++
			return
		}
		two++
		record.At = time.UnixMicro(17).UTC()
		end.At, end.Index = record.At, record.Index
		f, err := FrameOf(&record)
		if err != nil {
			rt.Fatal(err)
		}
		f.EndWith(&end)
		body, _ := (&Encoder{Key: &NamesKey{}}).Stored(nil, &f)
		f, err = (&Decoder{}).Split(body)
		if err != nil {
			rt.Fatal(err)
		}
		var got []journal.Record
		err = f.Records(&journal.Record{}, func(r *journal.Record) error {
			got = append(got, *r)
			return nil
		})
		if d := cmp.Diff([]journal.Record{record, end}, got); d != "" || err != nil {
			rt.Fatal(d, err)
		}
	})
	if two == 0 || one == 0 {
		t.Errorf("%d pairs were one frame, %d were not", two, one)
	}
}

// TestOnlyAPlainEndFitsAFrame: whatever it has to say would be lost.
func TestOnlyAPlainEndFitsAFrame(t *testing.T) {
	record := journal.Record{Kind: journal.Outcome, User: 3, Outcome: sdk.Applied, Detail: journal.Detail{Attempt: 1}}
	plain := journal.Record{Kind: journal.Finished, User: 3, Detail: journal.Detail{Status: journal.Done, Attempt: 1}}
	if !Ends(&record, &plain) {
		t.Fatal("a plain end does not fit")
	}
	for name, change := range map[string]func(r, end *journal.Record){
		"another user":       func(_, end *journal.Record) { end.User = 4 },
		"another kind":       func(_, end *journal.Record) { end.Kind = journal.Answer },
		"a code":             func(_, end *journal.Record) { end.Code = sdk.Conflict },
		"a time":             func(_, end *journal.Record) { end.At = time.Unix(1, 0) },
		"a status":           func(_, end *journal.Record) { end.Detail.Status = journal.Failed },
		"a message":          func(_, end *journal.Record) { end.Detail.Message = "x" },
		"no change":          func(_, end *journal.Record) { end.Detail.Unchanged = true },
		"more attempts":      func(_, end *journal.Record) { end.Detail.Attempt = 2 },
		"a digest":           func(_, end *journal.Record) { end.Detail.Digest = "x" },
		"an intent":          func(r, _ *journal.Record) { r.Kind = journal.Intent },
		"a time before":      func(r, _ *journal.Record) { r.At = time.Unix(1, 0) },
		"a status before":    func(r, _ *journal.Record) { r.Detail.Status = journal.Done },
		"an answer's number": func(r, _ *journal.Record) { r.Kind = journal.Answer },
	} {
		r, end := record, plain
		if change(&r, &end); Ends(&r, &end) {
			t.Errorf("%s fits", name)
		}
	}
}
