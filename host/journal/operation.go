package journal

import "fmt"

// OperationID names an operation towards backends and in reports: the run, the
// user's position in the plan, the ordinal of the step and the try, all in
// decimal. Every attempt of an operation has the same.
func OperationID(run string, user int64, step, try int) string {
	return fmt.Sprintf("%s-%d-%d-%d", run, user, step, try)
}

// The roles under which the values of a record are sealed: Record.Sealed and
// Record.SealedOld.
const (
	RoleValue = "value"
	RoleOld   = "old"
)
