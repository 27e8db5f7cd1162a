package sqlite

import (
	"database/sql/driver"
	"fmt"
	"os"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// Draft is the database of a run that does not exist yet.
type Draft struct {
	*DB
	insert driver.Stmt // of a sheet
	stage  driver.Stmt
	args   [8]driver.NamedValue
}

// newDraft makes a database. Nothing of a draft outlives a
// crash, so nothing is journalled or synced before it is published.
func newDraft(path, temp string) (*Draft, error) {
	f, err := files.OpenPrivate(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	c, err := openConn(path, readWrite, temp)
	if err != nil {
		return nil, err
	}
	d := &Draft{DB: newDB(c)}
	d.tables = tables{known: true, groups: true, sheets: true, byKey: true}
	if err := d.begin(); err != nil {
		_ = c.close()
		return nil, err
	}
	return d, nil
}

func (d *Draft) begin() (err error) {
	for _, q := range []string{"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA temp.cache_size = -2048", "BEGIN", schema, stageSchema} {
		if err := d.conn.run(q); err != nil {
			return err
		}
	}
	if d.insert, err = d.conn.prepared("INSERT INTO sheet VALUES (?,?,?,?,?,?)"); err != nil {
		return err
	}
	if d.stage, err = d.conn.prepared("INSERT INTO temp.stage VALUES (?,?,?,?,?,?,?,?)"); err != nil {
		return err
	}
	for i := range d.args {
		d.args[i].Ordinal = i + 1
	}
	return nil
}

// PutSheet keeps the next sheet, whose sum is made.
func (d *Draft) PutSheet(s *hashlog.Sheet) error {
	return d.exec(d.insert, s.First, s.N, s.Seq, s.Keys, s.Sum, s.Body)
}

// Stage keeps a row.
func (d *Draft) Stage(s *rows.Staged) error {
	var reason driver.Value
	if s.Skipped {
		reason = s.Reason
	}
	return d.exec(d.stage, s.Seq, int64(s.Line), s.Key, s.Fold, s.Cells, reason, s.Hidden[:], s.Order)
}

func (d *Draft) exec(s driver.Stmt, values ...driver.Value) error {
	for i, v := range values {
		d.args[i].Value = v
	}
	_, err := s.(driver.StmtExecContext).ExecContext(noContext, d.args[:len(values)])
	return err
}

// Row returns a row of the source, of which Key and Line are certain to be there; nil
// if it was not put.
func (d *Draft) Row(seq int64) (*hashlog.Row, error) {
	found, err := d.conn.one("SELECT key, line FROM temp.stage WHERE seq = ?", seq)
	if err != nil {
		return nil, err
	}
	if found != nil {
		return &hashlog.Row{Seq: seq, Key: found.text(0), Line: int(found.int(1))}, nil
	}
	first, err := d.sheetBefore(seq)
	if err != nil {
		return nil, err
	}
	var is *hashlog.Row
	err = d.eachSheet(first, first, func(s *hashlog.Sheet) error {
		return s.Rows(func(p *hashlog.PlannedRow) error {
			if p.Seq == seq {
				row := p.Row
				is = &row
			}
			return nil
		})
	})
	return is, err
}

// Sort puts the rows that were staged behind that many on sheets, in their order.
func (d *Draft) Sort(front int64) error {
	for _, q := range []string{
		// A row before the first: SQLite numbers those that have no number from it on.
		fmt.Sprintf("INSERT INTO plan VALUES (%d, 0, 0, '', '', NULL, NULL, x'')", front),
		"INSERT INTO plan (seq, line, key, fold, row, reason, digest) SELECT seq, line, key, fold, row, reason, digest FROM temp.stage ORDER BY ord, seq",
		fmt.Sprintf("DELETE FROM plan WHERE pos = %d", front),
		"DROP TABLE temp.stage",
		"CREATE UNIQUE INDEX plan_fold ON plan (fold)",
	} {
		if err := d.conn.run(q); err != nil {
			return err
		}
	}
	return nil
}

// write writes all but the plan itself.
func (d *Draft) write(f *rows.Found) error {
	if err := d.conn.run("INSERT INTO key VALUES (?)", f.Run.Key.Wrapped); err != nil {
		return err
	}
	inOrder := int64(0)
	if f.Run.Ordered {
		inOrder = 1
	} else if err := d.conn.run("CREATE UNIQUE INDEX plan_seq ON plan (seq)"); err != nil {
		return err
	}
	if err := d.conn.run("INSERT INTO run VALUES (?,?,?,?,?)", int64(format), f.Run.Header, f.Run.Names[:], f.Run.Total, inOrder); err != nil {
		return err
	}
	for i, w := range f.Run.Waves {
		if err := d.conn.run("INSERT INTO wave VALUES (?,?,?,?)", int64(i), w.Name, w.First, w.Last); err != nil {
			return err
		}
	}
	if err := d.Put(&rows.Change{Group: f.Group, Tree: rows.TreeOfPlan, Tiles: f.Tiles}); err != nil {
		return err
	}
	if err := d.conn.run("INSERT INTO state VALUES (1,?,?,?)", f.State.Size, f.State.Frontier, f.State.Standing); err != nil {
		return err
	}
	return d.conn.run("INSERT INTO head VALUES (?,?,?)", f.Head.Size, f.Head.At, f.Head.Note)
}

// Publish makes the database whole, and closes it. It is not on the disk yet.
func (d *Draft) Publish(f *rows.Found) error {
	if err := d.write(f); err != nil {
		return err
	}
	for _, q := range []string{"COMMIT", "PRAGMA journal_mode = WAL"} {
		if err := d.conn.run(q); err != nil {
			return err
		}
	}
	return d.conn.close()
}
