package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestWhatADamagedLedgerStillHoldsIsShown: one page of each table is lost, and
// what looks at the run shows the rest, names the file and what to do, and exits
// 1.
func TestWhatADamagedLedgerStillHoldsIsShown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("t.star", `workflow(users = rows(["u%d" % i for i in range(120)], key = "login"), backend = backend("memory"))`)
	p.outcome(0, "run", "t.star", "--yes")
	id := p.onlyRun()
	path := p.runFile(id)
	for page, x := range map[int]struct {
		name   string
		values int // at least
	}{
		1: {"of the schema", 120}, 2: {"of the header", 120}, 4: {"of the waves", 120}, 5: {"of the plan", 120},
		6: {"of the log", 120}, 7: {"of its index", 120}, 8: {"of who is done", 120}, 10: {"of the statuses", 120}, 11: {"of the state", 118},
		mostOf(t, path, "\x03set"): {"a part of the log", 50},
	} {
		sound, err := os.ReadFile(path)
		must(t, err)
		harmed := append([]byte(nil), sound...)
		clear(harmed[(page-1)*4096 : page*4096])
		must(t, os.WriteFile(path, harmed, 0o600))
		told := func(r result) bool {
			return r.exit == 1 && strings.Contains(r.stderr, path+" is damaged (") && strings.Contains(r.stderr, "; put a sound copy of the file in its place")
		}
		r := p.rekey("reveal", "last", "--unaudited")
		if values := strings.Count(r.stdout, "applied"); values < x.values || !told(r) {
			t.Errorf("page %d, %s: exit %d, %d values: %s", page, x.name, r.exit, values, r.stderr)
		}
		r = p.rekey("report", "last", "--format", "jsonl")
		if lines := strings.Count(r.stdout, "\n"); lines != 120 || !told(r) {
			t.Errorf("page %d, %s: exit %d, %d lines: %s", page, x.name, r.exit, lines, r.stderr)
		}
		r = p.rekey("report", "last", "--format", "json", "--out", fmt.Sprintf("out-%d.json", page))
		var list []map[string]any
		if err := json.Unmarshal([]byte(p.read(fmt.Sprintf("out-%d.json", page))), &list); err != nil || len(list) != 120 || !told(r) {
			t.Errorf("page %d, %s: exit %d, %d objects, %v: %s", page, x.name, r.exit, len(list), err, r.stderr)
		}
		if r := p.rekey("show", "last", "--status", "done", "--json"); !told(r) || !strings.Contains(r.stdout, `"users"`) {
			t.Errorf("page %d, %s: show: exit %d: %s", page, x.name, r.exit, r.stderr)
		}
		if r := p.rekey("resume", id, "--yes"); page != 10 && page != 8 && page != 5 && page <= 11 && r.exit == 0 {
			t.Errorf("page %d, %s: resume: exit 0", page, x.name)
		}
		must(t, os.WriteFile(path, sound, 0o600))
	}
	p.must(0, "reveal", "last", "--unaudited")
}

// mostOf returns the page of a file that has a text most often.
func mostOf(t *testing.T, path, text string) (page int) {
	t.Helper()
	file, err := os.ReadFile(path)
	must(t, err)
	most := 0
	for n := 1; n <= len(file)/4096; n++ {
		if count := strings.Count(string(file[(n-1)*4096:n*4096]), text); count > most {
			page, most = n, count
		}
	}
	return page
}

// TestAValueThatDoesNotOpenHidesNoOther.
func TestAValueThatDoesNotOpenHidesNoOther(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("t.star", `workflow(users = rows(["u%d" % i for i in range(9)], key = "login"), backend = backend("memory"))`)
	p.outcome(0, "run", "t.star", "--yes")
	id := p.onlyRun()
	text, err := os.ReadFile(p.runFile(id))
	must(t, err)
	intent := "\x03set\x06memory\x00\x00\x00\x00" // and a sealed value
	at := strings.Index(string(text), intent)
	for text[at+len(intent)] == 0 { // an outcome
		at += 1 + strings.Index(string(text[at+1:]), intent)
	}
	text[at+len(intent)+20] ^= 1
	must(t, os.WriteFile(p.runFile(id), text, 0o600))
	r := p.must(1, "reveal", "last", "--unaudited")
	if n := strings.Count(r.stdout, "applied"); n != 8 || !strings.Contains(r.stderr, " do not open (") {
		t.Errorf("%d values: %s", n, r.stderr)
	}
	if r := p.must(1, "report", "last", "--format", "jsonl", "--reveal", "--unaudited"); strings.Count(r.stdout, "\n") != 9 || strings.Count(r.stdout, `"passwords"`) != 8 {
		t.Errorf("%s%s", r.stdout, r.stderr)
	}
}
