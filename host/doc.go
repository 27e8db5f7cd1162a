// Package host is rekey without a terminal: it loads a workflow, plans, applies,
// resumes, reports, and answers questions about runs. Everything that it uses
// of the machine is passed in by Config; cmd/rekey is one user of it.
package host
