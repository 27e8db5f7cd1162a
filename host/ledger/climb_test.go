package ledger

import (
	"fmt"
	"testing"
)

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
