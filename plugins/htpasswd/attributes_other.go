//go:build unix && !linux

package htpasswd

import "os"

// copyAttributes knows no extended attributes here.
func copyAttributes(*os.File, string) error { return nil }
