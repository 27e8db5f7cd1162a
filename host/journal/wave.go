package journal

import (
	"fmt"
	"slices"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// WaveRule is how one wave is treated.
type WaveRule struct {
	Name        string
	Size        int // users a batch; 0: all
	Take        int // users that it takes, without a wave hook; 0: the rest
	Pause       time.Duration
	Hold        bool
	MaxFailures int     // -1: no limit
	MaxPercent  float64 // of the users planned in the wave; negative: no limit
	Tolerate    []sdk.Code
	InARow      int `json:",omitempty"` // failures of one code in a row that stop the run; 0: any number
}

// InARow is how many like failures in a row stop a run that says nothing of
// waves: whatever all of them hit, the rest would hit too.
const InARow = 20

// Limit is how many users of a wave may fail before it stops; -1: any number.
func (w WaveRule) Limit(planned int64) int64 {
	switch {
	case w.MaxPercent >= 0:
		return int64(float64(planned) * w.MaxPercent / 100)
	case w.MaxFailures >= 0:
		return int64(w.MaxFailures)
	}
	return -1
}

// Fails reports whether a user counts against the wave's limit.
func (w WaveRule) Fails(status Status, code sdk.Code) bool {
	return status.Failure() && !slices.Contains(w.Tolerate, code)
}

// Over says that a wave has failed too often.
func Over(wave string, failed, limit int64) string {
	return fmt.Sprintf("wave %q: %d users failed, more than max_failures allows (%d)", wave, failed, limit)
}
