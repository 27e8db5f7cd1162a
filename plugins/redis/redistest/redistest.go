// Package redistest runs a real, private Redis on loopback for tests.
//
// It knows how to start and stop a server, and how redis-cli logs in. It knows
// nothing of rekey. Users of every server: default, and rotator, who may change
// users, save them and end their sessions.
package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
)

// Options say what the server is like.
type Options struct {
	TLS    bool
	NoFile bool     // of users: they stand in redis.conf
	Users  []string // more lines of it: user NAME RULES
}

// Server is one running server.
type Server struct {
	URL       string // redis://127.0.0.1:PORT
	SecureURL string // rediss://127.0.0.1:PORT; "" without TLS
	Address   string // 127.0.0.1:PORT
	Socket    string // unix:///DIR/redis.sock
	CAFile    string
	User      string // the rotator
	Password  string

	port    int
	dir     string
	process *exec.Cmd
	ended   chan struct{}
}

const (
	adminPassword = "admin-secret"
	startLimit    = 20 * time.Second
)

// Start runs a server until the caller calls Remove. What is missing on this
// machine fails the test with the package to install.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "rkre")
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{dir: dir, port: reachtest.FreePort(t), User: "rotator", Password: "rotator-secret", Socket: "unix://" + dir + "/redis.sock"}
	server.Address = fmt.Sprintf("127.0.0.1:%d", server.port)
	server.URL = "redis://" + server.Address
	if err := server.configure(t, options); err != nil {
		server.Remove()
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		server.Remove()
		t.Fatal(err)
	}
	return server
}

func (s *Server) configure(t testing.TB, options Options) error {
	t.Helper()
	lines := []string{"bind 127.0.0.1", fmt.Sprintf("port %d", s.port), "dir " + s.dir, "unixsocket " + filepath.Join(s.dir, "redis.sock"), "save \"\"", "daemonize no", "loglevel debug",
		"logfile " + filepath.Join(s.dir, "log")}
	users := append([]string{"user default on >" + adminPassword + " ~* &* +@all",
		"user rotator on >" + s.Password + " -@all +acl|getuser +acl|setuser +acl|users +acl|whoami +acl|save +acl|list +acl|dryrun +client|kill +config|get +config|rewrite +info"}, options.Users...)
	if options.NoFile {
		lines = append(lines, users...)
	} else {
		lines = append(lines, "aclfile "+s.ACLFile())
		if err := os.WriteFile(s.ACLFile(), []byte(strings.Join(users, "\n")+"\n"), 0o600); err != nil {
			return err
		}
	}
	if options.TLS {
		authority := reachtest.NewAuthority(t)
		pair := authority.Certificate(t, reachtest.Names{Hosts: []string{"localhost", "127.0.0.1"}})
		s.CAFile = filepath.Join(s.dir, "ca.pem")
		for to, from := range map[string]string{s.CAFile: authority.File, filepath.Join(s.dir, "server.pem"): pair.Certificate, filepath.Join(s.dir, "server.key"): pair.Key} {
			text, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			if err := os.WriteFile(to, text, 0o600); err != nil {
				return err
			}
		}
		port := reachtest.FreePort(t)
		s.SecureURL = fmt.Sprintf("rediss://127.0.0.1:%d", port)
		lines = append(lines, fmt.Sprintf("tls-port %d", port), "tls-auth-clients no", "tls-ca-cert-file "+s.CAFile, "tls-cert-file "+filepath.Join(s.dir, "server.pem"), "tls-key-file "+filepath.Join(s.dir, "server.key"))
	}
	return os.WriteFile(filepath.Join(s.dir, "redis.conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// ACLFile is where users are kept.
func (s *Server) ACLFile() string { return filepath.Join(s.dir, "users.acl") }

// Log is what the server has logged so far.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text)
}

// Start starts the server, again after Stop, and waits until it answers.
func (s *Server) Start() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("redistest: redis-server is missing: apt-get install redis-server")
	}
	s.process = exec.Command(path, filepath.Join(s.dir, "redis.conf"))
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) {
		_ = command.Wait()
		close(ended)
	}(s.process, s.ended)
	for deadline := time.Now().Add(startLimit); ; time.Sleep(10 * time.Millisecond) {
		answers, err := s.CLI("PING")
		select {
		case <-s.ended:
			return fmt.Errorf("redistest: the server ended: %s", s.Log())
		default:
		}
		switch {
		case err == nil && answers == "PONG\n":
			return nil
		case time.Now().After(deadline):
			s.Stop()
			return fmt.Errorf("redistest: no answer within %s: %q, %w", startLimit, answers, err)
		}
	}
}

// Stop ends the server and waits for it.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(startLimit):
		_ = s.process.Process.Kill()
		<-s.ended
	}
	s.process = nil
}

// Remove stops the server and removes all that it has.
func (s *Server) Remove() {
	s.Stop()
	_ = os.RemoveAll(s.dir)
}

// CLI has redis-cli send commands as the user default, each a line with its
// arguments quoted as Quote does, and returns what it says.
func (s *Server) CLI(lines ...string) (string, error) {
	command := exec.Command("redis-cli", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port))
	command.Stdin = strings.NewReader("AUTH default " + adminPassword + "\n" + strings.Join(lines, "\n") + "\n")
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return strings.TrimPrefix(out.String(), "OK\n"), err
}

// Quote is an argument as redis-cli reads it.
func Quote(text string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, letter := range []byte(text) {
		fmt.Fprintf(&quoted, `\x%02x`, letter)
	}
	quoted.WriteByte('"')
	return quoted.String()
}

// Logon is a user and a value.
type Logon struct{ User, Value string }

// Logons has redis-cli log in with each, in one process, and returns for each
// whether the server let it in as that user.
func (s *Server) Logons(t testing.TB, logons []Logon) []bool {
	t.Helper()
	var lines []string
	for _, logon := range logons {
		lines = append(lines, "AUTH "+Quote(logon.User)+" "+Quote(logon.Value))
	}
	said, err := s.CLI(lines...)
	if err != nil {
		t.Fatalf("redis-cli: %v: %s", err, said)
	}
	let := []bool{}
	for line := range strings.Lines(said) {
		switch line = strings.TrimSpace(line); {
		case line == "OK":
			let = append(let, true)
		case strings.HasPrefix(line, "WRONGPASS"):
			let = append(let, false)
		}
	}
	if len(let) != len(logons) {
		t.Fatalf("redis-cli: %d answers to %d logons: %.300s", len(let), len(logons), said)
	}
	return let
}
