package reach

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

func timedOut(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}

// wrongName says which names a certificate has instead of the one that was
// asked for.
func wrongName(wrong x509.HostnameError) string {
	names := append([]string(nil), wrong.Certificate.DNSNames...)
	for _, ip := range wrong.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	const most = 5
	switch {
	case len(names) == 0:
		return fmt.Sprintf(" has a common name only (%s): have it issued with a subject alternative name for %s", wrong.Certificate.Subject.CommonName, wrong.Host)
	case len(names) > most:
		names = append(names[:most], "…")
	}
	return fmt.Sprintf(" is for %s, not for %s: write one of its names in url, or in server_name where url has to have another", strings.Join(names, ", "), wrong.Host)
}
