package redis_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/redis"
	"github.com/rekey-host/rekey/plugins/redis/redistest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// config is what a script would give.
func config(running *redistest.Server, more ...any) sdk.Config {
	made := sdk.Config{Label: "redis", Concurrency: 128, Timeout: 20 * time.Second,
		Values:  map[string]any{"url": running.URL, "insecure": true, "user": running.User},
		Secrets: map[string]secret.Value{"password": secret.New(running.Password)},
	}
	for index := 0; index < len(more); index += 2 {
		made.Values[more[index].(string)] = more[index+1]
	}
	return made
}

func as(made sdk.Config, user, password string) sdk.Config {
	made.Values["user"], made.Secrets = user, map[string]secret.Value{"password": secret.New(password)}
	return made
}

func open(t testing.TB, config sdk.Config) *redis.Instance {
	t.Helper()
	instance, err := redis.New().Configure(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = instance.Close() })
	return instance.(*redis.Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: account, Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

// say is a receipt in a few words.
func say(receipt sdk.Receipt) string {
	text := receipt.Outcome.String()
	if receipt.Err != nil {
		text += " " + string(receipt.Err.Code)
	}
	return text
}

func want(t *testing.T, receipt sdk.Receipt, want string) {
	t.Helper()
	if got := say(receipt); got != want {
		t.Errorf("got %s (%v), want %s", got, receipt.Err, want)
	}
}

func wantVerdict(t *testing.T, instance *redis.Instance, account, value string, want sdk.Verdict, code sdk.Code) {
	t.Helper()
	got, err := instance.Verify(t.Context(), account, "", secret.New(value))
	have := sdk.Code("")
	if err != nil {
		have = sdk.AsError(err, sdk.Internal).Code
	}
	if got != want || have != code {
		t.Errorf("Verify(%q, %q) = %v, %v, want %v %s", account, value, got, err, want, code)
	}
}

// letIn reports whether redis-cli logs in.
func letIn(t *testing.T, running *redistest.Server, user, value string) bool {
	t.Helper()
	return running.Logons(t, []redistest.Logon{{User: user, Value: value}})[0]
}

const many = 2000

func TestTwoThousandUsersAreSetAndLogIn(t *testing.T) {
	running := server(t)
	made := map[string]string{}
	for number := range many {
		made[fmt.Sprint("bulk-", number)] = "on >old ~app:* +get"
	}
	users(t, running, made)
	instance := open(t, config(running))
	var logons, old []redistest.Logon
	for first := 0; first < many; first += 128 {
		var ops []sdk.Operation
		for number := first; number < min(first+128, many); number++ {
			name, value := fmt.Sprint("bulk-", number), fmt.Sprint("Valüe $", number)
			ops = append(ops, set(name, value))
			logons, old = append(logons, redistest.Logon{User: name, Value: value}), append(old, redistest.Logon{User: name, Value: "old"})
		}
		for index, receipt := range instance.ApplyBatch(t.Context(), ops) {
			if receipt.Outcome != sdk.Applied {
				t.Errorf("%s: %v", ops[index].Account, receipt.Err)
			}
		}
	}
	for number, in := range running.Logons(t, append(logons, old...)) {
		if in != (number < many) {
			t.Fatalf("logon %d: let in %v", number, in)
		}
	}
	for filter, want := range map[string]int{"bulk-*": many, "bulk-1*": 1111, "bulk-[0-3]?": 30, `bulk-\*`: 0} {
		count := 0
		err := instance.List(t.Context(), filter, []string{"flags", "passwords", "keys"}, func(account sdk.Account) error {
			count++
			if account.Status != sdk.StatusActive || account.Attributes["passwords"] != "1" || account.Attributes["keys"] != "~app:*" {
				t.Fatalf("%+v", account)
			}
			return nil
		})
		if err != nil || count != want {
			t.Errorf("List(%s): %d, %v, want %d", filter, count, err, want)
		}
	}
	if err := instance.List(t.Context(), "", []string{"hashes"}, func(sdk.Account) error { return nil }); err == nil {
		t.Error("List takes any attribute")
	}
}

func TestEachRefusalIsToldByItsCode(t *testing.T) {
	running := server(t)
	users(t, running, map[string]string{"plain": "on", "weak": "on >weak-secret +acl|whoami +acl|getuser", "blind": "on >blind-secret", "off": "off >off-secret +@all"})
	rotator := open(t, config(running))
	edit := func(change func(*sdk.Operation)) sdk.Operation {
		op := set("plain", "a new value")
		change(&op)
		return op
	}
	for _, test := range []struct {
		name     string
		instance *redis.Instance
		op       sdk.Operation
		want     string
	}{
		{"good", rotator, set("plain", "a new value"), "applied"},
		{"unknown", rotator, set("nobody", "a new value"), "refused AccountNotFound"},
		{"other case", rotator, set("Plain", "a new value"), "refused AccountNotFound"},
		{"a space", rotator, set("pl ain", "a new value"), "refused AccountNotFound"},
		{"empty name", rotator, set("", "a new value"), "refused InvalidOperation"},
		{"itself", rotator, set("rotator", "a new value"), "refused Protected"},
		{"off", rotator, set("off", "a new value"), "applied"},
		{"no right to set", open(t, as(config(running), "weak", "weak-secret")), set("plain", "a new value"), "refused PermissionDenied"},
		{"no right at all", open(t, as(config(running), "blind", "blind-secret")), set("plain", "a new value"), "refused PermissionDenied"},
		{"wrong password of rekey", open(t, as(config(running), "rotator", "wrong")), set("plain", "a new value"), "refused LoginExpired"},
		{"rekey is off", open(t, as(config(running), "off", "a new value")), set("plain", "a new value"), "refused LoginExpired"},
		{"TLS of a stranger", open(t, config(running, "url", running.SecureURL, "insecure", false)), set("plain", "a new value"), "refused InvalidConfig"},
		{"malformed digest", rotator, edit(func(op *sdk.Operation) { op.HashFormat, op.Value = "sha256", secret.New(strings.Repeat("AB", 32)) }), "refused InvalidOperation"},
	} {
		t.Run(test.name, func(t *testing.T) { want(t, test.instance.Apply(t.Context(), test.op), test.want) })
	}
	if said, _ := running.CLI("ACL GETUSER nobody"); strings.Contains(said, "flags") {
		t.Errorf("a user was made: %s", said)
	}
}

func TestPasswordsAreReplacedOrKeptAsAsked(t *testing.T) {
	running := server(t)
	users(t, running, map[string]string{"several": "on >first >second", "open": "on nopass", "off": "off >first"})
	instance := open(t, config(running))
	keep := set("several", "third")
	keep.Options = map[string]any{"keep_others": true}
	want(t, instance.Apply(t.Context(), keep), "applied")
	for _, value := range []string{"first", "second", "third"} {
		wantVerdict(t, instance, "several", value, sdk.Accepted, "")
	}
	want(t, instance.Apply(t.Context(), set("several", "fourth")), "applied")
	for value, verdict := range map[string]sdk.Verdict{"first": sdk.Rejected, "second": sdk.Rejected, "third": sdk.Rejected, "fourth": sdk.Accepted} {
		wantVerdict(t, instance, "several", value, verdict, "")
	}
	wantVerdict(t, instance, "open", "anything", sdk.CannotTell, sdk.Unsupported)
	want(t, instance.Apply(t.Context(), set("open", "closed now")), "applied")
	wantVerdict(t, instance, "open", "anything", sdk.Rejected, "")
	want(t, instance.Apply(t.Context(), set("off", "closed now")), "applied")
	wantVerdict(t, instance, "off", "closed now", sdk.Blocked, "")
	wantVerdict(t, instance, "nobody", "closed now", sdk.CannotTell, sdk.AccountNotFound)
	if found, err := instance.Find(t.Context(), "off"); err != nil || found.Status != sdk.StatusDisabled {
		t.Errorf("Find: %+v, %v", found, err)
	}
}

// What is reported as done is there after a start of the server.
func TestASetLastsOrIsPutBack(t *testing.T) {
	for _, test := range []struct {
		name   string
		noFile bool
		save   string
		want   string // of a set
		last   bool
		check  sdk.Code
	}{
		{"ACL SAVE", false, "acl", "applied", true, ""},
		{"CONFIG REWRITE", true, "config", "applied", true, ""},
		{"nothing", false, "none", "applied", false, ""},
		{"ACL SAVE without an aclfile", true, "acl", "refused InvalidConfig", false, sdk.InvalidConfig},
	} {
		t.Run(test.name, func(t *testing.T) {
			running := redistest.Start(t, redistest.Options{NoFile: test.noFile, Users: []string{"user ann on >old >older", "user eve on nopass"}})
			t.Cleanup(running.Remove)
			instance := open(t, config(running, "save", test.save))
			for _, name := range []string{"ann", "eve"} {
				want(t, instance.Apply(t.Context(), set(name, "new")), test.want)
			}
			for try := range 2 {
				now := test.last || test.want == "applied" && try == 0
				if letIn(t, running, "ann", "new") != now || letIn(t, running, "ann", "old") == now || letIn(t, running, "ann", "older") == now {
					t.Errorf("start %d: want the new value %v, and the old ones otherwise", try, now)
				}
				if letIn(t, running, "eve", "anything") == now {
					t.Errorf("start %d: nopass: want it back %v", try, !now)
				}
				running.Stop()
				want(t, instance.Apply(t.Context(), set("ann", "while it is away")), "refused Unreachable")
				if err := running.Start(); err != nil {
					t.Fatal(err)
				}
			}
			wantCheck(t, instance, test.check, test.save == "none")
		})
	}
}

func wantCheck(t *testing.T, instance *redis.Instance, code sdk.Code, warned bool) {
	t.Helper()
	found := instance.Check(t.Context())
	switch {
	case code == "" && !warned && len(found) == 0:
	case len(found) == 1 && found[0].Code == code && (found[0].Severity == sdk.Warning) == warned:
	default:
		t.Errorf("Check: %+v, want %q, warned %v", found, code, warned)
	}
}

// rights are all that a backend has to have; the rotator has more.
const rights = "on >meek-secret -@all +acl|getuser +acl|setuser +acl|users +acl|whoami +acl|save"

// What could not be saved is refused if the old passwords are there again and
// saved. What another client may have saved in between is not.
func TestWhatCouldNotBeSavedIsPutBack(t *testing.T) {
	for _, test := range []struct {
		name    string
		user    string
		mended  bool // before the old passwords are saved
		want    string
		after   string // at once, who is let in
		restart string // after a start of the server
	}{
		{"saved again", "rotator", true, "refused TargetError", "old", "old"},
		{"not saved again", "rotator", false, "unknown TargetError", "old", "new"},
		{"without more rights", "meek", true, "refused TargetError", "old", "old"},
	} {
		t.Run(test.name, func(t *testing.T) {
			running := redistest.Start(t, redistest.Options{Users: []string{"user ann on >old >older", "user eve on nopass", "user meek " + rights}})
			t.Cleanup(running.Remove)
			relay := reachtest.NewRelay(t, running.Address)
			secrets := map[string]string{"rotator": running.Password, "meek": "meek-secret"}
			instance := open(t, as(config(running, "url", "redis://127.0.0.1:"+relay.Port), test.user, secrets[test.user]))
			want(t, instance.Apply(t.Context(), set("eve", "the first")), "applied")
			if _, err := running.CLI("ACL SETUSER eve nopass"); err != nil {
				t.Fatal(err)
			}
			block(t, running)
			sum := sha256.Sum256([]byte("old"))
			relay.Before(hex.EncodeToString(sum[:]), func() {
				mend(t, running)
				if said, err := running.CLI("ACL SAVE"); err != nil || said != "OK\n" {
					t.Errorf("ACL SAVE: %q, %v", said, err)
				}
				if !test.mended {
					block(t, running)
				}
			})
			for _, receipt := range instance.ApplyBatch(t.Context(), []sdk.Operation{set("ann", "new"), set("eve", "new")}) {
				want(t, receipt, test.want)
			}
			wantIn(t, running, test.after)
			if !test.mended {
				want(t, instance.Apply(t.Context(), set("ann", "the next")), "refused TargetError") // with nothing set
				mend(t, running)
			}
			wantIn(t, running, test.after)
			running.Stop()
			if err := running.Start(); err != nil {
				t.Fatal(err)
			}
			wantIn(t, running, test.restart)
		})
	}
}

// wantIn fails unless ann and eve are as they were, "old", or "new".
func wantIn(t *testing.T, running *redistest.Server, which string) {
	t.Helper()
	for _, logon := range []struct{ user, value, of string }{{"ann", "old", "old"}, {"ann", "older", "old"}, {"ann", "new", "new"}, {"eve", "anything", "old"}} {
		if letIn(t, running, logon.user, logon.value) != (logon.of == which) {
			t.Errorf("%s with %q: let in %v, want the %s ones", logon.user, logon.value, logon.of != which, which)
		}
	}
}

// block makes saves fail: where a directory stands, no file can be put. Mend
// puts the file that was saved last there again.
func block(t *testing.T, running *redistest.Server) {
	t.Helper()
	if err := os.Rename(running.ACLFile(), running.ACLFile()+".kept"); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Join(running.ACLFile(), "x"), 0o700); err != nil {
		t.Error(err)
	}
}

func mend(t *testing.T, running *redistest.Server) {
	t.Helper()
	if err := os.RemoveAll(running.ACLFile()); err != nil {
		t.Error(err)
	}
	if err := os.Rename(running.ACLFile()+".kept", running.ACLFile()); err != nil {
		t.Error(err)
	}
}

// A server that cannot save is asked before anything is set.
func TestNothingIsSetWhereNothingCanBeSaved(t *testing.T) {
	running := redistest.Start(t, redistest.Options{Users: []string{"user ann on >old"}})
	t.Cleanup(running.Remove)
	relay := reachtest.NewRelay(t, running.Address)
	instance := open(t, config(running, "url", "redis://127.0.0.1:"+relay.Port))
	block(t, running)
	relay.Before("SETUSER", func() { t.Error("something was set") })
	receipt := instance.Apply(t.Context(), set("ann", "new"))
	want(t, receipt, "refused TargetError")
	if receipt.Err != nil && !strings.HasPrefix(receipt.Err.Message, "nothing was set, for it could not be saved: ") {
		t.Error(receipt.Err)
	}
	mend(t, running)
	relay.Before("SETUSER", func() {})
	want(t, instance.Apply(t.Context(), set("ann", "new")), "applied")
}

// What waits for a set that is under way has not been sent when its time is over.
func TestWhatWaitsTooLongIsNotSet(t *testing.T) {
	running := server(t)
	users(t, running, map[string]string{"first": "on", "second": "on >old"})
	relay := reachtest.NewRelay(t, running.Address)
	instance := open(t, config(running, "url", "redis://127.0.0.1:"+relay.Port))
	arrived, passes := make(chan struct{}), make(chan struct{})
	relay.Before("SETUSER", func() { close(arrived); <-passes })
	var first sync.WaitGroup
	first.Go(func() { want(t, instance.Apply(t.Context(), set("first", "new")), "applied") })
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	want(t, instance.Apply(ctx, set("second", "new")), "refused Timeout")
	close(passes)
	first.Wait()
	wantVerdict(t, instance, "second", "old", sdk.Accepted, "")
}

// Saves are shared: many sets at once need few.
func TestManySetsAtOnceLast(t *testing.T) {
	running := redistest.Start(t, redistest.Options{})
	t.Cleanup(running.Remove)
	made := map[string]string{}
	for number := range 200 {
		made[fmt.Sprint("user-", number)] = "on"
	}
	users(t, running, made)
	instance := open(t, config(running))
	var workers sync.WaitGroup
	for number := range 200 {
		workers.Go(func() {
			if receipt := instance.Apply(t.Context(), set(fmt.Sprint("user-", number), fmt.Sprint("value ", number))); receipt.Outcome != sdk.Applied {
				t.Errorf("%s: %v", say(receipt), receipt.Err)
			}
		})
	}
	workers.Wait()
	running.Stop()
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	var logons []redistest.Logon
	for number := range 200 {
		logons = append(logons, redistest.Logon{User: fmt.Sprint("user-", number), Value: fmt.Sprint("value ", number)})
	}
	for number, in := range running.Logons(t, logons) {
		if !in {
			t.Errorf("user-%d is not let in after a start", number)
		}
	}
}

// Commands whose answer is lost may have been done: they are never told as
// refused.
func TestALostAnswerIsUnknown(t *testing.T) {
	running := server(t)
	users(t, running, map[string]string{"cut": "on"})
	relay := reachtest.NewRelay(t, running.Address)
	instance := open(t, config(running, "url", "redis://127.0.0.1:"+relay.Port))
	for fault, value := range map[reachtest.Fault]string{reachtest.CutRequest: "the first", reachtest.CutAnswer: "the second"} {
		for _, word := range []string{"SETUSER"} {
			want(t, instance.Apply(t.Context(), set("cut", "the first")), "applied")
			relay.Next(fault, word)
			want(t, instance.Apply(t.Context(), set("cut", "the second")), "unknown ConnectionLost")
			wantVerdict(t, instance, "cut", value, sdk.Accepted, "")
		}
	}
	want(t, instance.Apply(t.Context(), set("cut", "the first")), "applied")
	relay.Next(reachtest.CutAnswer, "SAVE")
	want(t, instance.Apply(t.Context(), set("cut", "the third")), "unknown ConnectionLost")
	relay.Drop()
	want(t, instance.Apply(t.Context(), set("cut", "over a new connection")), "applied")
	relay.Stop()
	want(t, instance.Apply(t.Context(), set("cut", "nowhere")), "refused Unreachable")
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	running := server(t)
	users(t, running, map[string]string{"weak": "on >weak-secret +acl|whoami +acl|users"})
	for _, test := range []struct {
		name   string
		config sdk.Config
		code   sdk.Code
		want   string // "": nothing is found
	}{
		{"good", config(running), "", ""},
		{"good by TLS", config(running, "url", running.SecureURL, "insecure", false, "ca_file", running.CAFile), "", "the server's certificate ends in "},
		{"good by the socket", config(running, "url", running.Socket), "", ""},
		{"no right", as(config(running), "weak", "weak-secret"), sdk.PermissionDenied, "NOPERM"},
		{"wrong password", as(config(running), "rotator", "wrong"), sdk.LoginExpired, "refuses the logon"},
		{"nothing there", config(running, "url", "redis://127.0.0.1:9"), sdk.Unreachable, "nothing listens"},
		{"TLS of a stranger", config(running, "url", running.SecureURL, "insecure", false), sdk.InvalidConfig, "ca_file names the authority"},
		{"TLS where there is none", config(running, "url", "rediss://"+running.Address, "insecure", false, "ca_file", running.CAFile), sdk.Timeout, "does it speak TLS on that port"},
		{"CONFIG REWRITE with an aclfile", config(running, "save", "config"), sdk.InvalidConfig, "which CONFIG REWRITE does not write"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.config.Timeout = 2 * time.Second
			found := open(t, test.config).Check(t.Context())
			switch {
			case test.want == "" && len(found) == 0:
			case len(found) == 1 && test.want != "" && found[0].Code == test.code && strings.Contains(found[0].Message, test.want):
			default:
				t.Errorf("%+v, want %s: …%s", found, test.code, test.want)
			}
		})
	}
}
