package sqlite

import (
	"errors"

	"github.com/rekey-host/rekey/host/hashlog"
)

// schema is that of a run's database.
//
// run, wave, plan and sheet are written once. grp is only appended to. user has a row
// for each user with a status, but for those who have a byte in done. state has one row,
// rewritten with every commit.
const schema = schemaOfAll + keysSchema

// schemaOfAll has all that is kept.
const schemaOfAll = schemaBefore + groupSchema + schemaBehind + sheetSchema

// schemaOfRows is that of format 1, where each record is a row.
const schemaOfRows = schemaBefore + rowSchema + schemaBehind

const schemaBefore = `
CREATE TABLE run (format INTEGER NOT NULL, header TEXT NOT NULL, names BLOB NOT NULL, total INTEGER NOT NULL, ordered INTEGER NOT NULL);
CREATE TABLE key (wrapped BLOB);
CREATE TABLE wave (n INTEGER PRIMARY KEY, name TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE TABLE plan (pos INTEGER PRIMARY KEY, seq INTEGER NOT NULL, line INTEGER NOT NULL, key TEXT NOT NULL, fold TEXT NOT NULL, row BLOB, reason TEXT, digest BLOB NOT NULL);
`

const rowSchema = `
CREATE TABLE rec (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, user INTEGER NOT NULL, body BLOB NOT NULL);
`

// groupSchema is what a ledger of format 1 lacks.
const groupSchema = `
CREATE TABLE grp (first INTEGER PRIMARY KEY, n INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL, span INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX grp_user ON grp (span, lo, hi, n);
CREATE TABLE done (n INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE tile (tree INTEGER NOT NULL, n INTEGER NOT NULL, root BLOB NOT NULL, PRIMARY KEY (tree, n)) WITHOUT ROWID;
`

const schemaBehind = `
CREATE TABLE user (pos INTEGER PRIMARY KEY, status INTEGER NOT NULL, code TEXT NOT NULL, rec INTEGER NOT NULL);
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, frontier BLOB NOT NULL, standing TEXT NOT NULL);
CREATE TABLE head (size INTEGER PRIMARY KEY, at INTEGER NOT NULL, note TEXT NOT NULL);
`

// sheetSchema is what a ledger of format 1 or 2 lacks.
const sheetSchema = `
CREATE TABLE sheet (first INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, keys BLOB NOT NULL, sum BLOB NOT NULL, body BLOB NOT NULL);
`

// keysSchema finds a key on few pages: a million users' take two megabytes. A ledger
// without it reads all sheets instead, and so does one in which it lacks a key.
const keysSchema = `
CREATE INDEX sheet_keys ON sheet (first, keys);
`

// stageSchema holds the rows whose place is not known before all are. It is a
// temporary table: its file has no name, so a crash leaves nothing of it.
const stageSchema = `CREATE TABLE temp.stage (seq INTEGER PRIMARY KEY, line INTEGER, key TEXT, fold TEXT, row BLOB, reason TEXT, digest BLOB, ord BLOB)`

// format is the version of the schema, oldest the first one supported.
const (
	format         = 4
	formatOfPacks  = 4 // groups may be packed
	formatOfGroups = 2 // without sheets
	oldest         = 1
)

// readable returns an error for a row of the table run, its format first and the
// key of its names in a column, that this version does not read.
func readable(found row, names int) error {
	if found != nil && found.int(0) >= oldest && found.int(0) <= format && len(found.bytes(names)) == len(hashlog.NamesKey{}) {
		return nil
	}
	const text = "the file is not a ledger that this version of rekey reads"
	if found == nil || found.int(0) <= format {
		return hashlog.NotAsWritten(text)
	}
	return errors.New(text)
}
