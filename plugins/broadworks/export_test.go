package broadworks

import (
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// NewAt returns the backend with a clock of its own.
func NewAt(now func() time.Time) sdk.Backend { return backend{now: now} }
