package catalog

import (
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/host/internal/near"
)

// unknown is the error of a name that no backend has.
func (c *Catalog) unknown(name string) error {
	names := c.Names()
	best, least := "", 1+max(1, len(name)/3)
	for _, n := range names {
		if d := near.Distance(strings.ToLower(name), n); d < least {
			best, least = n, d
		}
	}
	switch {
	case best != "":
		return fmt.Errorf("there is no backend %q; did you mean %q?", name, best)
	case len(names) == 0:
		return fmt.Errorf("there is no backend %q, and no other", name)
	default:
		return fmt.Errorf("there is no backend %q; there is %s", name, strings.Join(names, ", "))
	}
}
