package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// Answer is a whole answer.
type Answer struct {
	Status  int
	Header  http.Header
	Body    []byte
	TooLong bool // the body exceeded Options.MaxBody and was not kept
}

// Form returns JSON, HTML, XML, text or nothing, by the first bytes of the
// body: servers and the proxies before them mislabel their bodies.
func (a Answer) Form() string {
	body := a.trimmed()
	start := strings.ToLower(string(body[:min(len(body), 64)]))
	switch {
	case len(body) == 0:
		return "nothing"
	case body[0] == '{' || body[0] == '[':
		return "JSON"
	case strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html"):
		return "HTML"
	case body[0] == '<':
		return "XML"
	}
	return "text"
}

func (a Answer) trimmed() []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(a.Body, []byte("\ufeff")))
}

// JSON decodes the body, whatever its Content-Type, as one JSON value. An
// error is TargetError and does not quote the body.
func (a Answer) JSON(into any) error {
	body := a.trimmed()
	err := json.Unmarshal(body, into)
	var form *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case a.TooLong:
		return sdk.Errorf(sdk.TargetError, "the answer is too long")
	case len(body) == 0:
		return sdk.Errorf(sdk.TargetError, "the answer is empty, want JSON")
	case a.Form() != "JSON":
		return sdk.Errorf(sdk.TargetError, "the answer is %s, want JSON", a.Form())
	case errors.As(err, &form):
		return sdk.Errorf(sdk.TargetError, "the answer's JSON has another form than expected")
	}
	return sdk.Errorf(sdk.TargetError, "the answer's JSON is malformed")
}
