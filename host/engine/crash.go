package engine

// The crash points of an Apply: places where a process that ends leaves
// something half done. Job.Crash is called with the name of each one
// passed.
const (
	CrashIntentMade      = "engine/intent-made"      // a value is sealed, in memory only
	CrashGroupTaken      = "engine/group-taken"      // records are about to be committed
	CrashGroupDurable    = "engine/group-durable"    // they are, and their users do not know yet
	CrashFramePicked     = "engine/frame-picked"     // operations are about to be sent
	CrashFrameSent       = "engine/frame-sent"       // they are sent
	CrashAnswered        = "engine/answered"         // an answer came
	CrashOutcomeMade     = "engine/outcome-made"     // it is about to be recorded
	CrashSettling        = "engine/settling"         // an intent without an outcome was found
	CrashEvidenceAsked   = "engine/evidence-asked"   // a verify is about to settle it
	CrashEvidenceGot     = "engine/evidence-got"     // it told
	CrashRecovering      = "engine/recovering"       // a lost change is about to be finished by a set
	CrashBridgeSet       = "engine/bridge-set"       // a bridge value is in force
	CrashValueReplaced   = "engine/value-replaced"   // a refused value got a successor, in memory only
	CrashReverting       = "engine/reverting"        // an account is about to be set back
	CrashResetBegun      = "engine/reset-begun"      // a reset is recorded, not sent
	CrashResetAnswered   = "engine/reset-answered"   // the value that the target picked is in memory only
	CrashReadAnswered    = "engine/read-answered"    // a verify or a find told something
	CrashStatusMade      = "engine/status-made"      // a user's status is about to be recorded
	CrashBatchDispatched = "engine/batch-dispatched" // the last user of a batch was started
	CrashWaveEnded       = "engine/wave-ended"       // every user of a wave has ended
	CrashHolding         = "engine/holding"          // a hold is about to be recorded
	CrashStopping        = "engine/stopping"         // a stop is about to be recorded
	CrashBatchTried      = "engine/batch-tried"      // the hooks of a batch were tried, nothing is sealed
	CrashBatchLeft       = "engine/batch-left"       // a user leaves a batch with an answer without a record
)

// CrashPoints returns the names of all crash points of an Apply.
func CrashPoints() []string {
	return []string{CrashIntentMade, CrashGroupTaken, CrashGroupDurable, CrashFramePicked, CrashFrameSent, CrashAnswered,
		CrashOutcomeMade, CrashSettling, CrashEvidenceAsked, CrashEvidenceGot, CrashRecovering, CrashBridgeSet,
		CrashValueReplaced, CrashReverting, CrashResetBegun, CrashResetAnswered, CrashReadAnswered, CrashStatusMade,
		CrashBatchDispatched, CrashWaveEnded, CrashHolding, CrashStopping, CrashBatchTried, CrashBatchLeft}
}

// crash is called at each crash point; nil outside tests.
type crash func(point string)

// at passes a crash point.
func (c crash) at(point string) {
	if c != nil {
		c(point)
	}
}
