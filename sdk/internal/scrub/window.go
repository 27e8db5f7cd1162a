package scrub

// window is how many units in a row are a piece.
const window = 8

// roller is the last eight units of a stream and their hash, which is the same
// for them backwards.
type roller struct {
	last        [window]unit
	n           int // how many there were
	forth, back uint64
}

// factor is odd: it has an inverse, and a power that the unit has which leaves.
const (
	factor  uint64 = 0x9E3779B97F4A7C15
	inverse uint64 = 0xF1DE83E19937733D
	power   uint64 = 0x5ECB31E4CCD2721D // factor to the seventh
)

// push takes a unit in, and out the eighth before it. It reports whether there
// are eight.
func (w *roller) push(unit unit) bool {
	place := &w.last[w.n%window]
	out, in := uint64(place.is), uint64(unit.is)
	*place = unit
	w.n++
	w.forth = (w.forth-out*power)*factor + in
	w.back = (w.back-out)*inverse + in*power
	return w.n >= window
}

// key is never 0.
func (w *roller) key() uint64 { return max(1, mix(w.forth)+mix(w.back)) }

func mix(count uint64) uint64 {
	count ^= count >> 32
	count *= 0xD6E8FEB86659FD93
	return count ^ count>>32
}

// units returns the window in its order.
func (w *roller) units() (units [window]rune) {
	for i := range units {
		units[i] = w.last[(w.n+i)%window].is
	}
	return units
}

// span is where the window stands.
func (w *roller) span() span {
	return span{from: int(w.last[w.n%window].from), to: int(w.last[(w.n-1)%window].to)}
}
