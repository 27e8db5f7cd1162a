package ledger

import (
	"errors"
)

// errOlder is why a log has no head of a size.
var errOlder = errors.New("the log has fewer records")
