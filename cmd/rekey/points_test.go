package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// withPoints is rekey built with the tag crashpoints, by the first test that needs
// it.
var (
	withPoints string
	buildOnce  sync.Once
)

// points is a place whose rekey may be told at which of the crash points that it
// passes it ends like kill -9.
type points struct {
	*place
	program string // a name of its own: others run beside it
}

func newPoints(t *testing.T, env ...string) points {
	t.Helper()
	buildOnce.Do(func() {
		path := filepath.Join(filepath.Dir(binary), "rekey-points")
		if out, err := exec.Command("go", "build", "-tags", "crashpoints", "-o", path, ".").CombinedOutput(); err != nil {
			t.Fatalf("build rekey with crash points: %v\n%s", err, out)
		}
		withPoints = path
	})
	if withPoints == "" {
		t.Fatal("rekey with crash points was not built")
	}
	made := points{newPlace(t, env...), ""}
	made.program = filepath.Join(made.dir, "rekey-points")
	if err := os.Link(withPoints, made.program); err != nil {
		t.Fatal(err)
	}
	return made
}

// crashMoment is one crash point of a run: the nth of its kind.
type crashMoment struct {
	point string
	n     int
}

// at runs rekey, which ends at that moment, and returns the points that it has
// passed. Its plugins are gone then.
func (p points) at(when crashMoment, args ...string) (passed []string, killed bool) {
	p.t.Helper()
	log := filepath.Join(p.dir, "passed")
	_ = os.Remove(log)
	cmd := p.command(args...)
	cmd.Path, cmd.Args[0] = p.program, p.program
	cmd.Env = append(cmd.Env, "REKEY_CRASH_LOG="+log, "REKEY_CRASH_POINT="+when.point, fmt.Sprint("REKEY_CRASH_AT=", when.n))
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	p.goneOf(p.program)
	killed = cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
	if err != nil && !killed {
		p.t.Fatalf("rekey %s, to end at %v: %v\n%s", strings.Join(args, " "), when, err, said.String())
	}
	text, _ := os.ReadFile(log)
	return strings.Fields(string(text)), killed
}

// saga is a run of a script that is killed.
type saga struct {
	points
	args   []string // of rekey run
	before func()   // puts all back to where the script begins
	safe   func()   // what has to be so after a kill
	done   func()   // and after a resume
}

// pointsOfASaga are the durable record, the sent and the received frame, and how many
// of each a saga has to pass.
var pointsOfASaga = map[string]int{"ledger/committed": 4, "engine/frame-sent": 2, "engine/answered": 2}

// killedEverywhere has a clean run count its points and kills a run at each, or
// at some: see chosen. Every other one is killed once more while it is resumed.
func (s saga) killedEverywhere(name string) {
	s.t.Helper()
	s.before()
	passed, _ := s.at(crashMoment{}, append([]string{"run", "--yes"}, s.args...)...)
	s.done()
	moments, hits, total, again := chosen(passed, harnessSeed(s.t)), map[string]int{}, 0, 0
	for round, when := range moments {
		killed, twice := s.killedAt(when, round%2 == 1)
		for !killed && when.n > 1 { // a run on a loaded machine passes fewer: it commits and sends more at once
			when.n /= 2
			killed, twice = s.killedAt(when, round%2 == 1)
		}
		if killed {
			hits[when.point]++
			total++
		}
		if twice {
			again++
		}
	}
	s.t.Logf("counts: %s: %d points in a clean run; killed at %d of %d chosen, and %d times in the resume; %d at durable records, %d at sent frames, %d at received ones",
		name, len(passed), total, len(moments), again, hits["ledger/committed"], hits["engine/frame-sent"], hits["engine/answered"])
	for point, least := range pointsOfASaga {
		if count := strings.Count(strings.Join(passed, " "), point); count < least || hits[point] == 0 {
			s.t.Errorf("%s: %d in a clean run, %d kills; want %d and some: the test proves nothing", point, count, hits[point], least)
		}
	}
	if total < len(moments)*9/10 || again == 0 && len(moments) > len(pointsOfASaga) {
		s.t.Errorf("%d of %d kills hit, and %d in a resume: the test proves nothing", total, len(moments), again)
	}
}

// killedAt kills a run at a moment and looks, has it resumed to its end, and looks.
// It reports whether the run was killed, and killed again in its resume.
func (s saga) killedAt(when crashMoment, twice bool) (killed, again bool) {
	s.t.Helper()
	s.before()
	was := s.last()
	if _, killed = s.at(when, append([]string{"run", "--yes"}, s.args...)...); !killed {
		s.done()
		return false, false
	}
	s.safe()
	run := s.last()
	if run == was { // it was killed before there was a run
		s.must(0, append([]string{"run", "--yes"}, s.args...)...)
		s.done()
		return true, false
	}
	if twice {
		if _, again = s.at(crashMoment{"ledger/committed", 1}, "resume", run, "--yes"); again {
			s.safe()
		}
	}
	s.must(0, "resume", run, "--yes")
	s.done()
	return true, again
}

// chosen are the moments of a run to kill at: all with REKEY_FAULTS=full. Else it is
// two of each of pointsOfASaga and, with REKEY_FAULTS=short, a few others; other ones
// with another seed.
func chosen(passed []string, seed uint64) []crashMoment {
	var all []crashMoment
	counts := map[string]int{}
	for _, point := range passed {
		counts[point]++
		all = append(all, crashMoment{point, counts[point]})
	}
	others := map[string]int{"full": len(all), "short": 4}[os.Getenv("REKEY_FAULTS")]
	most := map[string]int{"full": len(all), "short": 2}[os.Getenv("REKEY_FAULTS")]
	taken := map[string]int{}
	rand.New(rand.NewPCG(seed, 11)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return slices.DeleteFunc(all, func(when crashMoment) bool {
		if _, told := pointsOfASaga[when.point]; told {
			taken[when.point]++
			return taken[when.point] > max(1, most)
		}
		others--
		return others < 0
	})
}
