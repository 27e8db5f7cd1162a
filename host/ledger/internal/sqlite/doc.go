// Package sqlite keeps a run in one SQLite database: it is the storage that the
// ledger asks for, and the only package that knows SQL. It knows what rows are, and
// nothing of why they are written.
//
// A run is one file, so that runs never wait for each other. While it is applied a
// write-ahead file and shared memory lie beside it.
package sqlite
