package journal

// The states of a Candidate.
const (
	CandidateApplied    = "applied"    // the credential has it
	CandidateSuperseded = "superseded" // a later value was applied
	CandidateUnknown    = "unknown"    // sent, perhaps, and perhaps in force
	CandidateRefused    = "refused"    // certainly never in force
	CandidateUnsent     = "unsent"     // never left the process
)

// Candidate is one of the values ever sealed for a user.
type Candidate struct {
	Backend string // label
	Account string
	Cred    string
	Step    int
	Try     int
	State   string
	Form    string // "plain", or the hash format
	Bridge  bool   // not meant to stay
	// Current: the credential certainly has this value now. It was applied,
	// nothing later is unknown, and no verify found it not to work.
	Current bool
	Sealed  []byte
	Record  *Record // the intent, or of a reset the outcome
}
