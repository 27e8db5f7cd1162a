package catalog

import (
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
)

// unknown is the error of a name that no backend has.
func (c *Catalog) unknown(name string) error {
	names := c.Names()
	like := diag.DidYouMean(name, names)
	switch {
	case like != "":
		return fmt.Errorf("there is no backend %q; %s", name, like)
	case len(names) == 0:
		return fmt.Errorf("there is no backend %q, and no other", name)
	default:
		return fmt.Errorf("there is no backend %q; there is %s", name, strings.Join(names, ", "))
	}
}
