package scrub

// window is how many units in a row are a piece.
const window = 8

// windows calls do with each window of the stream, blanks and accents passed over, and with
// each of its letters and digits alone that is not the same, and the window's
// number.
func (s stream) windows(do func(w *roller, at int)) {
	var all, alnum roller
	pure := 0 // letters and digits since the last sign
	for _, u := range s {
		if !visible(u.is) {
			continue
		}
		sign := !alphanumeric(u.is)
		if sign {
			pure = 0
		} else {
			pure++
		}
		if all.push(u) {
			do(&all, all.n-window)
		}
		if !sign && alnum.push(u) && pure < window {
			do(&alnum, alnum.n-window)
		}
	}
}

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
func (w *roller) push(u unit) bool {
	place := &w.last[w.n%window]
	out, in := uint64(place.is), uint64(u.is)
	*place = u
	w.n++
	w.forth = (w.forth-out*power)*factor + in
	w.back = (w.back-out)*inverse + in*power
	return w.n >= window
}

// key is never 0.
func (w *roller) key() uint64 { return max(1, mix(w.forth)+mix(w.back)) }

func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xD6E8FEB86659FD93
	return x ^ x>>32
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
