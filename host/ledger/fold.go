package ledger

import (
	"errors"
	"os"
	"time"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// mine reports whether this process's user owns the file: others, root among
// them, would leave files that the owner cannot open.
func mine(path string) bool {
	st, err := files.Stat(path)
	return err == nil && int(st.Uid) == os.Geteuid()
}

// tidyWait is how long an opening waits for a process that only tidies.
const tidyWait = 10 * time.Second

// waitLock takes the lock for applying. Who holds it without having signed it
// tidies, and is soon done.
func waitLock(path string) (*lock, error) {
	for end := time.Now().Add(tidyWait); ; time.Sleep(5 * time.Millisecond) {
		l, err := takeLock(path)
		var held *LockedError
		if !errors.As(err, &held) || held.PID != 0 || time.Now().After(end) {
			return l, err
		}
	}
}
