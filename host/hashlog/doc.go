// Package hashlog is what the records of a run and the rows of its plan are made
// of, and what proves that they are those that were written: leaves, the right edge
// of a tree, signed heads, bundles. It is pure: it knows nothing of where records
// are kept, and verifies them as they come.
//
// Each record is one leaf of a hash log as golang.org/x/mod/sumdb/tlog defines it.
// The leaf is taken over the record's public part and over a commitment to its
// private part, the account and the detail, so that a proof can be handed over
// without names; see Frame for the bytes. The rows of the plan are the leaves of a
// second tree, whose root is the digest of the Planned record; see Row. Inner hashes
// are not kept: a Frontier is enough to go on, a Tile here and there
// makes proofs quick.
package hashlog
