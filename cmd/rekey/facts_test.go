package main_test

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestFactsOfARunAreFacts: when it started, when it ended and how long it took
// do not change when they are printed again, nor with the time that a plan lay.
func TestFactsOfARunAreFacts(t *testing.T) {
	p := newPlace(t)
	p.write("s.star", "workflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"memory\"), reports = [report.summary(), report.html(\"page.html\")])\n")
	p.must(0, "plan", "s.star")
	time.Sleep(2100 * time.Millisecond)
	first := p.must(0, "resume", "last", "--yes").stdout
	page := facts(p.read("page.html"))
	if len(page) != 3 || strings.Contains(first, "after 2.") {
		t.Errorf("the plan's time counts, or facts are missing: %q\n%s", page, first)
	}
	time.Sleep(1100 * time.Millisecond)
	again := p.must(0, "report", "last").stdout
	if line, _, _ := strings.Cut(again, "\n"); !strings.HasPrefix(first, line+"\n") {
		t.Errorf("the summary says %q now, and said\n%s", line, first)
	}
	if now := facts(p.read("page.html")); strings.Join(now, "|") != strings.Join(page, "|") {
		t.Errorf("the page says %q now, and said %q", now, page)
	}
}

// facts are the page's words on when.
func facts(page string) []string {
	return regexp.MustCompile(`(Started|Ended|Took)</[a-z]+>\s*<[^>]*>[^<]*`).FindAllString(page, -1)
}
