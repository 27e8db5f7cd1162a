package output

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const childPath = "REKEY_TEST_OUTPUT"

// TestMain is also the child of TestAKillLeavesAWholeFile.
func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		rewrite(path, os.Getenv("REKEY_TEST_NAMED") != "")
	}
	os.Exit(m.Run())
}

// version is a file that shows whether it is whole: one byte, over and over.
func version(n int) []byte { return bytes.Repeat([]byte{byte('a' + n%26)}, 300_000+n%26) }

// rewrite replaces a file until it is killed, and says so after each time.
func rewrite(path string, named bool) {
	create := Create
	if named {
		create = createNamed
	}
	for n := 0; ; n++ {
		f, err := create(path, Options{Overwrite: true, Run: "killed"})
		if err == nil {
			_, err = f.Write(version(n))
		}
		if err == nil {
			_, err = f.Commit()
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ok")
	}
}

func TestAKillLeavesAWholeFile(t *testing.T) {
	for _, named := range []string{"", "1"} {
		t.Run("named="+named, func(t *testing.T) {
			d := dir(t)
			path := filepath.Join(d, "report.csv")
			for range 15 {
				killWriter(t, path, named)
				whole(t, path)
			}
			if _, err := Sweep(d); err != nil {
				t.Error(err)
			}
			if got := names(t, d); got != "report.csv" {
				t.Errorf("after the Sweep the directory holds %s, want the report only", got)
			}
		})
	}
}

// killWriter kills a process at a random moment of its third rewriting or so.
func killWriter(t *testing.T, path, named string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childPath+"="+path, "REKEY_TEST_NAMED="+named)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() || lines.Text() != "ok" {
			t.Errorf("child says %q", lines.Text())
		}
	}
	time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	for lines.Scan() {
		if lines.Text() != "ok" {
			t.Errorf("child says %q", lines.Text())
		}
	}
	_ = child.Wait() // it was killed
}

func whole(t *testing.T, path string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || len(got) == 0 || !bytes.Equal(got, version(int(got[0]-'a'))) {
		t.Errorf("after a kill: %d bytes, %v, want one whole version", len(got), err)
	}
}
