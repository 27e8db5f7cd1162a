package host

import (
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/sdk/secret"
)

// failedSuffix names a list written beside a better one.
const failedSuffix = ".failed"

// hasSecret reports whether a row has a password in it.
func hasSecret(row report.Row) bool {
	for _, field := range row {
		if holdsSecret(field.Value) {
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
		for _, value := range v {
			if holdsSecret(value) {
				return true
			}
		}
	case map[string]any:
		for _, value := range v {
			if holdsSecret(value) {
				return true
			}
		}
	}
	return false
}
