package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk/secret"
)

// draftOf begins a draft with the users of the list.
func draftOf(t bench, s *Store, k Keys, users []PlannedUser) *Draft {
	t.Helper()
	d, err := s.Draft(Header{Script: "test.star", OSUser: "ann"}, k)
	must(t, err)
	for i, u := range users {
		u.Seq = int64(i + 1)
		if u.Line == 0 {
			u.Line = i + 2
		}
		must(t, d.Add(u))
	}
	return d
}

// keysOf lists the keys of a run with their waves.
func keysOf(t bench, r *Run, o Order) (list []string) {
	t.Helper()
	must(t, r.Each(Filter{}, o, func(u User) error {
		list = append(list, fmt.Sprintf("%s %s", u.Key, u.WaveName))
		return nil
	}))
	return list
}

func TestUsersAreOrderedByTypedKeys(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	sorted := [][]any{
		{int64(math.MinInt64), "x"}, {-5.5, "x"}, {int64(-5), "x"}, {int64(0), "x"}, {0.5, "x"}, {int64(9), "x"}, {int64(10), "x"},
		{int64(1<<53 + 1), "x"}, {int64(1<<53 + 2), "x"}, {int64(math.MaxInt64), "x"}, {math.Inf(1), "x"},
		{"", "x"}, {"\x00", "x"}, {"10", "x"}, {"9", "x"}, {"a", "1"}, {"a", "x"}, {"a\x00", "x"}, {"aa", "x"}, {"e\u0301a", "x"}, {"\u00e9b", "x"},
		{false, "x"}, {true, "x"}, {nil, "a"}, {nil, nil},
	}
	var users []PlannedUser
	var want []string
	for i, keys := range sorted {
		users = append(users, PlannedUser{Key: fmt.Sprintf("u%02d", i), Sort: keys})
		want = append(want, fmt.Sprintf("u%02d all", i))
	}
	slices.Reverse(users)
	r, err := draftOf(t, s, k, users).Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	defer r.Close()
	if d := cmp.Diff(want, keysOf(t, r, OrderApply)); d != "" {
		t.Fatal(d)
	}
	slices.Reverse(want)
	if d := cmp.Diff(want, keysOf(t, r, OrderSource)); d != "" {
		t.Fatal(d)
	}
}

// TestUsersAreOrderedTheGreatestFirst, the empty last either way, and what is equal by
// the key behind it.
func TestUsersAreOrderedTheGreatestFirst(t *testing.T) {
	s := newStore(t)
	sorted := [][]any{
		{Down{true}, "x"}, {Down{"b"}, "a"}, {Down{"b"}, "b"}, {Down{"aa"}, "x"}, {Down{"a\x00"}, "x"}, {Down{"a"}, "a"}, {Down{"a"}, "b"}, {Down{""}, "x"},
		{Down{int64(10)}, "x"}, {Down{int64(9)}, "x"}, {Down{0.5}, "x"}, {Down{int64(-5)}, "x"}, {Down{nil}, "a"}, {nil, "b"},
	}
	var users []PlannedUser
	var want []string
	for i, keys := range sorted {
		users = append(users, PlannedUser{Key: fmt.Sprintf("u%02d", i), Sort: keys})
		want = append(want, fmt.Sprintf("u%02d all", i))
	}
	slices.Reverse(users)
	r, err := draftOf(t, s, newKeys(t, s), users).Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	defer r.Close()
	if d := cmp.Diff(want, keysOf(t, r, OrderApply)); d != "" {
		t.Fatal(d)
	}
}

func TestWavesComeInOrderAndSkippedUsersLast(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	users := []PlannedUser{{Key: "a", Wave: 1}, {Key: "b", Skipped: true, Reason: "frozen"}, {Key: "c"}, {Key: "d", Wave: 1}, {Key: "e", Wave: -1}}
	r, err := draftOf(t, s, k, users).Freeze([]WavePlan{{Name: "first"}, {Name: "second"}, {Name: "empty"}})
	must(t, err)
	defer r.Close()
	want := []string{"c first", "a second", "d second", "b ", "e "}
	if d := cmp.Diff(want, keysOf(t, r, OrderApply)); d != "" {
		t.Fatal(d)
	}
	u, err := r.User("B")
	must(t, err)
	if u.Status != journal.Skipped || u.Reason != "frozen" || u.Pos != 4 || u.Line != 3 || u.Wave != -1 {
		t.Fatalf("User(%q) = %+v", "B", u)
	}
	waves, err := r.WaveCounts()
	must(t, err)
	wantWaves := []WaveCounts{{"first", Counts{Total: 1, Pending: 1}}, {"second", Counts{Total: 2, Pending: 2}}, {"empty", Counts{}}}
	if d := cmp.Diff(wantWaves, waves); d != "" {
		t.Fatal(d)
	}
	counts, err := r.Counts()
	must(t, err)
	if want := (Counts{Total: 5, Skipped: 2, Pending: 3}); counts != want {
		t.Fatalf("Counts() = %+v, want %+v", counts, want)
	}
}

func TestTakeFillsWavesInOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		waves []WavePlan
		want  []int64
	}{
		{"the last takes the rest", []WavePlan{{"a", 2}, {"b", 3}, {"c", 1}}, []int64{2, 3, 5}},
		{"no more than there are", []WavePlan{{"a", 8}, {"b", 8}, {"c", 0}}, []int64{8, 2, 0}},
		{"one wave takes all", []WavePlan{{"a", 3}}, []int64{10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			k := newKeys(t, s)
			d := draftOf(t, s, k, []PlannedUser{{Key: "skipped", Skipped: true}})
			for i := range 10 {
				must(t, d.Add(PlannedUser{Seq: int64(i + 2), Key: fmt.Sprint(i)}))
			}
			r, err := d.Freeze(c.waves)
			must(t, err)
			defer r.Close()
			list, err := r.WaveCounts()
			must(t, err)
			var got []int64
			for _, w := range list {
				got = append(got, w.Total)
			}
			if !slices.Equal(got, c.want) {
				t.Fatalf("waves = %v, want %v", got, c.want)
			}
			audited(t, s, r.ID(), "") // also where the first wave has fewer than there are
		})
	}
}

// TestDuplicatesAreFoundWithTheirFirstLine, in the order of the source, wherever
// the two rows are kept: in the plan, or until the order is known.
func TestDuplicatesAreFoundWithTheirFirstLine(t *testing.T) {
	s := newStore(t)
	d := draftOf(t, s, newKeys(t, s), []PlannedUser{{Key: "Ann", Line: 7}, {Key: "Zo\u00eb", Line: 8}, {Key: "stra\u00dfe", Line: 9, Wave: 1},
		{Key: "bob", Line: 10, Skipped: true}, {Key: "ann", Line: 11, Wave: 1}, {Key: "ANN", Line: 12}, {Key: "cleo", Line: 13},
		{Key: "Zoe\u0308", Line: 14, Skipped: true}, {Key: "ZO\u00cb", Line: 15, Sort: []any{"x"}}, {Key: "STRASSE", Line: 16}, {Key: "BOB", Line: 17}})
	defer d.Discard()
	want := []Duplicate{{5, 11, "ann", 1, 7}, {6, 12, "ANN", 1, 7}, {8, 14, "Zoe\u0308", 2, 8}, {9, 15, "ZO\u00cb", 2, 8}, {10, 16, "STRASSE", 3, 9}, {11, 17, "BOB", 4, 10}}
	for _, most := range []int{0, 1, 4, 6, 20} {
		got, total, err := d.Duplicates(most)
		must(t, err)
		if total != int64(len(want)) || !slices.Equal(got, want[:min(most, len(want))]) {
			t.Errorf("Duplicates(%d) = %v, %d", most, got, total)
		}
	}
	if _, err := d.Freeze([]WavePlan{{Name: "one"}, {Name: "two"}}); err == nil || !strings.Contains(err.Error(), `key "ann" is on line 7 already`) {
		t.Errorf("Freeze() = %v, want the key and its line", err)
	}
}

// TestKeysThatOnlyHashAlikeAreNoDuplicates: the keys decide.
func TestKeysThatOnlyHashAlikeAreNoDuplicates(t *testing.T) {
	s := newStore(t)
	d := draftOf(t, s, newKeys(t, s), []PlannedUser{{Key: "a"}, {Key: "b"}})
	must(t, d.keys.add("a", 2)) // as if b hashed as a does
	if got, total, err := d.Duplicates(20); err != nil || total != 0 || len(got) != 0 {
		t.Fatalf("Duplicates() = %v, %d, %v", got, total, err)
	}
	r, err := d.Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	must(t, r.Close())
}

func TestUserOfAWaveThatIsNotThereFailsTheFreeze(t *testing.T) {
	s := newStore(t)
	d := draftOf(t, s, newKeys(t, s), []PlannedUser{{Key: "a", Wave: 1}})
	if _, err := d.Freeze([]WavePlan{{Name: "all"}}); err == nil {
		t.Fatal("Freeze() gave no error")
	}
	if left := filesIn(t, s.runs()); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestPlanWithoutUsersIsARun(t *testing.T) {
	s := newStore(t)
	r, err := draftOf(t, s, newKeys(t, s), nil).Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	defer r.Close()
	if list, err := r.OpenUsers(0, 0, 10); err != nil || len(list) != 0 {
		t.Fatalf("OpenUsers() = %v, %v", list, err)
	}
	audited(t, s, r.ID(), "")
}

func filesIn(t bench, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestDiscardedDraftLeavesNothing(t *testing.T) {
	s := newStore(t)
	d := draftOf(t, s, newKeys(t, s), []PlannedUser{{Key: "a"}})
	if got := filesIn(t, s.runs()); len(got) == 0 || !strings.HasPrefix(got[0], ".") {
		t.Fatalf("a draft is %v, want a hidden file", got)
	}
	must(t, d.Discard())
	must(t, d.Discard())
	if left := filesIn(t, s.runs()); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
	if open := descriptors(t, s.draftFile(d.ID())); len(open) > 0 {
		t.Fatalf("still open: %v", open)
	}
}

// descriptors lists the files that this process has open whose names begin so.
func descriptors(t bench, prefix string) (names []string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range fds {
		if name, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); err == nil && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

func TestOpenSweepsDraftsOfTheDeadOnly(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	alive := draftOf(t, s, k, []PlannedUser{{Key: "a"}})
	dead := draftOf(t, s, k, []PlannedUser{{Key: "a"}})
	dead.lock.release() // as the kernel does when a process ends
	_, err := Open(s.Dir(), Options{})
	must(t, err)
	want := []string{"." + alive.ID() + ".draft", alive.ID() + ".lock"}
	if got := filesIn(t, s.runs()); !slices.Equal(got, want) {
		t.Fatalf("after the sweep: %v, want %v", got, want)
	}
	r, err := alive.Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	must(t, r.Close())
}

func TestUnfrozenDraftIsNoRun(t *testing.T) {
	s := newStore(t)
	d := draftOf(t, s, newKeys(t, s), []PlannedUser{{Key: "a"}})
	defer d.Discard()
	if list, err := s.Runs(); err != nil || len(list) != 0 {
		t.Fatalf("Runs() = %v, %v", list, err)
	}
	if _, err := s.Read(d.ID()); !errors.Is(err, ErrNoRun) {
		t.Fatalf("Read() = %v, want ErrNoRun", err)
	}
}

func TestTakenNameIsRefused(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	d, err := s.Draft(Header{ID: "mine"}, k)
	must(t, err)
	var held *LockedError
	if _, err := s.Draft(Header{ID: "mine"}, k); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("second Draft() = %v, want a LockedError", err)
	}
	r, err := d.Freeze(nil)
	must(t, err)
	must(t, r.Close())
	for _, id := range []string{"mine", "../x", "A", "-x"} {
		if _, err := s.Draft(Header{ID: id}, k); err == nil {
			t.Errorf("Draft(%q) gave no error", id)
		}
	}
}

func TestSealedCellOpensInItsPlaceOnly(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	d := draftOf(t, s, k, nil)
	sealed := d.Seal("temporary", 1, secret.New(canary))
	if d.Seal("temporary", 2, secret.Value{}) != nil {
		t.Fatal("an absent value was sealed")
	}
	must(t, d.Add(PlannedUser{Seq: 1, Key: "a", Row: sealed}))
	r, err := d.Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	defer r.Close()
	u, err := r.User("a")
	must(t, err)
	if !bytes.Equal(u.Row, sealed) {
		t.Fatal("the row is another one")
	}
	v, err := r.UnsealCell("temporary", 1, u.Row)
	must(t, err)
	if v.Reveal() != canary {
		t.Fatal("UnsealCell() gave another value")
	}
	if _, err := r.UnsealCell("temporary", 2, sealed); err == nil {
		t.Error("it opens in another row")
	}
	if _, err := r.UnsealCell("other", 1, sealed); err == nil {
		t.Error("it opens in another column")
	}
	if _, err := r.Unseal(1, 1, 0, "temporary", sealed); err == nil {
		t.Error("it opens as a value of a step")
	}
}

func TestTemporaryFilesOfAPlanAreInTheStateDirectory(t *testing.T) {
	s := newStore(t)
	d := draftOf(t, s, newKeys(t, s), nil)
	defer d.Discard()
	for i := 1; i <= 30_000; i++ {
		p := planned(i)
		p.Row, p.Sort = bytes.Repeat([]byte("row "), 100), []any{i}
		must(t, d.Add(p))
	}
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	found := false
	for _, fd := range fds {
		name, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name()))
		if err != nil || !strings.Contains(name, "etilqs") {
			continue
		}
		found = true
		if !strings.HasPrefix(name, s.temp()) {
			t.Errorf("a temporary file is %s", name)
		}
	}
	if !found {
		t.Fatal("the stage has no file: it grows in memory")
	}
}

// TestNumberBeyondWholeOnesIsTheNearest, so that it sorts where it belongs.
func TestNumberBeyondWholeOnesIsTheNearest(t *testing.T) {
	for _, c := range []struct {
		in   float64
		want int64
	}{
		{0, 0}, {-7.9, -7}, {7.9, 7}, {1 << 62, 1 << 62}, {math.MaxInt64, math.MaxInt64}, {math.Inf(1), math.MaxInt64}, {math.NaN(), math.MaxInt64},
		{math.MinInt64, math.MinInt64}, {-1e30, math.MinInt64}, {math.Inf(-1), math.MinInt64},
	} {
		if got := truncated(c.in); got != c.want {
			t.Errorf("truncated(%v) = %d, want %d", c.in, got, c.want)
		}
	}
}

// TestReasonIsOfTheSkippedOnly, the first wave's users among the others, whether
// they are sorted or not; the digest of the plan is without one too.
func TestReasonIsOfTheSkippedOnly(t *testing.T) {
	s := newStore(t)
	r, err := draftOf(t, s, newKeys(t, s), []PlannedUser{{Key: "a", Reason: "x"}, {Key: "as", Reason: "x", Sort: []any{1}}, {Key: "b", Wave: 1, Reason: "x"},
		{Key: "c", Wave: -1, Reason: "x"}, {Key: "d", Skipped: true, Reason: "x"}}).Freeze([]WavePlan{{Name: "one"}, {Name: "two"}})
	must(t, err)
	defer r.Close()
	c := rawly(t, s, r.ID())
	must(t, c.each("SELECT key, reason FROM plan", func(found row) error {
		if skipped := found.text(0) >= "c"; (found.text(1) == "x") != skipped || (found[1] == nil) == skipped {
			t.Errorf("%s has reason %v", found.text(0), found[1])
		}
		return nil
	}))
	audited(t, s, r.ID(), "")
}

// TestRowsThatDoNotAscendAreRefused: a key is found again by its row's number.
func TestRowsThatDoNotAscendAreRefused(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	for seq, want := range map[int64]string{5: "", 4: "row 4 came behind row 4", 3: "row 3 came behind row 4"} {
		d := draftOf(t, s, k, nil)
		must(t, d.Add(PlannedUser{Seq: 4, Key: "a"}))
		err := d.Add(PlannedUser{Seq: seq, Key: "b"})
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), d.ID()+": "+want)) {
			t.Errorf("row %d behind row 4: %v, want %q", seq, err, want)
		}
		must(t, d.Discard())
	}
}

// TestARowThatIsLostIsNoDuplicate but an error: the key of nothing is compared.
func TestARowThatIsLostIsNoDuplicate(t *testing.T) {
	s := newStore(t)
	d := draftOf(t, s, newKeys(t, s), []PlannedUser{{Key: "a"}, {Key: "b"}, {Key: "c", Wave: 1}})
	defer d.Discard()
	for seq, key := range map[int64]string{1: "a", 2: "b", 3: "c"} {
		if found, err := d.row(seq); err != nil || found.Key != key {
			t.Errorf("row %d: %v, %v", seq, found, err)
		}
	}
	for _, seq := range []int64{0, 4} {
		if found, err := d.row(seq); err == nil || !strings.HasSuffix(err.Error(), "is lost") {
			t.Errorf("row %d: %v, %v", seq, found, err)
		}
	}
}

// TestWaveWithoutATakeTakesTheRest, wherever it stands.
func TestWaveWithoutATakeTakesTheRest(t *testing.T) {
	s := newStore(t)
	d := draftOf(t, s, newKeys(t, s), []PlannedUser{{Key: "a"}, {Key: "b"}, {Key: "c"}, {Key: "d"}, {Key: "e"}})
	defer d.Discard()
	for _, c := range []struct {
		takes []int
		want  []int64
	}{
		{[]int{2, 0}, []int64{2, 3}},
		{[]int{2, 1}, []int64{2, 3}},
		{[]int{1, 0, 2}, []int64{1, 4, 0}},
		{[]int{9, 1}, []int64{5, 0}},
		{[]int{1}, []int64{5}},
	} {
		var waves []WavePlan
		for _, n := range c.takes {
			waves = append(waves, WavePlan{Take: n})
		}
		bounds, err := d.fill(waves)
		must(t, err)
		var got []int64
		for _, w := range bounds {
			got = append(got, w.Size())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("takes %v: waves of %v, want %v", c.takes, got, c.want)
		}
	}
}
