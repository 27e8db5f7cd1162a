package journal

import "github.com/rekey-host/rekey/sdk"

// The host's own codes. They stand in records and reports beside
// those of plugins, and like these never change their meaning.
const (
	ScriptError      sdk.Code = "ScriptError"      // a defect of the script
	ScriptFailed     sdk.Code = "ScriptFailed"     // the script said failed(reason)
	Diverged         sdk.Code = "Diverged"         // a replayed hook took another step than the recorded one
	DuplicateAccount sdk.Code = "DuplicateAccount" // another user of the run owns the account
)

// HostCodes returns every code of the host's own.
func HostCodes() []sdk.Code {
	return []sdk.Code{ScriptError, ScriptFailed, Diverged, DuplicateAccount}
}
