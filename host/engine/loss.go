package engine

import "time"

// loss says that an attempt was sent and never answered: its request may still
// be on its way.
type loss struct {
	here  bool      // this process sent it: it may outlive the run
	until time.Time // it is taken to be dead after that; zero: nothing was lost
}

// happened reports whether anything was lost.
func (o loss) happened() bool { return !o.until.IsZero() }

// and is both losses.
func (o loss) and(other loss) loss {
	if other.until.After(o.until) {
		o.until = other.until
	}
	o.here = o.here || other.here
	return o
}
