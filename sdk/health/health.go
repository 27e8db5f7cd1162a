// Package health is for authors of backends whose Check tells more than
// whether the target is there: what its clock and its certificate are like, and
// when the password of the service account ends. A backend makes one Witness
// for an instance, lets it see each connection, and adds its Findings:
//
//	config := witness.Watch(&tls.Config{ServerName: host})
//	…
//	witness.Clock(serverTime, time.Now())
//	return append(findings, witness.Findings(time.Now())...)
//
// A backend that speaks HTTP by sdk/rest adds the Findings of its rest.Client, which
// has a witness of its own.
package health

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// Soon is how long before its end a certificate or a password is worth a
// warning.
const Soon = 14 * 24 * time.Hour

// MostSkew is how far a clock may be off before it is worth one: tickets and
// tokens of many systems are refused a few minutes further, and headers of HTTP
// are whole seconds.
const MostSkew = time.Minute

// Witness remembers what a server showed last. The zero Witness is ready, and
// safe for concurrent use.
type Witness struct {
	mu    sync.Mutex
	chain []*x509.Certificate
	skew  time.Duration
	timed bool
}

// Watch makes the witness see the certificates that servers show to who uses the
// configuration, after they were found good. It changes and returns config, which
// may be nil.
func (w *Witness) Watch(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	before := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if before != nil {
			if err := before(state); err != nil {
				return err
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.chain = state.PeerCertificates
		return nil
	}
	return config
}

// Clock notes what the server's clock showed at a moment of our own.
func (w *Witness) Clock(theirs, ours time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew, w.timed = theirs.Sub(ours), true
}

// Told is Findings, of a server whose clock says theirs now; zero: that is not known.
func (w *Witness) Told(theirs, now time.Time) []sdk.Finding {
	if !theirs.IsZero() {
		w.Clock(theirs, now)
	}
	return w.Findings(now)
}

// Findings are what of it is worth knowing as of now; none if all is well, or
// nothing was seen.
func (w *Witness) Findings(now time.Time) []sdk.Finding {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []sdk.Finding
	if w.timed {
		found = append(found, Skew(w.skew)...)
	}
	return append(found, Certificate(w.chain, now)...)
}

// Skew warns of a server's clock that is before ours, or behind it.
func Skew(skew time.Duration) []sdk.Finding {
	if skew.Abs() <= MostSkew {
		return nil
	}
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	return []sdk.Finding{{Severity: sdk.Warning, Message: fmt.Sprintf("the server's clock is %s %s this machine's", skew.Abs().Round(time.Second), way),
		Fix: "let both follow a time server (NTP)"}}
}

// Certificate warns of the certificate of a chain that ends first, if it ends
// soon.
func Certificate(chain []*x509.Certificate, now time.Time) []sdk.Finding {
	var first *x509.Certificate
	for _, certificate := range chain {
		if first == nil || certificate.NotAfter.Before(first.NotAfter) {
			first = certificate
		}
	}
	if first == nil {
		return nil
	}
	what := "the server's certificate"
	if first != chain[0] {
		what = fmt.Sprintf("the authority %q of the server's certificate", first.Subject.CommonName)
	}
	return Ends(what, first.NotAfter, now, "have it renewed before that")
}

// Ends warns of something that ends soon, or has ended; the zero time is no end.
func Ends(what string, at, now time.Time, fix string) []sdk.Finding {
	left := at.Sub(now)
	if at.IsZero() || left > Soon {
		return nil
	}
	when := "ends in " + Words(left)
	if left <= 0 {
		when = "has ended"
	}
	return []sdk.Finding{{Severity: sdk.Warning, Message: fmt.Sprintf("%s %s, at %s", what, when, at.UTC().Format(time.RFC3339)), Fix: fix}}
}

// Words is a time that is left, in days or else in less.
func Words(left time.Duration) string {
	switch days := int(left / (24 * time.Hour)); {
	case days > 1:
		return fmt.Sprintf("%d days", days)
	case days == 1:
		return "a day"
	}
	return left.Truncate(time.Minute).String()
}
