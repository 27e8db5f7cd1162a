package ldap

import (
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// BenchmarkResolve asks for the entries of 64 DNs, none of them remembered.
func BenchmarkResolve(b *testing.B) {
	s := ldaptest.Start(b, ldaptest.Options{Users: 64})
	i := open(b, s)
	var names []string
	for n := range 64 {
		names = append(names, s.UserDN(n))
	}
	b.ReportAllocs()
	for b.Loop() {
		i.names.entries = nil
		if _, err := i.Resolve(b.Context(), names); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/64, "µs/name")
}
