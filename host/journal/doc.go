// Package journal is the language in which a run tells its story: records,
// the verbs of steps, statuses, and History, the one place that works out from
// records where a credential stands.
//
// It is pure: it reads no files and no clocks, sends nothing and knows no
// secrets, only that values are sealed. The engine asks it what may be sent
// next, the ledger what contradicts the records, a report what to show.
package journal
