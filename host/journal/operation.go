package journal

import "strconv"

// OperationID names an operation towards backends and in reports: the run, the
// user's position in the plan, the ordinal of the step and the try, all in
// decimal. Every attempt of an operation has the same.
func OperationID(run string, user int64, step, try int) string {
	var room [64]byte
	id := append(room[:0], run...)
	for _, number := range [...]int64{user, int64(step), int64(try)} {
		id = strconv.AppendInt(append(id, '-'), number, 10)
	}
	return string(id)
}

// The roles under which the values of a record are sealed: Record.Sealed and
// Record.SealedOld.
const (
	RoleValue = "value"
	RoleOld   = "old"
)
