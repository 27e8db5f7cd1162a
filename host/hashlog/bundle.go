package hashlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rekey-host/rekey/host/journal"
)

// bundleFormat is the first field of a bundle: a JSON object that proves
// records to whoever has the public audit key and nothing else. After it
// come, in this order:
//
//	run       the run's name
//	complete  whether all rows and records are there; else each has a proof
//	withheld  whether names are
//	head      a signed head, golang.org/x/mod/sumdb/note; its text is
//	          rekey/run/RUN, the number of records and the root, a line each
//	records   array of leaves of the log, see Frame
//	rows      array of leaves of the plan, see Row
//
// A leaf is tlog.RecordHash(public || SHA-256(salt || private)); where names are
// withheld, hidden stands for salt and private. proof is a tlog.RecordProof:
// of a record in the tree of the head, of a row in the tree that the digest of
// the Planned record names (SIZE:ROOT). shows tells people what the bytes say;
// VerifyBundle refuses a bundle in which it does not. Sealed values are in the
// public part; nothing in a bundle opens them.
const bundleFormat = "rekey-audit-bundle/1"

// leaf is one element of a bundle.
type leaf struct {
	Shows   json.RawMessage  `json:"shows"`
	Public  []byte           `json:"public"`
	Private []byte           `json:"private,omitempty"`
	Salt    []byte           `json:"salt,omitempty"`
	Hidden  []byte           `json:"hidden,omitempty"`
	Proof   tlog.RecordProof `json:"proof,omitempty"`
}

// leafFields are the names in a leaf, as they are spelled.
var leafFields = []string{"shows", "public", "private", "salt", "hidden", "proof"}

// read decodes a leaf whose names are those, each once at most. Decoders differ in
// which of two they take, and in which they take for one: another than this could
// show what was not verified.
func (l *leaf) read(text []byte) error {
	in := json.NewDecoder(bytes.NewReader(text))
	if t, err := in.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("a leaf is %.20q, want an object", text)
	}
	seen := map[string]bool{}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return err
		}
		field, _ := name.(string)
		if seen[field] || !slices.Contains(leafFields, field) {
			return fmt.Errorf("a leaf has the field %.40q, which is unknown or there twice", field)
		}
		seen[field] = true
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			return err
		}
	}
	return json.Unmarshal(text, l)
}

// recordView is what a record's bytes say.
type recordView struct {
	Index   int64           `json:"index"`
	Kind    string          `json:"kind"`
	At      time.Time       `json:"at"`
	User    int64           `json:"user,omitempty"`
	Step    int64           `json:"step,omitempty"`
	Try     int64           `json:"try,omitempty"`
	Origin  int64           `json:"origin,omitempty"`
	Verb    string          `json:"verb,omitempty"`
	Backend string          `json:"backend,omitempty"`
	Account string          `json:"account,omitempty"`
	Cred    string          `json:"cred,omitempty"`
	Outcome string          `json:"outcome,omitempty"`
	Code    string          `json:"code,omitempty"`
	Status  string          `json:"status,omitempty"`
	Attempt int64           `json:"attempt,omitempty"`
	Digest  string          `json:"digest,omitempty"`
	Sealed  []byte          `json:"sealed,omitempty"`
	Old     []byte          `json:"sealed_old,omitempty"`
	Detail  json.RawMessage `json:"detail,omitempty"`
}

// rowView is what a row's bytes say.
type rowView struct {
	Pos    int64  `json:"pos"`
	Seq    int64  `json:"seq"`
	Wave   int    `json:"wave"`
	Key    string `json:"key,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func viewRecord(f *Frame) (json.RawMessage, error) {
	v := recordView{Index: f.Index, Kind: f.Kind.String(), At: time.UnixMicro(f.At).UTC(), User: f.User, Step: f.Step, Try: f.Try, Origin: f.Origin,
		Verb: f.Verb, Backend: f.Backend, Account: f.Account, Cred: f.Cred, Code: f.Code, Status: f.Status, Attempt: f.Attempt, Digest: f.Digest,
		Sealed: f.Sealed, Old: f.Old}
	if f.Kind == journal.Outcome || f.Kind == journal.Answer {
		v.Outcome = f.Outcome.String()
	}
	if json.Valid(f.Detail) {
		v.Detail = f.Detail
	}
	return json.Marshal(v)
}

// BundleHead is what a bundle says of itself.
type BundleHead struct {
	Run      string
	Complete bool   // it holds the whole log
	Withheld bool   // names, accounts and messages are left out
	Head     string // a signed head
}

// BundleWriter writes a bundle: Begin, Records, Rows and End, in that order.
type BundleWriter struct {
	w     io.Writer
	out   *json.Encoder
	names *NamesKey
	head  BundleHead
	enc   Encoder
	dec   Decoder
	first bool
}

// NewBundleWriter returns a writer of a bundle of a run with that key of its names.
func NewBundleWriter(w io.Writer, names *NamesKey, head BundleHead) *BundleWriter {
	b := &BundleWriter{w: w, out: json.NewEncoder(w), names: names, head: head, enc: Encoder{Key: names}}
	b.out.SetEscapeHTML(false)
	return b
}

// Begin writes what stands before the records.
func (b *BundleWriter) Begin() error {
	for _, field := range []struct {
		name  string
		value any
	}{{"format", bundleFormat}, {"run", b.head.Run}, {"complete", b.head.Complete}, {"withheld", b.head.Withheld}, {"head", b.head.Head}} {
		value, err := json.Marshal(field.value)
		if err != nil {
			return err
		}
		lead := ",\n"
		if field.name == "format" {
			lead = "{"
		}
		if _, err := fmt.Fprintf(b.w, "%s%q: %s", lead, field.name, value); err != nil {
			return err
		}
	}
	return nil
}

// Records writes the records for which fill calls Record, in order.
func (b *BundleWriter) Records(fill func() error) error { return b.array("records", fill) }

// Rows writes the rows for which fill calls Row, in order.
func (b *BundleWriter) Rows(fill func() error) error { return b.array("rows", fill) }

// End writes the end.
func (b *BundleWriter) End() error {
	_, err := io.WriteString(b.w, "}\n")
	return err
}

// array writes one array, a line each element.
func (b *BundleWriter) array(name string, fill func() error) error {
	if _, err := fmt.Fprintf(b.w, ",\n%q: [\n", name); err != nil {
		return err
	}
	b.first = true
	if err := fill(); err != nil {
		return err
	}
	_, err := io.WriteString(b.w, "]")
	return err
}

func (b *BundleWriter) element(l *leaf) error {
	if !b.first {
		if _, err := io.WriteString(b.w, ","); err != nil {
			return err
		}
	}
	b.first = false
	return b.out.Encode(l)
}

// Record writes a stored record, with its proof from a forest of the log; nil: the
// bundle is complete.
func (b *BundleWriter) Record(body []byte, proofs *Forest) error {
	f, err := b.dec.Split(body)
	if err != nil {
		return err
	}
	public, private := body[:f.public], body[f.public:f.public+f.private]
	l := leaf{Public: public}
	salt := b.names.recordSalt(f.Index)
	if b.head.Withheld {
		hidden := b.enc.commitment(salt, private)
		l.Hidden = hidden[:]
		f.Account, f.Detail = "", nil
	} else {
		l.Private, l.Salt = private, salt[:]
	}
	if l.Shows, err = viewRecord(&f); err != nil {
		return err
	}
	if proofs != nil {
		if l.Proof, err = proofs.prove(f.Index); err != nil {
			return err
		}
	}
	return b.element(&l)
}

// Row writes a row of the plan, which is in the wave of that index, with its proof
// from a forest of the plan; nil: the bundle is complete.
func (b *BundleWriter) Row(p *PlannedRow, wave int, proofs *Forest) error {
	v := rowView{Pos: p.Pos, Seq: p.Seq, Wave: wave}
	l := leaf{Public: appendRowPublic(nil, v.Pos, v.Seq, v.Wave)}
	if b.head.Withheld {
		var private []byte
		hidden := b.enc.HideRow(&private, &p.Row)
		l.Hidden = hidden[:]
	} else {
		v.Key, v.Reason = p.Key, p.Reason
		private, salt := b.enc.appendRowPrivate(nil, &p.Row)
		l.Private, l.Salt = private, salt[:]
	}
	var err error
	if l.Shows, err = json.Marshal(v); err != nil {
		return err
	}
	if proofs != nil {
		if l.Proof, err = proofs.prove(v.Pos - 1); err != nil {
			return err
		}
	}
	return b.element(&l)
}
