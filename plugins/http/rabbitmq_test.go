package http_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

const rabbitBoss, rabbitPW = "boss", "Zq7-vR2-kX9-mW4"

// rabbit is a RabbitMQ of Debian, in private directories and on the loopback.
type rabbit struct {
	url    string
	dir    string
	cmd    *exec.Cmd
	epmd   *exec.Cmd     // Erlang's port mapper
	exited chan struct{} // closed once it has ended
}

// startRabbit starts a broker, which ends with the test.
func startRabbit(t *testing.T) *rabbit {
	t.Helper()
	ports := freePorts(t, 4)
	server := &rabbit{url: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), dir: t.TempDir(), exited: make(chan struct{})}
	config := fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %d\ndefault_user = %s\ndefault_pass = %s\n", ports[1], ports[0], rabbitBoss, rabbitPW)
	server.write(t, "rabbitmq.conf", config)
	server.write(t, "enabled_plugins", "[rabbitmq_management].\n")
	server.cmd = exec.Command("/usr/lib/rabbitmq/bin/rabbitmq-server")
	server.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	server.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + server.dir, "RABBITMQ_MNESIA_BASE=" + server.dir, "RABBITMQ_LOG_BASE=" + server.dir,
		"RABBITMQ_CONFIG_FILE=" + filepath.Join(server.dir, "rabbitmq"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(server.dir, "enabled_plugins"),
		"RABBITMQ_NODENAME=rekeytest@localhost", fmt.Sprintf("RABBITMQ_DIST_PORT=%d", ports[2]), fmt.Sprintf("ERL_EPMD_PORT=%d", ports[3]), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}"}
	server.epmd = exec.Command("/usr/bin/epmd", "-address", "127.0.0.1", "-port", strconv.Itoa(ports[3]))
	if err := server.epmd.Start(); err != nil {
		t.Fatalf("%v; make packages installs it", err)
	}
	if err := server.cmd.Start(); err != nil {
		t.Fatalf("%v; make packages installs it", err)
	}
	go func() {
		defer close(server.exited)
		_ = server.cmd.Wait() // whoever waits for it says what it means
	}()
	t.Cleanup(server.stop)
	server.ready(t)
	return server
}

func (r *rabbit) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stop kills the broker with its group: its shell, its node and its watchers; then the
// port mapper, which would outlive it if it had started that itself.
func (r *rabbit) stop() {
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	<-r.exited
	_ = r.epmd.Process.Kill()
	_ = r.epmd.Wait()
}

// ready waits until the interface answers, as long as the broker lives.
func (r *rabbit) ready(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		select {
		case <-r.exited:
			t.Fatal("RabbitMQ has ended before it was ready")
		default:
		}
		if status, _ := r.ask("GET", "/api/whoami", rabbitBoss, rabbitPW, nil); status == nethttp.StatusOK {
			return
		}
	}
	t.Fatal("RabbitMQ is not ready after two minutes")
}

// ask does one request as somebody.
func (r *rabbit) ask(method, path, user, password string, body any) (int, map[string]any) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil
	}
	request, err := nethttp.NewRequest(method, r.url+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil
	}
	request.SetBasicAuth(user, password)
	request.Header.Set("Content-Type", "application/json")
	answer, err := nethttp.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer answer.Body.Close()
	read, _ := io.ReadAll(answer.Body)
	var got map[string]any
	_ = json.Unmarshal(read, &got)
	return answer.StatusCode, got
}

// add makes users anew, with a tag and a limit.
func (r *rabbit) add(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		place := "/api/users/" + url.PathEscape(name)
		_, _ = r.ask("DELETE", place, rabbitBoss, rabbitPW, nil)
		if status, got := r.ask("PUT", place, rabbitBoss, rabbitPW, map[string]any{"password": firstPW, "tags": "policymaker,of our own"}); status != nethttp.StatusCreated {
			t.Fatalf("user %s: HTTP %d %v", name, status, got)
		}
		if status, got := r.ask("PUT", "/api/user-limits/"+url.PathEscape(name)+"/max-connections", rabbitBoss, rabbitPW, map[string]any{"value": 7}); status != nethttp.StatusNoContent {
			t.Fatalf("limit of %s: HTTP %d %v", name, status, got)
		}
	}
}

// holds logs in as RabbitMQ's own interface does.
func (r *rabbit) holds(account, _, value string) bool {
	status, _ := r.ask("GET", "/api/whoami", account, value, nil)
	return status == nethttp.StatusOK
}

func (r *rabbit) config() sdk.Config {
	return sdk.Config{Values: map[string]any{"definition": "@rekey/rabbitmq.star", "url": r.url, "user": rabbitBoss}, Secrets: map[string]secret.Value{"password": secret.New(rabbitPW)}}
}

// TestRabbitMQ holds the definition to the contract on a real broker, which is started
// once; and a set leaves tags and limits as they are.
func TestRabbitMQ(t *testing.T) {
	started := sync.OnceValue(func() *rabbit { return startRabbit(t) }) // not by the kit's child, which only serves
	backend := defined(t, "definitions/rabbitmq.star")
	var count atomic.Int64
	target := func(t testing.TB) backendtest.Target {
		server := started()
		end := fmt.Sprint(count.Add(1))
		names := []string{"ann" + end, "bob" + end, "cy" + end, "o'dee/x y?#%" + end}
		server.add(t, names...)
		return backendtest.Target{Config: server.config(), Accounts: names, Holds: server.holds, Missing: "nobody",
			Refusing: map[string]sdk.Code{rabbitBoss: sdk.Protected}}
	}
	backendtest.Run(t, backendtest.Options{Backend: backend, Target: target})
	server := started()
	server.add(t, "ann")
	instance, err := backend.Configure(t.Context(), server.config())
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close()
	if receipt := instance.Apply(t.Context(), sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: "ann", Value: secret.New("New-Value_1ü\"")}); receipt.Outcome != sdk.Applied {
		t.Errorf("a set is %+v", receipt)
	}
	_, found := server.ask("GET", "/api/users/ann", rabbitBoss, rabbitPW, nil)
	if fmt.Sprint(found["tags"]) != "[policymaker of our own]" || fmt.Sprint(found["limits"]) != "map[max-connections:7]" {
		t.Errorf("after a set tags and limits are %v and %v", found["tags"], found["limits"])
	}
	if status, got := server.ask("PUT", "/api/users/plain", rabbitBoss, rabbitPW, map[string]any{"password": firstPW, "tags": ""}); status != nethttp.StatusCreated {
		t.Fatalf("user plain: HTTP %d %v", status, got)
	}
	for value, want := range map[string]sdk.Verdict{firstPW: sdk.Accepted, "wrong": sdk.Rejected} {
		if verdict, err := instance.(sdk.Verifier).Verify(t.Context(), "plain", "", secret.New(value)); verdict != want || err != nil {
			t.Errorf("a user whom the interface does not let in: %v, %v; want %v", verdict, err, want)
		}
	}
	if !server.holds("ann", "", "New-Value_1ü\"") {
		t.Error("the broker does not take the value")
	}
}

// freePorts returns ports of the loopback on which nothing listens.
func freePorts(t *testing.T, count int) []int {
	t.Helper()
	var ports []int
	for port := 21000 + os.Getpid()%4000; len(ports) < count && port < 32000; port++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		ports = append(ports, port)
	}
	return ports
}
