package ledger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
)

// bundleFormat is the first field of a bundle: a JSON object that proves
// records to somebody who has the public audit key and nothing else. After it
// come, in this order:
//
//	run       the run's name
//	complete  whether all rows and records are there; else each has a proof
//	withheld  whether names are
//	head      a signed head, golang.org/x/mod/sumdb/note; its text is
//	          rekey/run/RUN, the number of records and the root, a line each
//	records   array of leaves of the log, see frame
//	rows      array of leaves of the plan, see appendRowPublic
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

func viewRecord(f *frame) (json.RawMessage, error) {
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

// ExportOptions says what a bundle holds.
type ExportOptions struct {
	Keys     []string // the users whose records it proves; nil: the whole log
	Withhold bool     // names, accounts and messages are left out
}

// Export writes a bundle: the records of users with proofs that they are in
// the log under its newest signed head, or the whole log. It signs a head
// first if the newest is not of the last record. A bundle of some users does
// not prove that they have no other records; one of the whole log does.
func (r *Run) Export(w io.Writer, o ExportOptions) error {
	text, err := r.freshHead()
	if err != nil {
		return ofRun(r.id, err)
	}
	_, size, root, err := parseHead(text)
	if err != nil {
		return ofRun(r.id, err)
	}
	e := &export{run: r, o: o, size: size, out: json.NewEncoder(w), w: w}
	e.out.SetEscapeHTML(false)
	if err := e.chosen(); err != nil {
		return ofRun(r.id, err)
	}
	return ofRunOrNil(r.id, r.reading(func(c *conn) error {
		e.c = c
		if e.log, err = logOf(c); err != nil {
			return err
		}
		return e.write(text, root)
	}))
}

func ofRunOrNil(id string, err error) error {
	if err == nil {
		return nil
	}
	return ofRun(id, err)
}

// Prove returns the bundle of one user, names shown.
func (r *Run) Prove(key string) ([]byte, error) {
	var out bytes.Buffer
	err := r.Export(&out, ExportOptions{Keys: []string{key}})
	return out.Bytes(), err
}

// freshHead returns the newest signed head, signing one first if records came
// after it and this medium can be written.
func (r *Run) freshHead() (string, error) {
	text, err := r.Checkpoint()
	if err != nil {
		return "", err
	}
	size, head, err := r.unsignedHead()
	if err != nil {
		return "", err
	}
	_, have, root, herr := parseHead(text)
	if headString(have, root) == head {
		return text, nil
	}
	err = r.signElsewhere()
	switch {
	case err == nil:
		return r.Checkpoint()
	case herr != nil:
		return "", fmt.Errorf("no signed head covers its %d records: %w", size, err)
	}
	r.uncovered = size - have
	return text, nil
}

// Uncovered is how many records at the end of the log the last Export left out:
// no signed head covers them, and none could be signed.
func (r *Run) Uncovered() int64 { return r.uncovered }

// signElsewhere signs a head through a writer of its own, or the run's.
func (r *Run) signElsewhere() error {
	if r.writer != nil {
		_, _, err := r.SignHead()
		return err
	}
	w, err := newWriter(r)
	if err != nil {
		return err
	}
	defer w.db.close()
	if err := w.db.run(othersFold); err != nil {
		return err
	}
	return w.db.within(func() error {
		if err := w.catchUp(); err != nil {
			return err
		}
		return w.signHead(r.store.now())
	})
}

// export is one bundle on its way out.
type export struct {
	run   *Run
	o     ExportOptions
	c     *conn
	log   *log
	size  int64
	users map[int64]bool // nil: all
	out   *json.Encoder
	w     io.Writer
	enc   encoder
	dec   decoder
	first bool
}

// chosen finds the users.
func (e *export) chosen() error {
	e.enc.key = &e.run.names
	if e.o.Keys == nil {
		return nil
	}
	e.users = map[int64]bool{}
	for _, key := range e.o.Keys {
		found := false
		err := e.run.reading(func(c *conn) error {
			l, err := logOf(c)
			if err != nil {
				return err
			}
			list, err := l.positions(diag.Fold(key))
			for _, pos := range list {
				e.users[pos], found = true, true
			}
			return err
		})
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: %q", ErrNoUser, key)
		}
	}
	return nil
}

func (e *export) write(text string, root tlog.Hash) error {
	for _, field := range []struct {
		name  string
		value any
	}{{"format", bundleFormat}, {"run", e.run.id}, {"complete", e.users == nil}, {"withheld", e.o.Withhold}, {"head", text}} {
		value, err := json.Marshal(field.value)
		if err != nil {
			return err
		}
		lead := ",\n"
		if field.name == "format" {
			lead = "{"
		}
		if _, err := fmt.Fprintf(e.w, "%s%q: %s", lead, field.name, value); err != nil {
			return err
		}
	}
	if err := e.array("records", e.records); err != nil {
		return err
	}
	if err := e.array("rows", e.rows); err != nil {
		return err
	}
	_, err := io.WriteString(e.w, "}\n")
	return err
}

// array writes one array, a line each element.
func (e *export) array(name string, fill func() error) error {
	if _, err := fmt.Fprintf(e.w, ",\n%q: [\n", name); err != nil {
		return err
	}
	e.first = true
	if err := fill(); err != nil {
		return err
	}
	_, err := io.WriteString(e.w, "]")
	return err
}

func (e *export) element(l *leaf) error {
	if !e.first {
		if _, err := io.WriteString(e.w, ","); err != nil {
			return err
		}
	}
	e.first = false
	return e.out.Encode(l)
}

func (e *export) records() error {
	var proofs *forest
	if e.users != nil {
		proofs = newForest(e.size, func(from, to int64, yield func(tlog.Hash)) error {
			return e.log.each(from, to, func(r *stored) error {
				f, public, private, err := e.dec.split(r.body)
				if err == nil {
					yield(e.enc.leaf(r.body[:public], r.body[public:public+private], f.Index))
				}
				return err
			})
		})
		if err := e.build(proofs, treeOfLog); err != nil {
			return err
		}
	}
	return e.wanted(func(body []byte) error { return e.record(body, proofs) })
}

// wanted calls fn for the records of the bundle, in order; the first two, which
// name header and plan, are always among them.
func (e *export) wanted(fn func(body []byte) error) error {
	if e.users == nil {
		return e.log.each(0, e.size, func(r *stored) error { return fn(r.body) })
	}
	var list []place
	err := e.log.each(0, min(draftSize, e.size), func(r *stored) error {
		list = append(list, place{id: r.id, frame: r.body})
		return nil
	})
	if err != nil {
		return err
	}
	users := &byUser{log: e.log}
	for pos := range e.users {
		if err := users.between(pos, pos, func(_ int64, records []place) error {
			list = append(list, records...)
			return nil
		}); err != nil {
			return err
		}
	}
	slices.SortFunc(list, func(p, q place) int { return cmp.Compare(p.id, q.id) })
	for _, p := range list {
		if p.id > e.size {
			break
		}
		if err := fn(p.frame); err != nil {
			return err
		}
	}
	return nil
}

func (e *export) record(body []byte, proofs *forest) error {
	f, public, private, err := e.dec.split(body)
	if err != nil {
		return err
	}
	l := leaf{Public: body[:public]}
	salt := e.run.names.recordSalt(f.Index)
	if e.o.Withhold {
		hidden := e.enc.commitment(salt, body[public:public+private])
		l.Hidden = hidden[:]
		f.Account, f.Detail = "", nil
	} else {
		l.Private, l.Salt = body[public:public+private], salt[:]
	}
	if l.Shows, err = viewRecord(&f); err != nil {
		return err
	}
	if proofs != nil {
		if l.Proof, err = tlog.ProveRecord(e.size, f.Index, proofs); err != nil {
			return err
		}
	}
	return e.element(&l)
}

func (e *export) rows() error {
	if e.users == nil {
		return e.log.eachPlanned(1, math.MaxInt64, func(p *plannedRow) error { return e.row(p, nil) })
	}
	var private []byte
	proofs := newForest(e.run.total, func(from, to int64, yield func(tlog.Hash)) error {
		return e.log.eachPlanned(from+1, to, func(p *plannedRow) error {
			hidden, ok := p.is(&e.enc, &private)
			if !ok {
				return fmt.Errorf("row %d of the plan was changed", p.pos)
			}
			yield(e.enc.rowLeaf(p.pos, p.Seq, waveAt(e.run.bounds, p.pos), hidden))
			return nil
		})
	})
	if err := e.build(proofs, treeOfPlan); err != nil {
		return err
	}
	for _, pos := range slices.Sorted(maps.Keys(e.users)) {
		var found []plannedRow
		err := e.log.eachPlanned(pos, pos, func(p *plannedRow) error {
			found = append(found, *p)
			return nil
		})
		for i := 0; i < len(found) && err == nil; i++ {
			err = e.row(&found[i], proofs)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// build builds a forest with the roots that are kept.
func (e *export) build(proofs *forest, of treeOf) (err error) {
	if proofs.kept, err = e.log.tiles(of); err != nil {
		return err
	}
	return proofs.build()
}

func (e *export) row(p *plannedRow, proofs *forest) error {
	v := rowView{Pos: p.pos, Seq: p.Seq, Wave: waveAt(e.run.bounds, p.pos)}
	l := leaf{Public: appendRowPublic(nil, v.Pos, v.Seq, v.Wave)}
	if e.o.Withhold {
		var private []byte
		hidden, _ := p.is(&e.enc, &private)
		l.Hidden = hidden[:]
	} else {
		v.Key, v.Reason = p.Key, p.Reason
		l.Private = e.run.names.appendRowPrivate(nil, v.Seq, v.Key, v.Reason, p.Row)
		salt, _ := e.run.names.rowSalts(v.Seq)
		l.Salt = salt[:]
	}
	var err error
	if l.Shows, err = json.Marshal(v); err != nil {
		return err
	}
	if proofs != nil {
		if l.Proof, err = tlog.ProveRecord(e.run.total, v.Pos-1, proofs); err != nil {
			return err
		}
	}
	return e.element(&l)
}

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
// leaf is under it and shows what its bytes say. vkey is Store.VerifierKey. Each
// proved record is passed to record, if that is not nil. The error is for what
// is no bundle, or no key, at all; what does not prove is a Problem.
func VerifyBundle(rd io.Reader, vkey string, record func(journal.Record) error) (Bundle, error) {
	verifier, err := note.NewVerifier(vkey)
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
	verifier note.Verifier
	record   func(journal.Record) error
	audit    Audit
	out      Bundle

	enc        encoder
	dec        decoder
	root       tlog.Hash
	log        frontier // of a complete bundle
	plan       frontier
	planSize   int64
	planRoot   tlog.Hash
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
		b.audit.general("bundle: something follows its end, and nothing proves it")
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
		var l leaf
		if err := b.in.Decode(&l); err != nil {
			return err
		}
		if err := take(&l); err != nil {
			return err
		}
	}
	return b.delim(']')
}

func (b *bundleCheck) head(text string) error {
	run, size, root, err := parseHead(text)
	if err != nil {
		return err
	}
	b.out.Size, b.out.Head, b.root = size, headString(size, root), root
	n, err := note.Open([]byte(text), note.VerifierList(b.verifier))
	switch {
	case err != nil:
		b.audit.general("head: it is not signed with this key")
	case n.Text != headText(run, size, root) || run != b.out.Run:
		b.audit.general("head: it is of another run")
	default:
		b.out.Signer = n.Sigs[0].Name
	}
	return nil
}

// hash returns the hash of a leaf.
func (b *bundleCheck) hash(l *leaf) (tlog.Hash, error) {
	if b.out.Withheld {
		if len(l.Hidden) != 32 || len(l.Private)+len(l.Salt) > 0 {
			return tlog.Hash{}, errors.New("a leaf without a hidden part, although names are withheld")
		}
		return b.enc.leafOf(l.Public, [32]byte(l.Hidden)), nil
	}
	if len(l.Salt) != 16 {
		return tlog.Hash{}, errors.New("a leaf without a salt")
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
	f, _, _, err := b.dec.split(append(stored, hash[:sumSize]...))
	if err != nil {
		b.audit.add(Problem{Index: place, Message: "its bytes are no record"})
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
		b.log.push(hash)
	}
	if problem.Message != "" {
		b.audit.add(problem)
		return nil
	}
	b.nextRecord = f.Index + 1
	return b.proved(&f)
}

// proved takes a proved record over.
func (b *bundleCheck) proved(f *frame) error {
	if f.Kind == journal.Planned {
		var err error
		if b.planSize, b.planRoot, err = parsePlanDigest(f.Digest); err != nil {
			return err
		}
	}
	if f.User > 0 {
		b.users[f.User] = false
	}
	if b.record == nil {
		return nil
	}
	rec, err := f.record()
	if err != nil {
		return err
	}
	return b.record(rec)
}

func (b *bundleCheck) takeRow(l *leaf) error {
	b.out.Rows++
	hash, err := b.hash(l)
	if err != nil {
		return err
	}
	v, err := b.rowOf(l)
	if err != nil {
		b.audit.general("row %d: %v", b.out.Rows, err)
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
		b.plan.push(hash)
	}
	if problem.Message != "" {
		b.audit.add(problem)
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
	if cells := r.bytes(); len(cells) != 32 || len(r.rest) != 0 { // nor is it 32 bytes where something before is none
		return v, errors.New("its bytes are no row")
	}
	return v, nil
}

// end checks what only the whole bundle tells.
func (b *bundleCheck) end() {
	for user, seen := range b.users {
		if !seen {
			b.audit.add(Problem{Index: -1, User: user, Message: "there are records, but no row of the plan"})
		}
	}
	if !b.out.Complete {
		return
	}
	if b.log.root() != b.root {
		b.audit.general("log: %d records that do not make up the signed head over %d", b.log.size, b.out.Size)
	}
	if b.plan.root() != b.planRoot {
		b.audit.general("plan: %d rows that do not make up the plan of %d that was frozen", b.plan.size, b.planSize)
	}
}
