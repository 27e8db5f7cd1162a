package resttest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

func TestFaultsHitWhatTheyName(t *testing.T) {
	var faults resttest.Faults
	var effects atomic.Int32
	server := httptest.NewServer(faults.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.HasPrefix(string(body), "ann") {
			effects.Add(1)
		}
	}), func(r *http.Request, body []byte) (string, string) { return r.URL.Path, string(body) }))
	defer server.Close()
	c, err := rest.New(rest.Options{Base: server.URL, Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		in      resttest.Fault
		outcome sdk.Outcome
		code    sdk.Code
		effects int32
	}{
		{"another operation", resttest.Fault{Op: "/get", Answer: resttest.Drop()}, sdk.Applied, "", 1},
		{"another account", resttest.Fault{Account: "bob", Answer: resttest.Drop()}, sdk.Applied, "", 1},
		{"later", resttest.Fault{Skip: 1, Answer: resttest.Drop()}, sdk.Applied, "", 1},
		{"before the effect", resttest.Fault{Op: "/set", Account: "ANN", Answer: resttest.Reset()}, sdk.Unknown, sdk.ConnectionLost, 0},
		{"after the effect", resttest.Fault{Effect: true, Answer: resttest.Drop()}, sdk.Unknown, sdk.ConnectionLost, 1},
		{"half an answer", resttest.Fault{Effect: true, Answer: resttest.Half(200)}, sdk.Unknown, sdk.ConnectionLost, 1},
		{"silence", resttest.Fault{Answer: resttest.Silence()}, sdk.Unknown, sdk.Timeout, 0},
		{"late", resttest.Fault{Delay: time.Hour}, sdk.Unknown, sdk.Timeout, 0},
		{"a page", resttest.Fault{Answer: resttest.HTML(500)}, sdk.Unknown, sdk.TargetError, 0},
		{"throttled", resttest.Fault{Answer: resttest.Say(429, "", "", "Retry-After", "1")}, sdk.Refused, sdk.RateLimited, 0},
		{"too long", resttest.Fault{Answer: resttest.Huge(200, 100<<20)}, sdk.Unknown, sdk.TargetError, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			effects.Store(0)
			faults.Clear()
			faults.Add(test.in)
			_, f := c.Do(t.Context(), rest.Request{Method: "POST", Path: "/set", Body: []byte("ann")})
			if f == nil {
				f = &rest.Failure{Outcome: sdk.Applied, Err: &sdk.Error{}}
			}
			if f.Outcome != test.outcome || f.Err.Code != test.code || effects.Load() != test.effects {
				t.Errorf("got %v %v with %d effects, want %v %s with %d", f.Outcome, f, effects.Load(), test.outcome, test.code, test.effects)
			}
		})
	}
}

func TestAFaultIsGoneAfterItsTimes(t *testing.T) {
	var faults resttest.Faults
	hits := faults.Add(resttest.Fault{Skip: 1, Times: 2, Answer: resttest.Malformed(400)})
	h := faults.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }),
		func(*http.Request, []byte) (string, string) { return "", "" })
	var got []int
	for range 4 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		got = append(got, w.Code)
	}
	if got[0] != 204 || got[1] != 400 || got[2] != 400 || got[3] != 204 || hits() != 2 {
		t.Errorf("statuses %v and %d hits, want 204 400 400 204 and 2", got, hits())
	}
}

func TestAnAnswerIsTheSameEachTime(t *testing.T) {
	answer := resttest.Huge(200, 100<<10)
	for n := range 2 {
		w := httptest.NewRecorder()
		answer(w, httptest.NewRequest("GET", "/", nil))
		if w.Body.Len() != 100<<10 {
			t.Errorf("answer %d has %d bytes, want %d", n+1, w.Body.Len(), 100<<10)
		}
	}
}
