//go:build unix && !linux

package htpasswd

import (
	"os"

	"github.com/rekey-host/rekey/sdk"
)

// copyAttributes knows no extended attributes here.
func copyAttributes(*os.File, string) error { return nil }

// pinned knows no mounts and attributes here.
func pinned(string, string) []sdk.Finding { return nil }
