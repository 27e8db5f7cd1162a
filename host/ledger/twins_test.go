package ledger

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// TestTwinsAreThoseOfAMap, of keys in memory and in the file alike.
func TestTwinsAreThoseOfAMap(t *testing.T) {
	t.Parallel()
	const many = 2 * twinPiles * twinPart
	for _, c := range []struct {
		rows, kinds int
		spilled     bool
	}{{0, 1, false}, {1, 1, false}, {50, 7, false}, {50, 1000, false}, {many, 1, true}, {many, 7, true}, {many, many / 3, true}, {many, many - 10, true}, {many, many, true}} {
		dir := t.TempDir()
		keys := newTwins(dir)
		defer keys.close()
		first := map[string]int64{}
		var want []pair
		for i := range c.rows {
			key, seq := fmt.Sprint(i*7919%c.kinds), int64(i+1)
			must(t, keys.add(key, seq))
			if was, known := first[key]; known {
				want = append(want, pair{seq, was})
			} else {
				first[key] = seq
			}
		}
		for _, most := range []int{0, 1, 20} {
			got, total, err := keys.pairs(most)
			must(t, err)
			if total != int64(len(want)) || !slices.Equal(got, want[:min(most, len(want))]) {
				t.Errorf("%d rows of %d keys: pairs(%d) = %v, %d, want %v, %d", c.rows, c.kinds, most, got, total, want[:min(most, len(want))], len(want))
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 || (keys.keys.InFile()) != c.spilled {
			t.Errorf("%d rows: a file: %v, its name: %v, %v", c.rows, keys.keys.InFile(), left, err)
		}
	}
}

// BenchmarkTwins is what finding duplicates costs a key.
func BenchmarkTwins(b *testing.B) {
	const n = 1_000_000
	dir := b.TempDir()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("user%07d", i)
	}
	for b.Loop() {
		keys := newTwins(dir)
		for i, name := range names {
			if err := keys.add(name, int64(i)); err != nil {
				b.Fatal(err)
			}
		}
		if _, total, err := keys.pairs(20); err != nil || total != 0 {
			b.Fatal(total, err)
		}
		keys.close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
	peak(b)
}
