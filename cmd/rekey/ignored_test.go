package main_test

import (
	"os/exec"
	"regexp"
	"testing"
)

// TestListsOfTheREADMEAreIgnored by git: they are written into the checkout and
// hold passwords.
func TestListsOfTheREADMEAreIgnored(t *testing.T) {
	if out, err := exec.Command("git", "-C", "../..", "rev-parse", "--is-inside-work-tree").CombinedOutput(); err != nil {
		t.Skipf("not a checkout, as an archive of the sources: %s", out)
	}
	tried := 0
	for _, file := range readmeOutputs(t) {
		tried++
		if err := exec.Command("git", "-C", "../..", "check-ignore", "-q", file).Run(); err != nil {
			t.Errorf("%s is not ignored: %v", file, err)
		}
	}
	if tried < 7 {
		t.Errorf("%d files are too few", tried)
	}
}

// readmeOutputs are what the commands of README.md and the defaults of shipped
// scripts write.
func readmeOutputs(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "-C", "../..", "grep", "-hoE", `(out=|param.path\("out", default = ")[a-z_]+\.(csv|json)`, "--", "README.md", "scripts").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var files []string
	for _, found := range regexp.MustCompile(`[a-z_]+\.(csv|json)`).FindAllString(string(out), -1) {
		if !seen[found] {
			seen[found] = true
			files = append(files, found)
		}
	}
	return append(files, "quickstart/passwords.csv", "list.csv.failed")
}
