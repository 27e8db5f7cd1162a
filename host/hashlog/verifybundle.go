package hashlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rekey-host/rekey/host/journal"
)

// Bundle is what a verified bundle proves.
type Bundle struct {
	Run      string
	Size     int64  // records in the log under the head
	Head     string // SIZE:HASH
	Signer   string // name of the key that signed it
	Complete bool   // it is the whole log: nothing was left out
	Withheld bool   // names are hidden
	Rows     int64
	Records  int64
	OK       bool
	Problems []Problem
	More     int
}

// VerifyBundle checks a bundle offline: the head's signature, and that each
// leaf is under it and shows what its bytes say. vkey is what Signer.VerifierKey returns. Each
// proved record is passed to record, unless nil. The error is for a text that
// is not a bundle, or not a key, at all; a failed proof is a Problem.
func VerifyBundle(rd io.Reader, vkey string, record func(journal.Record) error) (Bundle, error) {
	verifier, err := newVerifier(vkey)
	if err != nil {
		return Bundle{}, errors.New("key: not one that rekey audit key prints")
	}
	b := &bundleCheck{in: json.NewDecoder(rd), verifier: verifier, record: record, audit: Audit{OK: true}, users: map[int64]bool{}}
	if err := b.read(); err != nil {
		return Bundle{}, fmt.Errorf("bundle: %w", err)
	}
	b.out.OK, b.out.Problems, b.out.More = b.audit.OK, b.audit.Problems, b.audit.More
	return b.out, nil
}

// bundleCheck is one bundle on its way in.
type bundleCheck struct {
	in       *json.Decoder
	verifier *Verifier
	record   func(journal.Record) error
	audit    Audit
	out      Bundle

	enc        Encoder
	dec        Decoder
	root       Hash
	log        Frontier // of a complete bundle
	plan       Frontier
	planSize   int64
	planRoot   Hash
	users      map[int64]bool // who has records; true once the row is seen
	nextRecord int64          // the least index that may follow
	nextRow    int64          // the least position that may follow
}

// read takes the object apart, an element at a time.
func (b *bundleCheck) read() error {
	if err := b.delim('{'); err != nil {
		return err
	}
	format, head := "", ""
	for _, field := range []struct {
		name string
		into any
	}{{"format", &format}, {"run", &b.out.Run}, {"complete", &b.out.Complete}, {"withheld", &b.out.Withheld}, {"head", &head}} {
		if err := b.name(field.name); err != nil {
			return err
		}
		if err := b.in.Decode(field.into); err != nil {
			return err
		}
		if field.name == "format" && format != bundleFormat {
			return fmt.Errorf("format %q, want %q", format, bundleFormat)
		}
	}
	if err := b.head(head); err != nil {
		return err
	}
	if err := b.array("records", b.takeRecord); err != nil {
		return err
	}
	if err := b.array("rows", b.takeRow); err != nil {
		return err
	}
	b.end()
	if err := b.delim('}'); err != nil {
		return err
	}
	if _, err := b.in.Token(); !errors.Is(err, io.EOF) { // readers of the file would take it for proved
		b.audit.General("bundle: something follows its end, and nothing proves it")
	}
	return nil
}

func (b *bundleCheck) delim(want json.Delim) error {
	t, err := b.in.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%v, want %v", t, want)
	}
	return nil
}

func (b *bundleCheck) name(want string) error {
	t, err := b.in.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("field %v, want %q", t, want)
	}
	return nil
}

func (b *bundleCheck) array(name string, take func(l *leaf) error) error {
	if err := b.name(name); err != nil {
		return err
	}
	if err := b.delim('['); err != nil {
		return err
	}
	for b.in.More() {
		var text json.RawMessage
		if err := b.in.Decode(&text); err != nil {
			return err
		}
		var l leaf
		if err := l.read(text); err != nil {
			return err
		}
		if err := take(&l); err != nil {
			return err
		}
	}
	return b.delim(']')
}

func (b *bundleCheck) head(text string) error {
	run, size, root, err := ParseHead(text)
	if err != nil {
		return err
	}
	b.out.Size, b.out.Head, b.root = size, HeadString(size, root), root
	n, err := note.Open([]byte(text), note.VerifierList(b.verifier.Verifier))
	switch {
	case err != nil:
		b.audit.General("head: it is not signed with this key")
	case n.Text != HeadText(run, size, root) || run != b.out.Run:
		b.audit.General("head: it is of another run")
	default:
		b.out.Signer = n.Sigs[0].Name
	}
	return nil
}

// hash returns the hash of a leaf.
func (b *bundleCheck) hash(l *leaf) (Hash, error) {
	if b.out.Withheld {
		if len(l.Hidden) != 32 || len(l.Private)+len(l.Salt) > 0 {
			return Hash{}, errors.New("a leaf without a hidden part, although names are withheld")
		}
		return b.enc.leafOf(l.Public, [32]byte(l.Hidden)), nil
	}
	if len(l.Salt) != 16 {
		return Hash{}, errors.New("a leaf without a salt")
	}
	return b.enc.leafOf(l.Public, b.enc.commitment([16]byte(l.Salt), l.Private)), nil
}

// shown compares what a leaf shows with what its bytes say.
func shown(l *leaf, says json.RawMessage) bool {
	var have, want bytes.Buffer
	return json.Compact(&have, l.Shows) == nil && json.Compact(&want, says) == nil && bytes.Equal(have.Bytes(), want.Bytes())
}

func (b *bundleCheck) takeRecord(l *leaf) error {
	place := b.out.Records
	b.out.Records++
	hash, err := b.hash(l)
	if err != nil {
		return err
	}
	stored := append([]byte(nil), l.Public...)
	if b.out.Withheld {
		stored = append(stored, 0, 0) // no account, no detail
	} else {
		stored = append(stored, l.Private...)
	}
	f, err := b.dec.Split(append(stored, hash[:sumSize]...))
	if err != nil {
		b.audit.Add(Problem{Index: place, Message: "its bytes are no record"})
		return nil
	}
	problem := Problem{Index: f.Index, User: f.User, Step: int(f.Step)}
	says, err := viewRecord(&f)
	switch {
	case err != nil:
		return err
	case !shown(l, says):
		problem.Message = "it shows something else than its bytes say"
	case b.out.Complete && f.Index != place:
		problem.Message = fmt.Sprintf("it stands at place %d", place)
	case f.Index < b.nextRecord:
		problem.Message = fmt.Sprintf("it stands behind record %d: a second time, or out of order", b.nextRecord-1)
	case !b.out.Complete && tlog.CheckRecord(l.Proof, b.out.Size, b.root, f.Index, hash) != nil:
		problem.Message = "it is not in the log: its proof fails"
	}
	if b.out.Complete {
		b.log.Push(hash)
	}
	if problem.Message != "" {
		b.audit.Add(problem)
		return nil
	}
	b.nextRecord = f.Index + 1
	return b.proved(&f)
}

// proved takes a proved record over.
func (b *bundleCheck) proved(f *Frame) error {
	if f.Kind == journal.Planned {
		var err error
		if b.planSize, b.planRoot, err = ParsePlanDigest(f.Digest); err != nil {
			return err
		}
	}
	if f.User > 0 {
		b.users[f.User] = false
	}
	if b.record == nil {
		return nil
	}
	return f.Records(&journal.Record{}, func(r *journal.Record) error { return b.record(*r) })
}

func (b *bundleCheck) takeRow(l *leaf) error {
	b.out.Rows++
	hash, err := b.hash(l)
	if err != nil {
		return err
	}
	v, err := b.rowOf(l)
	if err != nil {
		b.audit.General("row %d: %v", b.out.Rows, err)
		return nil
	}
	problem := Problem{Index: -1, User: v.Pos, Key: v.Key}
	says, err := json.Marshal(v)
	switch {
	case err != nil:
		return err
	case !shown(l, says):
		problem.Message = "its row of the plan shows something else than its bytes say"
	case b.out.Complete && v.Pos != b.out.Rows:
		problem.Message = "its row of the plan stands elsewhere"
	case v.Pos < b.nextRow:
		problem.Message = "its row of the plan stands there a second time, or out of order"
	case !b.out.Complete && tlog.CheckRecord(l.Proof, b.planSize, b.planRoot, v.Pos-1, hash) != nil: // nor if no record tells the plan: its size is 0
		problem.Message = "its row is not in the plan: its proof fails"
	}
	if b.out.Complete {
		b.plan.Push(hash)
	}
	if problem.Message != "" {
		b.audit.Add(problem)
	} else {
		b.nextRow = v.Pos + 1
	}
	b.users[v.Pos] = true
	return nil
}

// rowOf reads the bytes of a row.
func (b *bundleCheck) rowOf(l *leaf) (rowView, error) {
	if len(l.Public) != rowPublicSize || l.Public[0] != frameVersion {
		return rowView{}, errors.New("its bytes are no row")
	}
	v := parseRowPublic(l.Public)
	if b.out.Withheld {
		return v, nil
	}
	r := reader{rest: l.Private}
	v.Key, v.Reason = string(r.bytes()), string(r.bytes())
	if cells := r.bytes(); len(cells) != 32 || len(r.rest) != 0 { // nor 32 bytes long where an earlier part is missing
		return v, errors.New("its bytes are no row")
	}
	return v, nil
}

// end checks what only the whole bundle tells.
func (b *bundleCheck) end() {
	for user, seen := range b.users {
		if !seen {
			b.audit.Add(Problem{Index: -1, User: user, Message: "there are records, but no row of the plan"})
		}
	}
	if !b.out.Complete {
		return
	}
	if b.log.Root() != b.root {
		b.audit.General("log: %d records that do not make up the signed head over %d", b.log.Size, b.out.Size)
	}
	if b.plan.Root() != b.planRoot {
		b.audit.General("plan: %d rows that do not make up the plan of %d that was frozen", b.plan.Size, b.planSize)
	}
}
