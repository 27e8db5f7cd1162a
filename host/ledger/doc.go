// Package ledger is the durable memory of runs: the frozen plan, every value
// before it is sent, every outcome after, sealed so that only the holder of an
// age identity reads them, and hashed so that rewriting them is seen.
//
// A run is one SQLite database in the state directory, so that runs never wait
// for each other. It knows records, users by their position in the plan, and
// waves by their bounds. It refuses to know scripts, plugins, rows (they are
// bytes here) and why anything is done.
//
// # Promises
//
// When Commit returns, its records survive a crash of the process and of the
// machine; when it returns an error, none of them is there. A draft
// not frozen leaves nothing. Reading always works, also while another process
// applies the run.
//
// # The hash log
//
// Each record is one leaf of a hash log as golang.org/x/mod/sumdb/tlog defines
// it. The leaf is taken over the record's public part and over a commitment to
// its private part, the account and the detail, so that a proof can be handed
// over without names; see frame for the bytes. Inner hashes are not stored:
// the right edge of the tree stands in the database beside the records, in the
// same transaction, and everything else can be computed from them. The rows of
// the plan are the leaves of a second tree, whose root is the digest of the
// Planned record.
package ledger
