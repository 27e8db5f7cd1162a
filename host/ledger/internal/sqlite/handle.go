package sqlite

import "github.com/rekey-host/rekey/host/hashlog"

// handle is a connection, and what tables there are.
type handle struct {
	conn   *conn
	tables tables
	format int64 // of the run; 0: not known yet
}

// tables says which of the tables there are that not all formats have.
type tables struct {
	known  bool
	rows   bool // rec: records of format 1
	groups bool // grp, and what came with it
	byUser bool // rec_user: the index of rec
	sheets bool // sheet
	byKey  bool // sheet_keys: the index of sheet
}

// packs reports whether groups may be packed: an older rekey, which cannot read them,
// refuses a ledger of that format.
func (d *handle) packs() (bool, error) {
	if d.format == 0 {
		var err error
		if d.format, err = d.conn.count("SELECT format FROM run"); err != nil {
			return false, err
		}
	}
	return d.format >= formatOfPacks, nil
}

// has returns which tables there are. Another process may make a ledger of format 1
// one with groups at any time.
func (d *handle) has() (*tables, error) {
	t := &d.tables
	if t.known && t.groups {
		return t, nil
	}
	*t = tables{}
	err := d.conn.each("SELECT name FROM sqlite_schema WHERE name IN ('rec', 'grp', 'rec_user', 'sheet', 'sheet_keys')", func(found row) error {
		switch found.text(0) {
		case "rec":
			t.rows = true
		case "grp":
			t.groups = true
		case "rec_user":
			t.byUser = true
		case "sheet":
			t.sheets = true
		case "sheet_keys":
			t.byKey = true
		}
		return nil
	})
	if err == nil && !t.rows && !t.groups {
		err = hashlog.NotAsWritten("the tables of its records are missing")
	}
	t.known = err == nil
	return t, err
}
