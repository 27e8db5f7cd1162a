package ledger

// The crash points of a Store: places where a process that ends leaves
// something half done. Options.Crash is called with the name of each one
// passed.
const (
	CrashDraftBegun     = "ledger/draft-begun"     // a draft is a file that holds nothing yet
	CrashDraftFilled    = "ledger/draft-filled"    // the rows of the plan are in their order
	CrashDraftCommitted = "ledger/draft-committed" // a draft is whole, perhaps not on the disk
	CrashDraftSynced    = "ledger/draft-synced"    // it is on the disk, under its hidden name
	CrashDraftRenamed   = "ledger/draft-renamed"   // it has its name, perhaps not on the disk
	CrashDraftPublished = "ledger/draft-published" // it is a run
	CrashLocked         = "ledger/locked"          // the right to apply a run is taken
	CrashOpened         = "ledger/opened"          // a run is open for applying
	CrashCommitBegun    = "ledger/commit-begun"    // a transaction is open
	CrashAppended       = "ledger/appended"        // its records are written
	CrashStateSaved     = "ledger/state-saved"     // so is where the run stands
	CrashHeadSigned     = "ledger/head-signed"     // a signed head is written
	CrashCommitReady    = "ledger/commit-ready"    // all but the commit is done
	CrashCommitted      = "ledger/committed"       // records are durable, and no one knows yet
	CrashMarked         = "ledger/marked"          // the mark says so
	CrashMarkMade       = "ledger/mark-made"       // a run has a mark, perhaps before it is one
	CrashHomeNamed      = "ledger/home-named"      // the state directory has a name
	CrashConfirming     = "ledger/confirming"      // all is written and nothing folded in
	CrashFolded         = "ledger/folded"          // the run is one file
)

// CrashPoints returns the names of all crash points of a Store.
func CrashPoints() []string {
	return []string{CrashDraftBegun, CrashDraftFilled, CrashDraftCommitted, CrashDraftSynced, CrashDraftRenamed, CrashDraftPublished,
		CrashLocked, CrashOpened, CrashCommitBegun, CrashAppended, CrashStateSaved, CrashHeadSigned, CrashCommitReady, CrashCommitted,
		CrashMarked, CrashMarkMade, CrashHomeNamed, CrashConfirming, CrashFolded}
}

// crash is called at each crash point; nil outside tests.
type crash func(point string)

// at passes a crash point.
func (c crash) at(point string) {
	if c != nil {
		c(point)
	}
}
