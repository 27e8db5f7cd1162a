package rest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// maxRetryAfter bounds how long a server may make rekey wait at once.
const maxRetryAfter = time.Hour

// Failure is an exchange that did not end with a 2xx answer, or one that a
// backend judges to have failed all the same.
type Failure struct {
	Outcome sdk.Outcome // Refused or Unknown
	Err     *sdk.Error  // never nil
	Answer  Answer      // the whole answer; Status 0: no answer came
}

// Refusal returns the failure of an operation that certainly changed nothing.
func Refusal(err *sdk.Error) *Failure { return &Failure{Outcome: sdk.Refused, Err: err} }

// Receipt returns the failure as the answer to an operation.
func (f *Failure) Receipt() sdk.Receipt { return sdk.Receipt{Outcome: f.Outcome, Err: f.Err} }

// Error returns the code and the message.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the *sdk.Error.
func (f *Failure) Unwrap() error { return f.Err }

// AsError returns the *sdk.Error as an error, nil for a nil Failure. Methods
// that return an error use it, because a nil *Failure is not a nil error.
func (f *Failure) AsError() error {
	if f == nil {
		return nil
	}
	return f.Err
}

// Classify returns what a status means where a target says nothing more.
//
//	status                outcome  code
//	301 307 308           refused  InvalidConfig: the url is another
//	302 303               unknown  TargetError: some servers answer so when it is done
//	400 406 411 413-415 422 431  refused  InvalidOperation
//	401                   refused  LoginExpired
//	403                   refused  PermissionDenied
//	404 410               refused  AccountNotFound
//	405 501               refused  Unsupported
//	408                   refused  Timeout
//	409 412               refused  Conflict
//	423                   refused  AccountStatus
//	429                   refused  RateLimited
//	other 3xx 4xx         refused  TargetError
//	502                   unknown  TargetUnavailable
//	503                   refused  TargetUnavailable
//	504                   unknown  Timeout
//	500, other 5xx        unknown  TargetError
//
// A backend whose target uses 409 for an account in the wrong state maps that
// to AccountStatus itself: Conflict is retried.
func Classify(status int) (sdk.Outcome, sdk.Code) {
	switch status {
	case 301, 307, 308:
		return sdk.Refused, sdk.InvalidConfig
	case 300, 302, 303:
		return sdk.Unknown, sdk.TargetError
	case 400, 406, 411, 413, 414, 415, 422, 431:
		return sdk.Refused, sdk.InvalidOperation
	case 401:
		return sdk.Refused, sdk.LoginExpired
	case 403:
		return sdk.Refused, sdk.PermissionDenied
	case 404, 410:
		return sdk.Refused, sdk.AccountNotFound
	case 405, 501:
		return sdk.Refused, sdk.Unsupported
	case 408:
		return sdk.Refused, sdk.Timeout
	case 409, 412:
		return sdk.Refused, sdk.Conflict
	case 423:
		return sdk.Refused, sdk.AccountStatus
	case 429:
		return sdk.Refused, sdk.RateLimited
	case 502:
		return sdk.Unknown, sdk.TargetUnavailable
	case 503:
		return sdk.Refused, sdk.TargetUnavailable
	case 504:
		return sdk.Unknown, sdk.Timeout
	}
	if status >= 500 {
		return sdk.Unknown, sdk.TargetError
	}
	return sdk.Refused, sdk.TargetError
}

// failed makes the failure of a whole answer other than a success.
func failed(answer Answer, now time.Time) *Failure {
	outcome, code := Classify(answer.Status)
	failure := &sdk.Error{Code: code, Native: "HTTP " + strconv.Itoa(answer.Status), Message: plain(answer), RetryAfter: RetryAfter(answer.Header, now)}
	if code == sdk.AccountStatus {
		failure.AccountStatus = sdk.StatusLocked
	}
	return &Failure{Outcome: outcome, Err: failure, Answer: answer}
}

// plain says what came, without quoting it.
func plain(answer Answer) string {
	text := "HTTP " + strconv.Itoa(answer.Status)
	if name := http.StatusText(answer.Status); name != "" {
		text += " " + name
	}
	switch {
	case answer.Status/100 == 3:
		text += ": a redirect, which is not followed; check the url"
	case answer.TooLong:
		text += ", with a body too long to read"
	case answer.Form() == "HTML":
		text += ", as an HTML page: it may come from a proxy"
	}
	return text
}

// RetryAfter returns how long the header of that name asks to wait, given as
// seconds or as a date: 0 if it is absent, past or malformed, an hour at most.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if count, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(count, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// clone copies a failure that several operations share: each may change its own.
func (f *Failure) clone() *Failure {
	if f == nil {
		return nil
	}
	failure := *f.Err
	return &Failure{Outcome: f.Outcome, Err: &failure, Answer: f.Answer}
}

// unchanged is what a failure means for a request that changes nothing.
func (f *Failure) unchanged() {
	f.Outcome = sdk.Refused
	if f.Err.Code == sdk.ConnectionLost {
		f.Err.Code = sdk.TargetUnavailable
	}
}

func (f *Failure) scrub(scrubber scrubber) {
	f.Err.Message, f.Err.Native = tidy(scrubber.clean(f.Err.Message)), tidy(scrubber.clean(f.Err.Native))
	for i := range f.Err.Violations {
		violation := &f.Err.Violations[i]
		violation.Message, violation.Native = tidy(scrubber.clean(violation.Message)), tidy(scrubber.clean(violation.Native))
	}
}

// dialReason names the usual causes; others may quote secrets.
func dialReason(err error) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		return "the name does not resolve"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &unknown):
		return "its certificate is signed by an untrusted authority; name it with ca_file"
	case errors.As(err, &host):
		return "its certificate is for another name"
	case errors.As(err, &invalid):
		return "its certificate is not valid"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it answers in HTTP without TLS, where the URL says https; name its port for TLS"
	}
	return "no connection"
}
