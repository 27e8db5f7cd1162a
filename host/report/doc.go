// Package report turns what a run's ledger holds into what people and programs
// read: a summary, JSON, JSON lines, CSV and an HTML page. It knows records,
// rows and the five formats; it knows nothing of scripts, plugins, terminals
// or where a file goes.
//
// A report is a pure function of the ledger, written in one pass and in flat
// memory: Build makes a Result of each user, a row function of the script or
// DefaultRow makes a Row of it, and a writer takes both.
//
//	w := report.NewCSV(file)
//	err := run.Each(…, func(u ledger.User) error {
//		r, err := report.Build(view, u, …)
//		…
//		return w.Add(r, report.DefaultRow(r))
//	})
//	err = w.Close()
//
// Secrets are revealed in JSON, JSON lines and CSV, and there only where a row
// has one; the summary and the HTML page never hold any.
package report
