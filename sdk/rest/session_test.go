package rest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// target issues tokens t1, t2, … and takes only the newest.
type target struct {
	mu     sync.Mutex
	logins int
	olds   []string
	fail   *sdk.Error
	now    time.Time
}

func (g *target) login(_ context.Context, old secret.Value) (secret.Value, *rest.Failure) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.logins++
	g.olds = append(g.olds, old.Reveal())
	if g.fail != nil {
		return secret.Value{}, rest.Refusal(g.fail)
	}
	return secret.New(fmt.Sprintf("t%d", g.logins)), nil
}

func (g *target) use(token secret.Value) *rest.Failure {
	g.mu.Lock()
	defer g.mu.Unlock()
	if token.Reveal() != fmt.Sprintf("t%d", g.logins) {
		return rest.Refusal(sdk.Errorf(sdk.LoginExpired, "old token"))
	}
	return nil
}

func (g *target) session(t *testing.T, maxAge time.Duration) *rest.Session {
	s := rest.NewSession(rest.SessionOptions{Login: g.login, MaxAge: maxAge, Now: func() time.Time { return g.now }})
	t.Cleanup(s.Close)
	return s
}

func TestConcurrentOperationsShareOneRenewal(t *testing.T) {
	g := &target{}
	s := g.session(t, 0)
	if f := s.Do(t.Context(), g.use); f != nil {
		t.Fatal(f)
	}
	const n = 50
	var ready, wait sync.WaitGroup
	ready.Add(n)
	for range n {
		wait.Go(func() {
			first := true
			f := s.Do(t.Context(), func(token secret.Value) *rest.Failure {
				if first {
					first = false
					ready.Done()
					ready.Wait() // all hold the first token
					return rest.Refusal(sdk.Errorf(sdk.LoginExpired, "revoked"))
				}
				return g.use(token)
			})
			if f != nil {
				t.Error(f)
			}
		})
	}
	wait.Wait()
	if g.logins != 2 || g.olds[1] != "t1" {
		t.Errorf("%d logins with old tokens %q, want 2, the second knowing t1", g.logins, g.olds)
	}
}

func TestALoginIsRenewedOncePerOperation(t *testing.T) {
	g := &target{}
	calls := 0
	f := g.session(t, 0).Do(t.Context(), func(secret.Value) *rest.Failure {
		calls++
		return rest.Refusal(sdk.Errorf(sdk.LoginExpired, "never good"))
	})
	if calls != 2 || g.logins != 2 || f == nil || f.Err.Code != sdk.LoginExpired {
		t.Errorf("%d calls, %d logins, %v; want 2, 2, LoginExpired", calls, g.logins, f)
	}
}

func TestAnUnknownOutcomeIsNotTriedAgain(t *testing.T) {
	g := &target{}
	calls := 0
	f := g.session(t, 0).Do(t.Context(), func(secret.Value) *rest.Failure {
		calls++
		return &rest.Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.LoginExpired, "odd")}
	})
	if calls != 1 || f.Outcome != sdk.Unknown {
		t.Errorf("%d calls, %v; want one, unknown", calls, f.Outcome)
	}
}

func TestAnOldTokenIsRenewedBeforeItsUse(t *testing.T) {
	g := &target{now: time.Unix(0, 0)}
	s := g.session(t, time.Minute)
	for _, at := range []int64{0, 59, 61} {
		g.now = time.Unix(at, 0)
		if f := s.Do(t.Context(), g.use); f != nil {
			t.Fatal(f)
		}
	}
	if g.logins != 2 || s.Token().Reveal() != "t2" {
		t.Errorf("%d logins, want 2", g.logins)
	}
}

func TestAFailedLoginRefusesTheOperation(t *testing.T) {
	tests := []struct{ in, want sdk.Code }{
		{sdk.LoginExpired, sdk.LoginExpired}, {sdk.PermissionDenied, sdk.LoginExpired}, {sdk.TargetError, sdk.LoginExpired},
		{sdk.AccountNotFound, sdk.LoginExpired}, {sdk.ConnectionLost, sdk.TargetUnavailable}, {sdk.Timeout, sdk.Timeout},
		{sdk.Unreachable, sdk.Unreachable}, {sdk.RateLimited, sdk.RateLimited}, {sdk.SecondFactorNeeded, sdk.SecondFactorNeeded},
		{sdk.InvalidConfig, sdk.InvalidConfig},
	}
	for _, test := range tests {
		g := &target{fail: sdk.Errorf(test.in, "no")}
		f := g.session(t, 0).Do(t.Context(), func(secret.Value) *rest.Failure { t.Error("sent without a token"); return nil })
		if f == nil || f.Outcome != sdk.Refused || f.Err.Code != test.want {
			t.Errorf("%s: got %v, want refused %s", test.in, f, test.want)
		}
	}
}

func TestAfterThreeRefusedLoginsNoneIsTried(t *testing.T) {
	g := &target{fail: sdk.Errorf(sdk.LoginExpired, "wrong password")}
	s := g.session(t, 0)
	var last *rest.Failure
	for n := range 10 {
		g.now = time.Unix(int64(n), 0)
		last = s.Do(t.Context(), g.use)
	}
	if g.logins != 3 || last.Err.Code != sdk.InvalidConfig {
		t.Errorf("%d logins, then %v; want 3, InvalidConfig", g.logins, last)
	}
}

func TestARefusedLoginIsNotTriedAgainAtOnce(t *testing.T) {
	g := &target{fail: sdk.Errorf(sdk.LoginExpired, "wrong password")}
	s := g.session(t, 0)
	for range 10 {
		if f := s.Do(t.Context(), g.use); f == nil || f.Err.Code != sdk.LoginExpired {
			t.Errorf("got %v, want LoginExpired", f)
		}
	}
	if g.logins != 1 {
		t.Errorf("%d logins in one moment, want 1", g.logins)
	}
}

func TestAGoodLoginForgetsTheRefusedOnes(t *testing.T) {
	g := &target{}
	s := g.session(t, 0)
	refuse := func(n int) {
		g.fail = sdk.Errorf(sdk.LoginExpired, "maintenance")
		for range n {
			g.now = g.now.Add(time.Minute)
			if f := s.Do(t.Context(), g.use); f == nil || f.Err.Code != sdk.LoginExpired {
				t.Errorf("got %v, want LoginExpired", f)
			}
		}
		g.fail, g.now = nil, g.now.Add(time.Minute)
		if f := s.Do(t.Context(), g.use); f != nil {
			t.Error(f)
		}
	}
	refuse(2)
	g.logins++ // the token is stale now
	refuse(2)
}

func TestAnOperationDoesNotWaitLongerThanItMay(t *testing.T) {
	held := make(chan struct{})
	s := rest.NewSession(rest.SessionOptions{Login: func(ctx context.Context, _ secret.Value) (secret.Value, *rest.Failure) {
		select {
		case <-held:
		case <-ctx.Done():
		}
		return secret.Value{}, rest.Refusal(sdk.Errorf(sdk.Cancelled, "closed"))
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if f := s.Do(ctx, nil); f == nil || f.Err.Code != sdk.Timeout {
		t.Errorf("got %v, want Timeout", f)
	}
	s.Close() // ends the login that still waits
	if f := s.Do(t.Context(), nil); f == nil || f.Err.Code != sdk.Cancelled {
		t.Errorf("after Close: got %v, want Cancelled", f)
	}
}
