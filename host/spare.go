package host

import (
	"fmt"

	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/sdk/secret"
)

// failedSuffix names a list that is written beside a better one.
const failedSuffix = ".failed"

// spare keeps a list of passwords that another run has written from being
// replaced by one with fewer of them, in which somebody's is missing: who has
// the list needs it. The new one goes beside it, and that is said.
func (p *reporter) spare(s *sheet) error {
	old, there := p.h.store.Listed(s.file.Path())
	if !there || old.Run == p.run.ID() || s.values >= old.Values || s.lacking == 0 && s.values > 0 || p.options.Overwrite || !s.file.Replaces() {
		return nil
	}
	if err := s.file.Divert(failedSuffix); err != nil {
		return err
	}
	s.failed = true
	_, _ = fmt.Fprintf(p.h.Stderr, "rekey: warning: %s stays as run %s wrote it, with the passwords of %d users: this run has those of %d; its list is %s\n",
		p.h.shown(s.spec.Path), old.Run, old.Values, s.values, p.h.shown(s.path()))
	return nil
}

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
