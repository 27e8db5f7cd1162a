package ledger

import (
	"errors"
	"fmt"
	"testing"
)

// TestRowsInAnotherOrderEndAReading: of a file whose pages were changed, a
// reading that goes on from the last row would have no end.
func TestRowsInAnotherOrderEndAReading(t *testing.T) {
	s := newStore(t)
	r := fuzzedRun(t, s)
	defer r.Close()
	for name, query := range map[string]string{
		"backwards": "SELECT column1 FROM (VALUES (1), (2), (3)) WHERE column1 > ? ORDER BY column1 DESC LIMIT 2",
		"twice":     "SELECT 1 FROM (VALUES (1), (2), (3)) WHERE column1 > ? LIMIT 2",
		"negative":  "SELECT -column1 FROM (VALUES (1), (2), (3)) WHERE column1 > ? LIMIT 2",
	} {
		var seen []int64
		err := r.reading(func(c *conn) error {
			return c.pages(query, 0, func(found row) error {
				if seen = append(seen, found.int(0)); len(seen) > 100 {
					return errors.New("it goes on for ever")
				}
				return nil
			})
		})
		if !Damaged(err) {
			t.Errorf("%s: %v after %v, want damage", name, err, seen)
		}
	}
}

// TestAPlanOfMoreUsersThanThereIsRoomForIsDamage: a number in a file does not
// decide how much memory is taken.
func TestAPlanOfMoreUsersThanThereIsRoomForIsDamage(t *testing.T) {
	for _, total := range []int64{-1, -1 << 62, 1 << 31, 1 << 40, 1<<63 - 1} {
		s := newStore(t)
		r := fuzzedRun(t, s)
		must(t, r.Close())
		edit(t, s, r.ID(), fmt.Sprintf("UPDATE run SET total = %d", total))
		if a, err := s.Verify(r.ID(), ""); !Damaged(err) {
			t.Errorf("%d users: %v, %v, want damage", total, a, err)
		}
		if list, err := s.Runs(); err != nil || len(list) != 1 {
			t.Errorf("%d users: %v, %v, want the run in the list", total, list, err)
		}
	}
}
