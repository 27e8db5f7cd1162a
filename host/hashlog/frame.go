package hashlog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// frameVersion is the first byte of every frame.
const frameVersion = 1

// sumSize is how many bytes of its leaf hash follow a stored frame: enough to
// name a record whose bytes rotted or were changed. What they cannot prove, the tree
// does.
const sumSize = 8

// Frame is a record as it is stored and hashed. Its bytes are canonical: one
// record has one encoding, and what decodes encodes to the same bytes.
//
//	public  = version kind index at user step try origin outcome attempt
//	          verb backend cred code status digest sealed old
//	private = account detail
//	leaf    = tlog.RecordHash(public || commitment)
//	commitment = SHA-256(salt || private)
//	salt    = first 16 bytes of SHA-256("rekey record salt" || key || index)
//	stored  = public || private || first 8 bytes of leaf
//
// version, kind and outcome are one byte each; index, user, step, try, origin
// and attempt are unsigned varints of encoding/binary, at (microseconds since
// 1970) a signed one; the rest are byte strings with an unsigned varint length
// before them. index is 8 bytes big-endian in salt. key is 32 random bytes of
// the run. detail is the JSON of a Detail without what stands in the public
// part, or empty.
//
// The frame of an outcome or an answer that has a status is two records: see Ends.
type Frame struct {
	Kind    journal.Kind
	Index   int64
	At      int64
	User    int64
	Step    int64
	Try     int64
	Origin  int64
	Outcome sdk.Outcome
	Attempt int64
	Verb    string
	Backend string
	Cred    string
	Code    string
	Status  string
	Digest  string
	Sealed  []byte
	Old     []byte

	Account string
	Detail  []byte

	public, private int // lengths of the parts, of a split frame
}

// ErrFrame is what a stored record that cannot be decoded is.
var ErrFrame = errors.New("not a record")

// FrameOf turns a record into its frame.
func FrameOf(r *journal.Record) (Frame, error) {
	d := &r.Detail // as large as all the rest: no copy is made of one that says nothing
	f := Frame{Kind: r.Kind, Index: r.Index, At: r.At.UnixMicro(), User: r.User, Step: int64(r.Step), Try: int64(r.Try),
		Origin: int64(r.Origin), Outcome: r.Outcome, Attempt: int64(d.Attempt), Verb: r.Verb, Backend: r.Backend, Cred: r.Cred,
		Code: string(r.Code), Status: string(d.Status), Digest: d.Digest, Sealed: r.Sealed, Old: r.SealedOld, Account: r.Account}
	if f.User < 0 || f.Step < 0 || f.Try < 0 || f.Origin < 0 || f.Attempt < 0 {
		return f, fmt.Errorf("record of kind %d: a negative number", r.Kind)
	}
	if d.Bare() {
		return f, nil
	}
	var err error
	f.Detail, err = encoded(*d)
	return f, err
}

// encoded is the JSON of a detail without what stands in the public part. By value:
// few records have one, and only theirs is to be memory of its own.
func encoded(d journal.Detail) ([]byte, error) {
	d.Attempt, d.Status, d.Digest = 0, "", ""
	return json.Marshal(&d)
}

// Record turns a frame into its record.
func (f *Frame) Record() (journal.Record, error) {
	var r journal.Record
	err := f.Into(&r)
	return r, err
}

// Into writes the record of a frame into a used one.
func (f *Frame) Into(r *journal.Record) error {
	*r = journal.Record{Kind: f.Kind, Index: f.Index, At: time.UnixMicro(f.At).UTC(), User: f.User, Step: int(f.Step), Try: int(f.Try),
		Origin: int(f.Origin), Outcome: f.Outcome, Verb: f.Verb, Backend: f.Backend, Cred: f.Cred, Code: sdk.Code(f.Code),
		Sealed: f.Sealed, SealedOld: f.Old, Account: f.Account}
	if len(f.Detail) > 0 {
		if err := json.Unmarshal(f.Detail, &r.Detail); err != nil {
			return fmt.Errorf("%w: detail: %w", ErrFrame, err)
		}
	}
	r.Detail.Attempt, r.Detail.Status, r.Detail.Digest = int(f.Attempt), journal.Status(f.Status), f.Digest
	return nil
}

// sum is what follows the parts of a split stored frame.
func (f *Frame) sum(body []byte) []byte { return body[f.public+f.private:] }

func appendString[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendPublic appends the public part.
func (f *Frame) appendPublic(b []byte) []byte {
	b = append(b, frameVersion, byte(f.Kind))
	b = binary.AppendUvarint(b, uint64(f.Index))
	b = binary.AppendVarint(b, f.At)
	b = binary.AppendUvarint(b, uint64(f.User))
	b = binary.AppendUvarint(b, uint64(f.Step))
	b = binary.AppendUvarint(b, uint64(f.Try))
	b = binary.AppendUvarint(b, uint64(f.Origin))
	b = append(b, byte(f.Outcome))
	b = binary.AppendUvarint(b, uint64(f.Attempt))
	for _, s := range [...]string{f.Verb, f.Backend, f.Cred, f.Code, f.Status, f.Digest} {
		b = appendString(b, s)
	}
	b = appendString(b, f.Sealed)
	return appendString(b, f.Old)
}

// appendPrivate appends the private part.
func (f *Frame) appendPrivate(b []byte) []byte {
	return appendString(appendString(b, f.Account), f.Detail)
}

// NamesKey makes commitments to private parts. The owner of the ledger
// knows it; it keeps a receiver of proofs from guessing names.
type NamesKey [32]byte

// recordSalt is what hides the private part of one record.
func (k *NamesKey) recordSalt(index int64) [16]byte {
	sum := k.sum("rekey record salt", index)
	return [16]byte(sum[:16])
}

// rowSalts are what hides one row of the plan: its names, and its cells.
func (k *NamesKey) rowSalts(seq int64) (names, cells [16]byte) {
	sum := k.sum("rekey row salt", seq)
	return [16]byte(sum[:16]), [16]byte(sum[16:])
}

func (k *NamesKey) sum(domain string, n int64) [32]byte {
	var b [64]byte
	text := append(append(b[:0], domain...), k[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(text, uint64(n)))
}

// Encoder turns frames into stored bytes and leaves. It reuses its memory.
type Encoder struct {
	Key     *NamesKey // of the run
	scratch []byte
}

// commitment hides a private part behind a salt.
func (e *Encoder) commitment(salt [16]byte, private []byte) [32]byte {
	e.scratch = append(append(e.scratch[:0], salt[:]...), private...)
	return sha256.Sum256(e.scratch)
}

// leafOf hashes a public part and a commitment: tlog.RecordHash of the two,
// without a copy.
func (e *Encoder) leafOf(public []byte, hidden [32]byte) Hash {
	e.scratch = append(append(append(e.scratch[:0], 0), public...), hidden[:]...)
	return sha256.Sum256(e.scratch)
}

// Stored appends the frame as it is stored, and returns its leaf.
func (e *Encoder) Stored(b []byte, f *Frame) ([]byte, Hash) {
	start := len(b)
	b = f.appendPublic(b)
	public := len(b)
	b = f.appendPrivate(b)
	leaf := e.leaf(b[start:public], b[public:], f.Index)
	return append(b, leaf[:sumSize]...), leaf
}

func (e *Encoder) leaf(public, private []byte, index int64) Hash {
	return e.leafOf(public, e.commitment(e.Key.recordSalt(index), private))
}

// Leaf returns the leaf of a split stored frame.
func (e *Encoder) Leaf(f *Frame, body []byte) Hash {
	return e.leaf(body[:f.public], body[f.public:f.public+f.private], f.Index)
}

// Fits returns an error for a stored frame whose bytes are not those of its sum.
func (e *Encoder) Fits(f *Frame, body []byte) error {
	leaf := e.Leaf(f, body)
	if string(leaf[:sumSize]) != string(f.sum(body)) {
		return NotAsWritten("record %d was changed", f.Index)
	}
	return nil
}

// HideRow returns the commitment to a row's private part. Its memory is used
// again.
func (e *Encoder) HideRow(memory *[]byte, row *Row) [32]byte {
	private, salt := e.appendRowPrivate((*memory)[:0], row)
	*memory = private
	return e.commitment(salt, private)
}

// appendRowPrivate appends the private part of a row, and returns the salt that
// hides it.
func (e *Encoder) appendRowPrivate(b []byte, row *Row) (private []byte, salt [16]byte) {
	salt, cellsSalt := e.Key.rowSalts(row.Seq)
	cells := e.commitment(cellsSalt, row.Cells)
	return appendString(appendString(appendString(b, row.Key), row.Reason), cells[:]), salt
}

// RowLeaf returns the leaf of a row at a place, which is hidden by what HideRow
// returned.
func (e *Encoder) RowLeaf(pos, seq int64, wave int, hidden [32]byte) Hash {
	var b [rowPublicSize]byte
	return e.leafOf(appendRowPublic(b[:0], pos, seq, wave), hidden)
}

// Decoder reads stored frames. It shares the strings that recur.
type Decoder struct {
	known map[string]string
}

func (d *Decoder) shared(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := d.known[string(b)]; ok {
		return s
	}
	s := string(b)
	if d.known == nil {
		d.known = map[string]string{}
	}
	if len(d.known) < 256 && len(s) < 64 {
		d.known[s] = s
	}
	return s
}

// Split decodes a stored frame. The frame's byte slices point into it.
func (d *Decoder) Split(body []byte) (f Frame, err error) {
	r := reader{rest: body}
	if r.byte() != frameVersion {
		return f, ErrFrame
	}
	f.Kind = journal.Kind(r.byte())
	f.Index, f.At = r.uint(), r.int()
	f.User, f.Step, f.Try, f.Origin = r.uint(), r.uint(), r.uint(), r.uint()
	f.Outcome = sdk.Outcome(r.byte())
	f.Attempt = r.uint()
	for _, s := range [...]*string{&f.Verb, &f.Backend, &f.Cred, &f.Code, &f.Status} {
		*s = d.shared(r.bytes())
	}
	f.Digest = string(r.bytes())
	f.Sealed, f.Old = r.bytes(), r.bytes()
	f.public = len(body) - len(r.rest)
	f.Account, f.Detail = string(r.bytes()), r.bytes()
	f.private = len(body) - len(r.rest) - f.public
	if len(r.rest) != sumSize { // nothing is left where an earlier part is missing
		return Frame{}, ErrFrame
	}
	return f, nil
}

// Record decodes a stored record.
func (d *Decoder) Record(body []byte) (journal.Record, error) {
	f, err := d.Split(body)
	if err != nil {
		return journal.Record{}, err
	}
	return f.Record()
}

// reader takes a frame apart and remembers whether it could.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() { r.bad, r.rest = true, nil }

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

// uint reads a varint of the shortest form that fits an int64.
func (r *reader) uint() int64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 { // by far the most
		v := r.rest[0]
		r.rest = r.rest[1:]
		return int64(v)
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 || v > 1<<63-1 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return int64(v)
}

func (r *reader) int() int64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 {
		v := int64(r.rest[0])
		r.rest = r.rest[1:]
		return v>>1 ^ -(v & 1)
	}
	v, n := binary.Varint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uint()
	if n > int64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	if n == 0 {
		return nil
	}
	return b
}
