package lang

import "strings"

// Phase is where in a script's life a name may be used.
type Phase uint8

// The phases. The evaluation of the top level comes first, and is over when a
// hook is called.
const (
	AtTop Phase = 1 << iota
	InSelect
	InWave
	InRotate
	InRow

	InHooks  = InSelect | InWave | InRotate
	Anywhere = AtTop | InHooks | InRow
)

// String says where, as the documentation does.
func (p Phase) String() string {
	switch p {
	case InHooks:
		return "hooks"
	case Anywhere:
		return "anywhere"
	}
	var names []string
	for _, one := range []struct {
		phase Phase
		name  string
	}{{AtTop, "top level"}, {InSelect, "select"}, {InWave, "wave"}, {InRotate, "rotate"}, {InRow, "row functions"}} {
		if p&one.phase != 0 {
			names = append(names, one.name)
		}
	}
	return strings.Join(names, ", ")
}
