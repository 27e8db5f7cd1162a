// Package ldaptest runs a real, private slapd on loopback for tests and fault
// harnesses.
//
// It knows how to provision, start, restart and stop OpenLDAP without root,
// and what its entries are called. It knows nothing of rekey: what a test
// wants of the server it asks with Bind, or by its own means.
//
// The tree, under BaseDN:
//
//	cn=rotator                 may write passwords and locks under ou=people
//	ou=people  uid=user0 …     Options.Users accounts, UserPassword(n) at first
//	ou=denied  uid=denied0     an account that the rotator must not touch
//	ou=policies                with PPolicy: default, strict (pwdMustChange)
package ldaptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Options say what the server is like. The zero value is a fast, empty one.
type Options struct {
	Users   int      // accounts under ou=people
	Sync    bool     // every write reaches the disk before its answer, as installed servers do
	TLS     bool     // LDAPS, and StartTLS on the plain port
	PPolicy bool     // password policies: see PolicyDN and StrictPolicyDN
	Global  []string // more lines of slapd.conf before the database
	Extra   []string // more lines of slapd.conf in the database, after its own
	Before  []string // more access rules, before the ones there are
	LDIF    string   // more entries

	Log      string // what slapd writes into Server.Log, a level of its -d; "" for nothing
	NoLimits bool   // the rotator has no right to lists of any size
}

// Server is one running slapd.
type Server struct {
	URL    string // ldap://127.0.0.1:PORT
	TLSURL string // ldaps://127.0.0.1:PORT; "" without TLS
	Socket string // ldapi:///PATH
	CAFile string // the authority of its certificate; "" without TLS

	CertFile string // of a client whose common name is rotator; "" without TLS
	KeyFile  string // its key

	BaseDN   string
	RootDN   string // bypasses every policy and access rule
	RootPW   string
	BindDN   string // the rotator
	Password string // of the rotator

	dir     string
	level   string // of its log
	slapd   string
	urls    string
	process *exec.Cmd
	ended   chan struct{} // closed when process has been waited for
	exit    error         // valid once ended is closed
}

const (
	base       = "dc=rekey,dc=test"
	rootPW     = "root-secret"
	rotatorPW  = "rotator-secret"
	startLimit = 15 * time.Second
)

// UserDN is the name of account number.
func (s *Server) UserDN(number int) string {
	return fmt.Sprintf("uid=user%d,ou=people,%s", number, base)
}

// UserPassword is what account number is provisioned with.
func (s *Server) UserPassword(number int) string { return fmt.Sprintf("old-password-%d", number) }

// DeniedDN is an account that the rotator may read and not write. Its first
// password is UserPassword(0).
func (s *Server) DeniedDN() string { return "uid=denied0,ou=denied," + base }

// PolicyDN is the policy of all accounts but those that name another: at least
// 8 characters, 3 remembered, locked after 3 wrong binds.
func (s *Server) PolicyDN() string { return "cn=default,ou=policies," + base }

// StrictPolicyDN is a policy that an entry may name: at least 12 characters, 5
// remembered, and a value that somebody else set has to be changed.
func (s *Server) StrictPolicyDN() string { return "cn=strict,ou=policies," + base }

// Start runs a server until the test ends. What is missing on this machine
// fails the test with the package to install.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	server, err := Run(context.Background(), dir, options)
	if err != nil {
		_ = os.RemoveAll(dir)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Stop()
		_ = os.RemoveAll(dir)
	})
	return server
}

// Run provisions a server in the empty directory dir, starts it and waits
// until it answers. dir has to be short, for it holds a socket. The caller
// calls Stop; ctx bounds the start only.
func Run(ctx context.Context, dir string, options Options) (*Server, error) {
	slapd, err := program("slapd")
	if err != nil {
		return nil, err
	}
	server := &Server{dir: dir, level: options.Log, slapd: slapd, BaseDN: base, RootDN: "cn=root," + base, RootPW: rootPW, BindDN: "cn=rotator," + base, Password: rotatorPW}
	if options.Log == "" {
		server.level = "0"
	}
	if err := server.provision(ctx, options); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		if err := server.choosePorts(options); err != nil {
			return nil, err
		}
		err := server.start(ctx)
		if err == nil || try == 4 || !errors.Is(err, errDied) {
			return server, err
		}
	}
}

// program finds a server program, which may be outside a user's PATH.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("ldaptest: %s is missing: apt-get install slapd", name)
}

// choosePorts takes free ones below the range that the kernel gives to
// clients: one of those may stay taken by a closed connection.
func (s *Server) choosePorts(options Options) error {
	plain, err := freePort()
	if err != nil {
		return err
	}
	socket := filepath.Join(s.dir, "ldapi")
	s.URL = fmt.Sprintf("ldap://127.0.0.1:%d", plain)
	s.Socket = "ldapi://" + socket
	s.urls = s.URL + " ldapi://" + escapeSlashes(socket)
	if !options.TLS {
		return nil
	}
	secure, err := freePort()
	if err != nil {
		return err
	}
	s.TLSURL = fmt.Sprintf("ldaps://127.0.0.1:%d", secure)
	s.urls += " " + s.TLSURL
	return nil
}

// errDied says that slapd ended while it was waited for, as it does when
// somebody was quicker to take its port.
var errDied = errors.New("slapd ended before it answered")

func (s *Server) start(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // it was only read, or nobody could do anything about it
	s.process = exec.Command(s.slapd, "-h", s.urls, "-f", filepath.Join(s.dir, "slapd.conf"), "-d", s.level)
	s.process.Stdout, s.process.Stderr = log, log
	detach(s.process)
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		s.exit = cmd.Wait()
		close(ended)
	}(s.process, s.ended)
	if err := s.ready(ctx); err != nil {
		s.Stop()
		return err
	}
	return nil
}

// ready polls the protocol, not the port: an open port is not yet a server.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.Bind(s.BindDN, s.Password)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("ldaptest: %w: %w: %s", errDied, s.exit, s.log())
		case <-ctx.Done():
			return fmt.Errorf("ldaptest: slapd does not answer: %w: %s", err, s.log())
		case <-tick.C:
		}
	}
}

func (s *Server) log() string {
	text := s.Log()
	return text[max(0, len(text)-1000):]
}

// Log is what the server has written down so far.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log")) // what is not there says nothing
	return string(text)
}

// Bind tries a logon on a connection of its own; nil is success.
func (s *Server) Bind(dn, password string) error {
	conn, err := s.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it was only read, or nobody could do anything about it
	return conn.Bind(dn, password)
}

// Root returns a connection that may do everything. The caller closes it.
func (s *Server) Root() (*ldap.Conn, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(s.RootDN, s.RootPW); err != nil {
		_ = conn.Close() // it was only read, or nobody could do anything about it
		return nil, err
	}
	return conn, nil
}

func (s *Server) dial() (*ldap.Conn, error) {
	conn, err := ldap.DialURL(s.Socket, ldap.DialWithDialer(&net.Dialer{Timeout: startLimit}))
	if err != nil {
		return nil, err
	}
	conn.SetTimeout(startLimit)
	return conn, nil
}

// Pid is the process, for faults that only a signal can make.
func (s *Server) Pid() int { return s.process.Process.Pid }

// Stop ends the server and waits for it. It may be called again.
func (s *Server) Stop() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Signal(os.Interrupt)
	select {
	case <-s.ended:
	case <-time.After(startLimit):
		s.Kill()
	}
}

// Kill ends the server as a crash would, and waits for it.
func (s *Server) Kill() {
	_ = s.process.Process.Kill()
	<-s.ended
}

// Restart starts a stopped or killed server again: same ports, same data.
func (s *Server) Restart() error {
	s.Stop()
	return s.start(context.Background())
}
