//go:build !unix

package reach

import "net"

// HungUp reports that it cannot be told here.
func HungUp(net.Conn) bool { return false }
