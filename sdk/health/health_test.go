package health_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/health"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func texts(found []sdk.Finding) string {
	var list []string
	for _, finding := range found {
		if finding.Severity != sdk.Warning || finding.Fix == "" {
			list = append(list, "NO FIX")
		}
		list = append(list, finding.Message)
	}
	return strings.Join(list, "; ")
}

func TestWhatEndsSoonIsSaid(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]string{
		health.Soon + time.Second: "", health.Soon: "ends in 14 days", 36 * time.Hour: "ends in a day", 90 * time.Minute: "ends in 1h30m0s", 0: "has ended", -time.Hour: "has ended",
	} {
		got := texts(health.Ends("the password", now.Add(left), now, "change it"))
		if want == "" && got != "" || want != "" && !strings.HasPrefix(got, "the password "+want+", at 2026-1") {
			t.Errorf("%s left: %q, want %q", left, got, want)
		}
	}
	if got := health.Ends("x", time.Time{}, now, "y"); got != nil {
		t.Errorf("no end: %v", got)
	}
}

func TestAClockThatIsOffIsSaid(t *testing.T) {
	t.Parallel()
	for skew, want := range map[time.Duration]string{0: "", health.MostSkew: "", -health.MostSkew: "",
		5 * time.Minute: "the server's clock is 5m0s ahead of this machine's", -61 * time.Second: "the server's clock is 1m1s behind this machine's"} {
		var witness health.Witness
		witness.Clock(now.Add(skew), now)
		if got := texts(witness.Findings(now)); got != want {
			t.Errorf("%s: %q, want %q", skew, got, want)
		}
	}
}

// TestTheFirstCertificateToEndIsNamed: the server's own, or one of who signed
// it.
func TestTheFirstCertificateToEndIsNamed(t *testing.T) {
	t.Parallel()
	of := func(name string, days int) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotAfter: now.AddDate(0, 0, days)}
	}
	for want, chain := range map[string][]*x509.Certificate{
		"": {of("leaf", 100), of("authority", 200)},
		"the server's certificate ends in 3 days":                            {of("leaf", 3), of("authority", 9)},
		`the authority "authority" of the server's certificate ends in 9 da`: {of("leaf", 100), of("authority", 9)},
	} {
		if got := texts(health.Certificate(chain, now)); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestAWitnessSeesWhatAServerShows, and leaves a refusal of who was asked before
// it as it is.
func TestAWitnessSeesWhatAServerShows(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	var witness health.Witness
	errNo := errors.New("not this one")
	for _, c := range []struct{ before error }{{errNo}, {nil}} {
		config := witness.Watch(&tls.Config{RootCAs: roots, VerifyConnection: func(tls.ConnectionState) error { return c.before }})
		conn, err := tls.Dial("tcp", server.Listener.Addr().String(), config)
		if !errors.Is(err, c.before) {
			t.Fatalf("%v, want %v", err, c.before)
		}
		if err == nil {
			_ = conn.Close()
		}
		ends := server.Certificate().NotAfter
		if got := texts(witness.Findings(ends.Add(-time.Hour))); (got != "") != (c.before == nil) {
			t.Errorf("%q after %v", got, c.before)
		}
	}
	if witness.Watch(nil) != nil {
		t.Error("a configuration was made of none")
	}
}
