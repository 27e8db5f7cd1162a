package hashlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// anyRecord draws a record with every field in use now and then.
func anyRecord(t *rapid.T) journal.Record {
	text := rapid.SampledFrom([]string{"", "a", "set", canary, "\x00\xff", "Ann@Example.org"})
	number := rapid.SampledFrom([]int{0, 1, 2, 127, 128, 1 << 40})
	blob := rapid.SampledFrom([][]byte{nil, {0}, bytes.Repeat([]byte{7}, 300)})
	yes := rapid.Bool().Draw(t, "must change")
	r := journal.Record{Kind: journal.Kind(rapid.IntRange(1, 16).Draw(t, "kind")), Index: int64(number.Draw(t, "index")),
		At:   time.UnixMicro(rapid.Int64Range(-1<<50, 1<<53).Draw(t, "at")).UTC(),
		User: int64(number.Draw(t, "user")), Step: number.Draw(t, "step"), Try: number.Draw(t, "try"), Origin: number.Draw(t, "origin"),
		Verb: text.Draw(t, "verb"), Backend: text.Draw(t, "backend"), Account: text.Draw(t, "account"), Cred: text.Draw(t, "cred"),
		Outcome: sdk.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")), Code: sdk.Code(text.Draw(t, "code")),
		Sealed: blob.Draw(t, "sealed"), SealedOld: blob.Draw(t, "old")}
	r.Detail.Attempt = number.Draw(t, "attempt")
	r.Detail.Status = journal.Status(text.Draw(t, "status"))
	r.Detail.Digest = text.Draw(t, "digest")
	if rapid.Bool().Draw(t, "detail") {
		r.Detail.Message = canary
		r.Detail.MustChange = &yes
		r.Detail.Violations = []sdk.Violation{{Rule: sdk.RuleMinLength, Limit: 8, Message: "short"}}
		r.Detail.Account = &sdk.Account{Login: "ann", Attributes: map[string]string{"b": "1", "a": "2"}, Kinds: []string{"sip"}}
		r.Detail.Facts = map[string]string{"z": "1", "y": "2"}
		r.Detail.Counts = map[string]int64{"total": 3}
	}
	return r
}

func TestRecordSurvivesItsFrame(t *testing.T) {
	enc := Encoder{Key: &NamesKey{1}}
	rapid.Check(t, func(t *rapid.T) {
		want := anyRecord(t)
		f, err := FrameOf(&want)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := enc.Stored(nil, &f)
		var dec Decoder
		got, err := dec.Record(body)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

func TestRecordWithANegativeNumberHasNoFrame(t *testing.T) {
	for _, r := range []journal.Record{{User: -1}, {Step: -1}, {Try: -1}, {Origin: -1}, {Detail: journal.Detail{Attempt: -1}}} {
		if _, err := FrameOf(&r); err == nil {
			t.Errorf("FrameOf(%+v) gave no error", r)
		}
	}
}

func TestLeafIsOfPublicPartAndCommitment(t *testing.T) {
	key := NamesKey{3}
	enc := Encoder{Key: &key}
	f, err := FrameOf(&journal.Record{Kind: journal.Intent, Index: 5, User: 2, Account: "ann", Sealed: []byte("s")})
	must(t, err)
	_, got := enc.Stored(nil, &f)
	hidden := enc.commitment(key.recordSalt(5), f.appendPrivate(nil))
	if want := tlog.RecordHash(append(f.appendPublic(nil), hidden[:]...)); got != want {
		t.Fatalf("leaf = %v, want %v", got, want)
	}
}

// FuzzFrame holds that what decodes is canonical: it encodes to the same
// bytes, but for the sum behind it.
func FuzzFrame(f *testing.F) {
	enc := Encoder{Key: &NamesKey{1}}
	for _, r := range []journal.Record{
		{},
		{Kind: journal.Intent, Index: 300, User: 1, Step: 2, Try: 1, Verb: "set", Backend: "b", Account: "ann", Cred: "sip", Sealed: []byte("sealed"), SealedOld: []byte("old")},
		{Kind: journal.Outcome, Index: 1 << 40, User: 9, Outcome: sdk.Refused, Code: sdk.PolicyViolation, Detail: journal.Detail{Message: canary, Attempt: 3}},
		{Kind: journal.Finished, User: 1, Detail: journal.Detail{Status: journal.Done}, At: time.UnixMicro(-5)},
	} {
		x, err := FrameOf(&r)
		must(f, err)
		body, _ := enc.Stored(nil, &x)
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var dec Decoder
		x, err := dec.Split(body)
		if err != nil {
			return
		}
		again := x.appendPrivate(x.appendPublic(nil))
		if !bytes.Equal(again, body[:x.public+x.private]) {
			t.Fatalf("%x decodes to what encodes to %x", body, again)
		}
		if _, err := x.Record(); err != nil && len(x.Detail) == 0 {
			t.Fatal(err)
		}
	})
}

// TestNumberHasOneEncoding: as short as it can be, and of an int64.
func TestNumberHasOneEncoding(t *testing.T) {
	for _, c := range []struct {
		bytes []byte
		want  int64 // -1: refused
	}{
		{[]byte{0}, 0},
		{[]byte{127}, 127},
		{[]byte{0x80, 1}, 128},
		{binary.AppendUvarint(nil, math.MaxInt64), math.MaxInt64},
		{nil, -1},
		{[]byte{0x80}, -1},
		{[]byte{0x80, 0}, -1},
		{[]byte{0xff, 0x80, 0}, -1},
		{binary.AppendUvarint(nil, math.MaxInt64+1), -1},
		{binary.AppendUvarint(nil, math.MaxUint64), -1},
		{bytes.Repeat([]byte{0xff}, 11), -1},
	} {
		r := reader{rest: append([]byte(nil), c.bytes...)}
		if got := r.uint(); r.bad != (c.want < 0) || !r.bad && (got != c.want || len(r.rest) != 0) {
			t.Errorf("uint(%x) = %d, refused %v, want %d", c.bytes, got, r.bad, c.want)
		}
	}
	for _, c := range []struct {
		bytes []byte
		want  int64
		fine  bool
	}{
		{[]byte{0}, 0, true},
		{[]byte{1}, -1, true},
		{binary.AppendVarint(nil, math.MinInt64), math.MinInt64, true},
		{binary.AppendVarint(nil, math.MaxInt64), math.MaxInt64, true},
		{nil, 0, false},
		{[]byte{0x80}, 0, false},
		{[]byte{0x80, 0}, 0, false},
		{bytes.Repeat([]byte{0xff}, 11), 0, false},
	} {
		r := reader{rest: append([]byte(nil), c.bytes...)}
		if got := r.int(); r.bad == c.fine || c.fine && (got != c.want || len(r.rest) != 0) {
			t.Errorf("int(%x) = %d, refused %v, want %d", c.bytes, got, r.bad, c.want)
		}
	}
}

// TestFrameIsWholeOrNone: what lacks a byte, or has one more, is no record.
func TestFrameIsWholeOrNone(t *testing.T) {
	enc := Encoder{Key: &NamesKey{1}}
	f, err := FrameOf(&journal.Record{Kind: journal.Intent, User: 1, Step: 1, Verb: "set", Account: "ann", Sealed: []byte("x")})
	must(t, err)
	body, _ := enc.Stored(nil, &f)
	var dec Decoder
	for n := range body {
		if _, err := dec.Record(body[:n]); !errors.Is(err, ErrFrame) {
			t.Errorf("%d of %d bytes: %v", n, len(body), err)
		}
	}
	if _, err := dec.Record(append(body, 0)); !errors.Is(err, ErrFrame) {
		t.Errorf("a byte more: %v", err)
	}
}
