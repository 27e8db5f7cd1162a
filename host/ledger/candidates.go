package ledger

import "github.com/rekey-host/rekey/host/journal"

// Candidates returns every value sealed for the user whose history it
// is; see journal.History.
func Candidates(history []journal.Record) []journal.Candidate {
	return journal.Read(history).Candidates()
}

// Used returns the labels of the backends on which the user whose history it is
// has a value, or may have.
func Used(history []journal.Record) []string { return journal.Read(history).Used() }

// Given returns the labels of the backends that certainly took a value of the
// user whose history it is.
func Given(history []journal.Record) []string { return journal.Read(history).Given() }
