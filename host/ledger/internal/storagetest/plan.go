package storagetest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// plan is the plan of a model, drawn, published and read back.
type plan struct{ *model }

// draft draws a plan, of which some rows have their place at once and others are
// sorted, and publishes it.
func (m plan) draft() {
	d, err := m.in.Begin()
	m.must(err)
	var front []hashlog.Row
	var staged []rows.Staged
	sheet := hashlog.SheetWriter{Sheet: hashlog.Sheet{First: 1, Sum: []byte{}}}
	for seq := range rapid.Int64Range(0, 40).Draw(m.t, "rows") {
		row := hashlog.Row{Seq: seq + 1, Line: int(seq) + 2, Key: fmt.Sprint("user-", seq), Cells: make([]byte, 200)}
		if rapid.Bool().Draw(m.t, "sorted") {
			staged = append(staged, rows.Staged{Row: row, Fold: row.Key, Order: rapid.SliceOfN(rapid.Byte(), 1, 2).Draw(m.t, "order")})
			m.must(d.Stage(&staged[len(staged)-1]))
			continue
		}
		if !sheet.Fits(&row) {
			m.must(d.PutSheet(&sheet.Sheet))
			sheet.Begin()
		}
		sheet.Add(&row, row.Key, &[32]byte{})
		front = append(front, row)
	}
	if sheet.N > 0 {
		m.must(d.PutSheet(&sheet.Sheet))
	}
	m.drafted(d, append(slices.Clone(front), rowsOf(staged)...))
	m.must(d.Sort(int64(len(front))))
	slices.SortStableFunc(staged, func(a, b rows.Staged) int { return slices.Compare(a.Order, b.Order) })
	m.plan = append(front, rowsOf(staged)...)
	m.publish(d)
}

func rowsOf(staged []rows.Staged) (list []hashlog.Row) {
	for _, s := range staged {
		list = append(list, s.Row)
	}
	return list
}

// drafted compares rows of an unsorted draft.
func (m plan) drafted(d Draft, list []hashlog.Row) {
	for _, want := range list {
		got, err := d.Row(want.Seq)
		m.must(err)
		if got == nil || got.Key != want.Key || got.Line != want.Line {
			m.t.Fatalf("Row(%d) = %v, want %v", want.Seq, got, want)
		}
	}
	got, err := d.Row(99)
	m.must(err)
	m.same("a row that was not put", got == nil, true)
}

func (m plan) publish(d Draft) {
	total := int64(len(m.plan))
	m.run = rows.Run{Header: "header", Names: hashlog.NamesKey{1}, Total: total, Waves: []hashlog.Wave{{Name: "all", First: 1, Last: total}},
		Ordered: slices.IsSortedFunc(m.plan, func(a, b hashlog.Row) int { return cmp.Compare(a.Seq, b.Seq) }),
		Key:     rows.Key{Wrapped: []byte("wrapped"), There: true}}
	m.must(d.Publish(&rows.Found{Run: m.run, State: rows.State{Frontier: []byte{}}, Head: hashlog.Head{Note: "first"}}))
}

// planned compares everything written once.
func (m plan) planned() error {
	run, err := m.s.Run()
	run.Room, run.Merges = 0, false
	m.same("Run", run, m.run)
	return errors.Join(err, m.sheets(), m.byKey(), m.bySource())
}

// sheets compares the rows from one position to another.
func (m plan) sheets() error {
	total := int64(len(m.plan))
	from := rapid.Int64Range(1, total+1).Draw(m.t, "first row")
	to := rapid.Int64Range(from-1, total).Draw(m.t, "last row")
	var got, want []string
	err := m.s.Sheets(from, to, func(s *hashlog.Sheet) error {
		return s.Rows(func(p *hashlog.PlannedRow) error {
			if p.Pos >= from && p.Pos <= to {
				got = append(got, p.Key)
			}
			return nil
		})
	})
	for _, row := range m.plan[from-1 : to] {
		want = append(want, row.Key)
	}
	m.same("Sheets", got, want)
	return err
}

// byKey compares the rows with some keys.
func (m plan) byKey() error {
	keys := rapid.SliceOfN(rapid.SampledFrom([]string{"user-0", "user-3", "user-17", "nothing"}), 1, 3).Draw(m.t, "keys")
	var want []hashlog.Row
	for _, row := range m.plan {
		if slices.Contains(keys, row.Key) {
			want = append(want, row)
		}
	}
	return m.wanted(rows.Wanted{Keys: keys}, want)
}

// bySource compares the rows behind one of the source.
func (m plan) bySource() error {
	of := rows.Wanted{After: rapid.Int64Range(-1, 41).Draw(m.t, "behind"), Most: rapid.IntRange(1, 50).Draw(m.t, "most")}
	var want []hashlog.Row
	for _, row := range m.plan {
		if row.Seq > of.After {
			want = append(want, row)
		}
	}
	slices.SortFunc(want, func(a, b hashlog.Row) int { return cmp.Compare(a.Seq, b.Seq) })
	if err := m.wanted(of, want[:min(of.Most, len(want))]); err != nil {
		return err
	}
	return m.s.Rows(rows.Wanted{After: math.MinInt64, Most: 1}, func(*hashlog.PlannedRow) error { return hashlog.ErrDone })
}

// wanted compares the rows that a storage gives with those that it should.
func (m plan) wanted(of rows.Wanted, want []hashlog.Row) error {
	var got, keys []string
	err := m.s.Rows(of, func(p *hashlog.PlannedRow) error {
		got = append(got, fmt.Sprint(p.Seq, p.Key, m.plan[p.Pos-1].Key))
		return nil
	})
	for _, row := range want {
		keys = append(keys, fmt.Sprint(row.Seq, row.Key, row.Key))
	}
	m.same("Rows", got, keys)
	return err
}
