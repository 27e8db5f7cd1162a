package ledger

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/text/unicode/norm"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/sdk/secret"
)

// PlannedUser is one row of the source as the plan has it.
type PlannedUser struct {
	Seq     int64  // number of the row in the source, from 1
	Line    int    // where it stands there
	Key     string // unique, ignoring case and Unicode form
	Wave    int    // index of the wave; -1: skipped
	Sort    []any  // of order_by: nil, bool, string, int, int64, float64, or a Down of one
	Row     []byte // the cells, opaque here
	Skipped bool
	Reason  string // why it is skipped
}

// Down is a value to sort by, the greatest first. Nothing comes last either way.
type Down struct{ Value any }

// row is the part of it that is hashed and kept.
func (p *PlannedUser) row() hashlog.Row {
	return hashlog.Row{Seq: p.Seq, Line: p.Line, Key: p.Key, Cells: p.Row, Reason: p.Reason}
}

// WavePlan is one wave of the plan. Take is how many users it takes where
// waves fill in order; 0: all the rest.
type WavePlan struct {
	Name string
	Take int
}

// Duplicate is a row whose key an earlier row has.
type Duplicate struct {
	Seq       int64 // number of the row
	Line      int   // where it stands
	Key       string
	FirstSeq  int64 // number of the first row with the key
	FirstLine int   // where that one stands
}

// Draft is a run that does not exist yet. Until it is frozen it is a hidden
// file that Discard removes, or, when its process is gone, the next Open of
// the store. A Draft is used by one goroutine; Seal may be called by many.
type Draft struct {
	store  *Store
	header Header
	lock   *lock
	db     draft
	seal   *sealer
	names  hashlog.NamesKey
	home   string           // name of the state directory
	key    string           // digest of the wrapped data key
	sealed []byte           // the wrapped data key
	tree   hashlog.Frontier // of the log

	waves   map[int]int64 // users of each wave
	total   int64
	skipped int64
	keys    twins
	front   front
	tiles   []hashlog.Tile // of the plan
	enc     hashlog.Encoder
	private []byte
	ord     []byte
}

func (d *Draft) begin(k Keys) (err error) {
	if d.db, err = d.store.kept.Begin(d.store.draftFile(d.header.ID)); err != nil {
		return err
	}
	d.store.crash.at(CrashDraftBegun)
	return d.makeKeys(k)
}

func (d *Draft) makeKeys(k Keys) error {
	key := make([]byte, chacha20poly1305.KeySize)
	defer clear(key)
	if _, err := io.ReadFull(d.store.rand, key); err != nil {
		return err
	}
	if _, err := io.ReadFull(d.store.rand, d.names[:]); err != nil {
		return err
	}
	wrapped, err := wrap(key, k.Recipients)
	if err != nil {
		return err
	}
	if d.seal, err = newSealer(d.header.ID, key, d.store.rand); err != nil {
		return err
	}
	d.sealed, d.key = wrapped, digestOf(wrapped)
	return nil
}

// Recipients are those to whom the run's values are sealed, by their public
// keys.
func (d *Draft) Recipients() []string { return d.header.Recipients }

// ID returns the name that the run will have.
func (d *Draft) ID() string { return d.header.ID }

// Seal seals a secret cell: of the row with that number, in the column that
// role names. An absent value is nil.
func (d *Draft) Seal(role string, seq int64, v secret.Value) []byte {
	return d.seal.seal(d.seal.cellPlace(role, seq), v)
}

// Add takes the next row, in the order of the source. Whether its key is
// another row's too is known when all are there: see Duplicates.
func (d *Draft) Add(p PlannedUser) error {
	if p.Skipped {
		p.Wave = -1
	}
	if p.Wave >= 0 {
		p.Reason = ""
	}
	fold := diag.Fold(p.Key)
	err := d.keys.add(fold, p.Seq)
	if err == nil {
		err = d.put(&p, fold)
	}
	if err != nil {
		return fmt.Errorf("draft of run %s: %w", d.header.ID, err)
	}
	d.total++
	if p.Wave < 0 {
		d.skipped++
	} else {
		d.waves[p.Wave]++
	}
	return nil
}

// Order is what users of one plan are sorted by, and then by Seq: those with the lesser
// text come first.
func (p PlannedUser) Order() []byte { return appendOrder(nil, p.Wave, p.Sort) }

// put writes a row where it belongs: one of the first wave that nothing is sorted
// by stands before all others, behind those like it that came before.
func (d *Draft) put(p *PlannedUser, fold string) error {
	r := p.row()
	hidden := d.enc.HideRow(&d.private, &r)
	if p.Wave == 0 && len(p.Sort) == 0 {
		return d.place(p, fold, hidden)
	}
	d.ord = appendOrder(d.ord[:0], p.Wave, p.Sort)
	return d.db.Stage(&rows.Staged{Row: r, Fold: fold, Hidden: hidden, Order: d.ord, Skipped: p.Wave < 0})
}

// front is the rows in the plan already.
type front struct {
	tree hashlog.Frontier // over their leaves, as if all were of the first wave
	last int64            // number of the last one's row

	sheet hashlog.SheetWriter // not full yet
}

// place puts a row behind those in the plan.
func (d *Draft) place(p *PlannedUser, fold string, hidden [32]byte) error {
	if p.Seq <= d.front.last {
		return fmt.Errorf("row %d came behind row %d", p.Seq, d.front.last)
	}
	pos := d.front.tree.Size + 1
	d.front.tree.Push(d.enc.RowLeaf(pos, p.Seq, 0, hidden))
	d.front.last = p.Seq
	r := p.row()
	if !d.front.sheet.Fits(&r) {
		if err := d.flush(); err != nil {
			return err
		}
	}
	d.front.sheet.Add(&r, fold, &hidden)
	return nil
}

// flush writes the begun sheet.
func (d *Draft) flush() error {
	w := &d.front.sheet
	if w.N == 0 {
		return nil
	}
	sum := w.SumOf(&d.names)
	w.Sum = sum[:]
	if err := d.db.PutSheet(&w.Sheet); err != nil {
		return err
	}
	w.Begin()
	return nil
}

// Duplicates returns the first of the rows so far whose key an earlier row has,
// ignoring case and Unicode form, at most that many, in the order of the source,
// and how many there are. A draft with one cannot be frozen.
func (d *Draft) Duplicates(most int) ([]Duplicate, int64, error) {
	pairs, total, err := d.keys.pairs(most)
	if err != nil {
		return nil, 0, err
	}
	var list []Duplicate
	for _, x := range pairs {
		found, err := d.duplicate(x)
		if err != nil {
			return nil, 0, err
		}
		if found == nil {
			total--
			continue
		}
		list = append(list, *found)
	}
	return list, total, nil
}

// duplicate compares the keys of two rows.
func (d *Draft) duplicate(x pair) (*Duplicate, error) {
	first, err := d.row(x.first)
	if err != nil {
		return nil, err
	}
	again, err := d.row(x.seq)
	if err != nil || diag.Fold(first.Key) != diag.Fold(again.Key) {
		return nil, err
	}
	return &Duplicate{Seq: x.seq, Line: again.Line, Key: again.Key, FirstSeq: x.first, FirstLine: first.Line}, nil
}

// row returns a row of the source.
func (d *Draft) row(seq int64) (*hashlog.Row, error) {
	err := d.flush()
	if err != nil {
		return nil, err
	}
	found, err := d.db.Row(seq)
	if err == nil && found == nil {
		err = fmt.Errorf("draft of run %s: row %d is lost", d.header.ID, seq)
	}
	return found, err
}

// Freeze orders the users by wave, sort keys and row, numbers them from 1,
// skipped ones last, and makes the run: it exists when Freeze
// returns, locked for applying. Where a wave has a Take, the waves fill in
// their order, and the last takes the rest. Without an error the draft is used
// up; after one only Discard is left.
func (d *Draft) Freeze(waves []WavePlan) (*Run, error) {
	if err := d.freeze(waves); err != nil {
		_ = d.Discard()
		return nil, fmt.Errorf("freezing run %s: %w", d.header.ID, err)
	}
	l := d.lock
	d.lock = nil
	r, err := d.store.openLocked(d.header.ID, l)
	if err != nil {
		return nil, err
	}
	r.seal, r.sealErr = d.seal, nil
	if r.writer.mark, _, err = d.store.openMark(r.id, os.O_RDWR); err != nil {
		_ = r.Close()
		return nil, ofRun(r.id, err)
	}
	return r, nil
}

func (d *Draft) freeze(waves []WavePlan) error {
	again, _, err := d.Duplicates(1)
	if err != nil {
		return err
	}
	for _, x := range again {
		return fmt.Errorf("key %q is on line %d already", x.Key, x.FirstLine)
	}
	d.keys.close()
	bounds, err := d.fill(waves)
	if err == nil {
		err = d.flush()
	}
	if err == nil {
		err = d.db.Sort(d.front.tree.Size)
	}
	if err != nil {
		return err
	}
	d.store.crash.at(CrashDraftFilled)
	root, ordered, err := d.digest(bounds)
	if err != nil {
		return err
	}
	found, err := d.found(bounds, root, ordered)
	if err != nil {
		return err
	}
	return d.publish(found)
}

// fill finds the bounds of the waves.
func (d *Draft) fill(waves []WavePlan) ([]hashlog.Wave, error) {
	due := d.total - d.skipped
	byTake := false
	for _, w := range waves {
		byTake = byTake || w.Take > 0
	}
	for n := range d.waves {
		if n >= len(waves) || byTake && n > 0 {
			return nil, fmt.Errorf("wave %d: there is none", n)
		}
	}
	next := int64(1)
	var bounds []hashlog.Wave
	for i, w := range waves {
		n := d.waves[i]
		if byTake {
			n = due - (next - 1)
			if w.Take > 0 && i < len(waves)-1 {
				n = min(n, int64(w.Take))
			}
		}
		bounds = append(bounds, hashlog.Wave{Name: w.Name, First: next, Last: next + n - 1})
		next += n
	}
	return bounds, nil
}

// digest computes the root over the rows of the plan, and whether they are in
// the order of the source.
func (d *Draft) digest(bounds []hashlog.Wave) (hashlog.Hash, bool, error) {
	tree, last := d.front.tree, d.front.last
	if tree.Size > 0 && hashlog.WaveAt(bounds, tree.Size) != 0 { // the first wave takes fewer
		tree, last = hashlog.Frontier{Keeps: true}, 0
	}
	ordered := true
	err := eachPlanned(d.db, tree.Size+1, math.MaxInt64, func(p *hashlog.PlannedRow) error {
		hidden, ok := p.Is(&d.enc, &d.private)
		if !ok {
			return fmt.Errorf("plan: row %d is not what was planned", p.Pos)
		}
		tree.Push(d.enc.RowLeaf(p.Pos, p.Seq, hashlog.WaveAt(bounds, p.Pos), hidden))
		ordered, last = ordered && p.Seq > last, p.Seq
		return nil
	})
	d.tiles = tree.Tiles
	return tree.Root(), ordered, err
}

// facts returns what the first record says beside the header's digest: the key,
// and which programs get values. It is in every bundle, and the header in none.
func (d *Draft) facts() map[string]string {
	facts := map[string]string{keyFact: d.key}
	for _, pin := range d.header.Backends {
		switch {
		case pin.Served != "":
			facts["plugin "+pin.Label] = pin.Name + " " + pin.Version + " " + pin.Served
		case pin.Digest != "":
			facts["plugin "+pin.Label] = pin.Name + " " + pin.Version + " sha256:" + pin.Digest
		}
	}
	return facts
}

// found makes all but the plan itself, the first two records among it.
func (d *Draft) found(bounds []hashlog.Wave, root hashlog.Hash, ordered bool) (*rows.Found, error) {
	text, digest, err := d.header.encode()
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{"total": d.total, "skipped": d.skipped}
	for _, w := range bounds {
		counts["wave "+w.Name] = w.Size()
	}
	h := d.header
	opened := &journal.Record{Kind: journal.Opened, Index: 0, At: h.Created, Detail: journal.Detail{Digest: digest, OSUser: h.OSUser, Host: h.Host,
		Home: d.home, Requestor: h.Requestor, SourceSystem: h.SourceSystem, Facts: d.facts()}}
	planned := &journal.Record{Kind: journal.Planned, Index: 1, At: d.store.now(), Detail: journal.Detail{Digest: hashlog.PlanDigest(d.total, root), Counts: counts}}
	found := &rows.Found{Run: rows.Run{Header: string(text), Names: d.names, Total: d.total, Ordered: ordered, Waves: bounds, Key: rows.Key{Wrapped: d.sealed}}, Tiles: d.tiles}
	if err := d.firstRecords(found, opened, planned); err != nil {
		return nil, err
	}
	found.Head, err = d.firstHead(planned.At)
	return found, err
}

// firstRecords makes the first records, and where they leave the run.
func (d *Draft) firstRecords(found *rows.Found, recs ...*journal.Record) error {
	now := newStanding(found.Run.Waves)
	found.Group = &hashlog.Group{First: 1}
	for _, r := range recs {
		f, err := hashlog.FrameOf(r)
		if err != nil {
			return err
		}
		frame, leaf := d.enc.Stored(nil, &f)
		d.tree.Push(leaf)
		now.apply(r, 0)
		found.Group.Add(r.User, frame)
	}
	text, err := json.Marshal(now)
	found.State = rows.State{Size: d.tree.Size, Frontier: d.tree.Bytes(), Standing: string(text)}
	return err
}

// firstHead signs the log of a run before it is applied: from then on what is
// not signed is a tenth of a second of work.
func (d *Draft) firstHead(now time.Time) (hashlog.Head, error) {
	k, err := d.store.auditKey()
	if err != nil {
		return hashlog.Head{}, err
	}
	text, err := k.Sign(d.header.ID, d.tree.Size, d.tree.Root())
	return hashlog.Head{Size: d.tree.Size, At: now.UnixMicro(), Note: text}, err
}

// publish gives the draft its name when it is whole and durable.
func (d *Draft) publish(found *rows.Found) error {
	if err := d.db.Publish(found); err != nil {
		return err
	}
	d.db = nil
	at := d.store.crash.at
	at(CrashDraftCommitted)
	draft, final := d.store.draftFile(d.header.ID), d.store.runFile(d.header.ID)
	if err := files.Sync(draft); err != nil {
		return err
	}
	at(CrashDraftSynced)
	if err := d.store.makeMark(d.header.ID, &d.tree); err != nil {
		return err
	}
	if err := os.Rename(draft, final); err != nil {
		return err
	}
	at(CrashDraftRenamed)
	if err := syncDir(d.store.runs()); err != nil {
		return err
	}
	at(CrashDraftPublished)
	return nil
}

// Discard removes the draft. It does nothing after Freeze has returned a run,
// and when it is called again.
func (d *Draft) Discard() error {
	if d.lock == nil {
		return nil
	}
	l := d.lock
	d.lock = nil
	d.keys.close()
	if d.db != nil {
		_ = d.db.Close()
		d.db = nil
	}
	d.store.kept.Remove(d.store.draftFile(d.header.ID))
	if files.Exists(d.store.runFile(d.header.ID)) {
		l.release()
		return nil
	}
	d.store.dropMark(d.header.ID)
	l.remove()
	return nil
}

// appendOrder appends a key that sorts bytewise as users are ordered: by wave,
// then by the sort keys. Numbers go before texts, texts (by their bytes in
// NFC) before booleans, and nothing goes last; skipped users go behind all.
func appendOrder(b []byte, wave int, keys []any) []byte {
	if wave < 0 {
		return append(b, 0xff, 0xff, 0xff, 0xff)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(wave))
	for _, key := range keys {
		b = appendKey(b, key)
	}
	return b
}

// appendKey appends one key. No key is the beginning of another one, so that what
// follows decides between equal ones only.
func appendKey(b []byte, key any) []byte {
	switch k := key.(type) {
	case int:
		return appendNumber(b, float64(k), int64(k))
	case int64:
		return appendNumber(b, float64(k), k)
	case float64:
		return appendNumber(b, k, truncated(k))
	case string:
		b = append(b, 0x20)
		b = append(b, strings.ReplaceAll(norm.NFC.String(k), "\x00", "\x00\xff")...)
		return append(b, 0, 0)
	case bool:
		if k {
			return append(b, 0x30, 1)
		}
		return append(b, 0x30, 0)
	case Down:
		if k.Value == nil {
			return appendKey(b, nil)
		}
		start := len(b)
		b = appendKey(b, k.Value)
		for i := start; i < len(b); i++ {
			b[i] ^= 0xff
		}
		return b
	}
	return append(b, 0xf0)
}

// appendNumber orders by the float first; whole numbers that no float tells
// apart, by themselves.
func appendNumber(b []byte, f float64, whole int64) []byte {
	bits := math.Float64bits(f + 0) // -0 is 0
	if bits&(1<<63) != 0 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	b = binary.BigEndian.AppendUint64(append(b, 0x10), bits)
	return binary.BigEndian.AppendUint64(b, uint64(whole)^1<<63)
}

func truncated(f float64) int64 {
	switch {
	case math.IsNaN(f) || f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}
