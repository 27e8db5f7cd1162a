package password

import "math"

// counts picks how many characters of each class a value has, so that every
// value of the length with the needed characters is equally likely. Picking
// the needed ones first and the rest from all, as is often done, would favour
// values that just meet the counts.
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

func newCounts(sizes [classCount]int, needs needs, length int) *counts {
	logs := logFactorials(length)
	made := &counts{length: length}
	letters, weightOfLetters := logs.group(sizes[lower], sizes[upper], needs.of[lower], needs.of[upper])
	others, weightOfOthers := logs.group(sizes[digit], sizes[symbol], needs.of[digit], needs.of[symbol])
	made.pairs = [2]groupOdds{letters, others}
	weights := make([]float64, length+1)
	for index := range weights {
		weights[index] = math.Inf(-1)
		if index >= needs.letters && length-index >= needs.nonLetters {
			weights[index] = logs.choose(length, index) + weightOfLetters[index] + weightOfOthers[length-index]
		}
	}
	var total float64
	made.top, total = oddsOf(0, weights)
	made.bits = total / math.Ln2
	return made
}

// pick returns how many characters of each class the next value has.
func (c *counts) pick(dice *dice) (n [classCount]int) {
	letters := c.top.pick(dice)
	others := c.length - letters
	n[lower] = c.pairs[0][letters].pick(dice)
	n[upper] = letters - n[lower]
	n[digit] = c.pairs[1][others].pick(dice)
	n[symbol] = others - n[digit]
	return n
}

func (o odds) pick(dice *dice) int {
	if len(o.below) == 1 {
		return o.first
	}
	count := dice.uint63()
	for i, value := range o.below {
		if count < value {
			return o.first + i
		}
	}
	return o.first + len(o.below) - 1
}

// oddsOf turns the logarithms of weights into odds and the logarithm of their
// sum, leaving out the impossible at both ends.
func oddsOf(first int, weights []float64) (odds, float64) {
	for len(weights) > 1 && math.IsInf(weights[0], -1) {
		first, weights = first+1, weights[1:]
	}
	for len(weights) > 1 && math.IsInf(weights[len(weights)-1], -1) {
		weights = weights[:len(weights)-1]
	}
	most := math.Inf(-1)
	for _, amount := range weights {
		most = max(most, amount)
	}
	if math.IsInf(most, -1) {
		return odds{first: first, below: []uint64{1 << 63}}, most
	}
	sum := 0.0
	for _, amount := range weights {
		sum += math.Exp(amount - most)
	}
	made := odds{first: first, below: make([]uint64, len(weights))}
	part := 0.0
	for i, amount := range weights {
		part += math.Exp(amount - most)
		made.below[i] = uint64(part / sum * (1 << 63))
	}
	return made, most + math.Log(sum)
}

// logs are the logarithms of 0!, 1!, 2!, …
type logs []float64

func logFactorials(count int) logs {
	f := make(logs, count+1)
	for i := 1; i <= count; i++ {
		f[i] = f[i-1] + math.Log(float64(i))
	}
	return f
}

func (f logs) choose(count, index int) float64 { return f[count] - f[index] - f[count-index] }

// group returns, for every size of a group of two classes, the odds of the
// number of the first class in it, and the logarithm of the number of groups.
func (f logs) group(firstSize, secondSize, firstNeed, secondNeed int) (groupOdds, []float64) {
	all := make(groupOdds, len(f))
	total := make([]float64, len(f))
	for index := range all {
		weights := make([]float64, index+1)
		for pos := range weights {
			weights[pos] = math.Inf(-1)
			if pos >= firstNeed && index-pos >= secondNeed {
				weights[pos] = f.choose(index, pos) + logPower(firstSize, pos) + logPower(secondSize, index-pos)
			}
		}
		all[index], total[index] = oddsOf(0, weights)
	}
	return all, total
}

// logPower is the logarithm of size to the power of count; that of 0 to the power
// of 0 is of 1.
func logPower(size, count int) float64 {
	if count == 0 {
		return 0
	}
	return float64(count) * math.Log(float64(size))
}
