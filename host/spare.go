package host

import (
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/sdk/secret"
)

// failedSuffix names a list that is written beside a better one.
const failedSuffix = ".failed"

// hasSecret reports whether a row has a password in it.
func hasSecret(row report.Row) bool {
	for _, f := range row {
		if holdsSecret(f.Value) {
			return true
		}
	}
	return false
}

func holdsSecret(value any) bool {
	switch v := value.(type) {
	case secret.Value:
		return v.Present() && !v.Empty()
	case report.Row:
		return hasSecret(v)
	case []any:
		for _, x := range v {
			if holdsSecret(x) {
				return true
			}
		}
	case map[string]any:
		for _, x := range v {
			if holdsSecret(x) {
				return true
			}
		}
	}
	return false
}
