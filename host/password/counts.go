package password

import "math"

// counts picks how many characters of each class a value has, so that every
// value of the length with the needed characters is equally likely. Picking
// the needed ones first and the rest from all, as is often done, would favour
// values that have just what is needed.
//
// A value is an arrangement of its classes and, at each place, a character of
// the class. So the weight of some counts is the number of arrangements times
// the sizes of the classes to the power of their counts. It is computed with
// logarithms; a probability is right to twelve digits.
type counts struct {
	length int
	bits   float64      // log2 of the number of values
	top    odds         // of the number of letters
	pairs  [2]groupOdds // of the lower-case ones among letters, of the digits among the others
}

// odds are cumulative probabilities of first, first+1, …, as parts of 1<<63.
type odds struct {
	first int
	below []uint64
}

// groupOdds are odds for each size of a group of two classes.
type groupOdds []odds

func newCounts(sizes [classCount]int, n needs, length int) *counts {
	f := logFactorials(length)
	c := &counts{length: length}
	letters, weightOfLetters := f.group(sizes[lower], sizes[upper], n.of[lower], n.of[upper])
	others, weightOfOthers := f.group(sizes[digit], sizes[symbol], n.of[digit], n.of[symbol])
	c.pairs = [2]groupOdds{letters, others}
	weights := make([]float64, length+1)
	for a := range weights {
		weights[a] = math.Inf(-1)
		if a >= n.letters && length-a >= n.nonLetters {
			weights[a] = f.choose(length, a) + weightOfLetters[a] + weightOfOthers[length-a]
		}
	}
	var total float64
	c.top, total = oddsOf(0, weights)
	c.bits = total / math.Ln2
	return c
}

// pick returns how many characters of each class the next value has.
func (c *counts) pick(d *dice) (n [classCount]int) {
	letters := c.top.pick(d)
	others := c.length - letters
	n[lower] = c.pairs[0][letters].pick(d)
	n[upper] = letters - n[lower]
	n[digit] = c.pairs[1][others].pick(d)
	n[symbol] = others - n[digit]
	return n
}

func (o odds) pick(d *dice) int {
	if len(o.below) == 1 {
		return o.first
	}
	u := d.uint63()
	for i, b := range o.below {
		if u < b {
			return o.first + i
		}
	}
	return o.first + len(o.below) - 1
}

// oddsOf turns the logarithms of weights into odds and the logarithm of their
// sum, leaving out what is impossible at both ends.
func oddsOf(first int, weights []float64) (odds, float64) {
	for len(weights) > 1 && math.IsInf(weights[0], -1) {
		first, weights = first+1, weights[1:]
	}
	for len(weights) > 1 && math.IsInf(weights[len(weights)-1], -1) {
		weights = weights[:len(weights)-1]
	}
	most := math.Inf(-1)
	for _, w := range weights {
		most = max(most, w)
	}
	if math.IsInf(most, -1) {
		return odds{first: first, below: []uint64{1 << 63}}, most
	}
	sum := 0.0
	for _, w := range weights {
		sum += math.Exp(w - most)
	}
	o := odds{first: first, below: make([]uint64, len(weights))}
	part := 0.0
	for i, w := range weights {
		part += math.Exp(w - most)
		o.below[i] = uint64(part / sum * (1 << 63))
	}
	return o, most + math.Log(sum)
}

// logs are the logarithms of 0!, 1!, 2!, …
type logs []float64

func logFactorials(n int) logs {
	f := make(logs, n+1)
	for i := 1; i <= n; i++ {
		f[i] = f[i-1] + math.Log(float64(i))
	}
	return f
}

func (f logs) choose(n, k int) float64 { return f[n] - f[k] - f[n-k] }

// group returns, for every size of a group of two classes, the odds of the
// number of the first class in it, and the logarithm of the number of groups.
func (f logs) group(firstSize, secondSize, firstNeed, secondNeed int) (groupOdds, []float64) {
	all := make(groupOdds, len(f))
	total := make([]float64, len(f))
	for n := range all {
		weights := make([]float64, n+1)
		for k := range weights {
			weights[k] = math.Inf(-1)
			if k >= firstNeed && n-k >= secondNeed {
				weights[k] = f.choose(n, k) + logPower(firstSize, k) + logPower(secondSize, n-k)
			}
		}
		all[n], total[n] = oddsOf(0, weights)
	}
	return all, total
}

// logPower is the logarithm of size to the power of n; that of 0 to the power
// of 0 is of 1.
func logPower(size, n int) float64 {
	if n == 0 {
		return 0
	}
	return float64(n) * math.Log(float64(size))
}
