package rest

import (
	"context"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// maxRefused is after how many refused logins in a row no further one is tried:
// below what usually locks an account.
const maxRefused = 3

// SessionOptions are the settings of a Session. Login is required.
type SessionOptions struct {
	// Login gets a token. old is the one that expired, absent at first and
	// after a failure: a target that can refresh a token uses it. Its failure
	// is LoginExpired or PermissionDenied where the credentials are refused,
	// SecondFactorNeeded or InvalidConfig where no later login can succeed.
	// One Login runs at a time; its context ends after Timeout and at Close.
	Login func(ctx context.Context, old secret.Value) (secret.Value, *Failure)
	// MaxAge is after what time a token is renewed before its use; 0: never.
	MaxAge time.Duration
	// Timeout is the deadline of one Login; 0: 30 seconds.
	Timeout time.Duration
	// Now is the clock of MaxAge and of pauses; nil: time.Now.
	Now func() time.Time
}

// Session keeps a login that many operations share. It is safe for concurrent
// use: whoever needs a token while one is being fetched waits for that one.
//
// A refused login is not tried again for a second, a second one for two; what
// needs it meanwhile is refused as LoginExpired. After three in a row it tries
// no other and answers InvalidConfig, which stops a run: a changed password
// must not cost two thousand users their rotation, nor the service account its
// lock.
type Session struct {
	options SessionOptions
	context context.Context
	cancel  context.CancelFunc
	logins  sync.WaitGroup

	mu      sync.Mutex
	token   secret.Value // absent: before the first login, or after a failed one
	since   time.Time
	refused int       // logins in a row
	hold    time.Time // until then no login is tried
	call    *login    // in flight
}

// login is one attempt that callers wait for.
type login struct {
	done    chan struct{}
	token   secret.Value
	failure *Failure
}

// NewSession makes a session; it logs in at the first Do.
func NewSession(sessionOptions SessionOptions) *Session {
	if sessionOptions.Timeout <= 0 {
		sessionOptions.Timeout = 30 * time.Second
	}
	if sessionOptions.Now == nil {
		sessionOptions.Now = time.Now
	}
	session := &Session{options: sessionOptions}
	session.context, session.cancel = context.WithCancel(context.Background())
	return session
}

// Do calls op with a token. If op's failure is refused and LoginExpired, the
// token is renewed, by one login for all who hold the same one, and op is
// called once more. A login that fails refuses the operation: LoginExpired,
// InvalidConfig after the third refusal, or what kept the login from the
// target.
func (s *Session) Do(ctx context.Context, op func(token secret.Value) *Failure) *Failure {
	token, failure := s.get(ctx, secret.Value{})
	if failure != nil {
		return failure
	}
	if failure = op(token); !expired(failure) {
		return failure
	}
	if token, failure = s.get(ctx, token); failure != nil {
		return failure
	}
	return op(token)
}

// Token returns the present token, absent without a session: for a log-off.
func (s *Session) Token() secret.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// Close ends a login in flight and waits for it. A Do after Close fails.
func (s *Session) Close() {
	s.cancel()
	s.logins.Wait()
}

func expired(failure *Failure) bool {
	return failure != nil && failure.Outcome == sdk.Refused && failure.Err.Code == sdk.LoginExpired
}

// get returns the present token, or a new one if absent, if it is the
// stale one, or if it is too old.
func (s *Session) get(ctx context.Context, stale secret.Value) (secret.Value, *Failure) {
	call, token, failure := s.join(stale)
	if call == nil {
		return token, failure
	}
	select {
	case <-call.done:
		return call.token, call.failure.clone()
	case <-ctx.Done():
		return secret.Value{}, waited(ctx)
	}
}

// waited is the failure of an operation that ended while it waited for a login.
func waited(ctx context.Context) *Failure {
	if ctx.Err() == context.DeadlineExceeded {
		return Refusal(sdk.Errorf(sdk.Timeout, "no login in time"))
	}
	return Refusal(sdk.Errorf(sdk.Cancelled, "given up before it was sent"))
}

// join returns the present token, or the login to wait for.
func (s *Session) join(stale secret.Value) (*login, secret.Value, *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.options.MaxAge > 0 && s.options.Now().Sub(s.since) > s.options.MaxAge
	switch {
	case s.context.Err() != nil:
		return nil, secret.Value{}, Refusal(sdk.Errorf(sdk.Cancelled, "the instance is closed"))
	case s.call != nil:
		return s.call, secret.Value{}, nil
	case s.token.Present() && !s.token.Equal(stale) && !old:
		return nil, s.token, nil
	case s.refused >= maxRefused:
		return nil, secret.Value{}, Refusal(sdk.Errorf(sdk.InvalidConfig,
			"the login was refused %d times in a row and is not tried again; check user and password", maxRefused))
	case s.options.Now().Before(s.hold):
		return nil, secret.Value{}, Refusal(sdk.Errorf(sdk.LoginExpired, "the login was refused a moment ago"))
	}
	s.call = &login{done: make(chan struct{})}
	s.logins.Add(1)
	go s.renew(s.call, s.token)
	return s.call, secret.Value{}, nil
}

func (s *Session) renew(call *login, old secret.Value) {
	defer s.logins.Done()
	ctx, cancel := context.WithTimeout(s.context, s.options.Timeout)
	defer cancel()
	token, failure := s.options.Login(ctx, old)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.since, s.call = token, s.options.Now(), nil
	if failure != nil {
		s.token = secret.Value{}
		call.failure = s.failure(failure)
	} else {
		s.refused, s.hold = 0, time.Time{}
		call.token = token
	}
	close(call.done)
}

// failure is what a failed login means for the operations that wait for it:
// they were not sent.
func (s *Session) failure(failure *Failure) *Failure {
	e := *failure.Err
	switch code := e.Code; {
	case code == sdk.LoginExpired, code == sdk.PermissionDenied:
		s.refused++
		s.hold = s.options.Now().Add(time.Duration(s.refused) * time.Second)
		e.Code = sdk.LoginExpired
	case code == sdk.ConnectionLost:
		e.Code = sdk.TargetUnavailable
	case code.Unsent(), code.StopsRun(), code.Away(), code == sdk.RateLimited: // says by itself what kept the login
	default:
		e.Code = sdk.LoginExpired
	}
	e.Message = "login: " + e.Message
	return &Failure{Outcome: sdk.Refused, Err: &e, Answer: failure.Answer}
}
