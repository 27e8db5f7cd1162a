package workflow

import "time"

// Limits bound what one call of a hook, or the evaluation of one file, may
// take. Time that a step waits for its backend does not count. Memory is the
// process's: every call that computes while it grows so much is ended.
type Limits struct {
	Steps     uint64        // of the interpreter, in a hook; 0: 20 million
	LoadSteps uint64        // of the interpreter, at the top level of a file; 0: 50 million
	Compute   time.Duration // of computing; 0: 20 s; after as much again without an end the process ends
	Memory    uint64        // bytes by which the heap may grow; 0: 1 GiB; at twice as much the process ends
	PrintLine int           // lines that print() may write in the life of a Workflow; 0: 10,000
}

func (l Limits) orDefault() Limits {
	if l.Steps == 0 {
		l.Steps = 20_000_000
	}
	if l.LoadSteps == 0 {
		l.LoadSteps = 50_000_000
	}
	if l.Compute == 0 {
		l.Compute = 20 * time.Second
	}
	if l.Memory == 0 {
		l.Memory = 1 << 30
	}
	if l.PrintLine == 0 {
		l.PrintLine = 10_000
	}
	return l
}
