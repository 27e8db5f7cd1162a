// Package mysqltest runs a real, private MariaDB on loopback for tests.
//
// It knows how to provision, start and stop a server, and how a client that is
// not of this repository logs in. It knows nothing of rekey.
//
// Accounts of every server: root@localhost (over the socket, without a password)
// and rotator@% (CREATE USER, PROCESS, CONNECTION ADMIN, and SELECT on the tables of
// accounts).
package mysqltest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
)

// Options say what the server is like.
type Options struct {
	TLS  bool
	Args []string // more of mariadbd
}

// Server is one running server.
type Server struct {
	URL      string // mysql://127.0.0.1:PORT
	Address  string // 127.0.0.1:PORT
	Socket   string // unix:///DIR/mysqld.sock
	CAFile   string
	User     string // the rotator
	Password string

	port    int
	dir     string
	args    []string
	owner   *syscall.Credential // nil: who runs the test
	process *exec.Cmd
	ended   chan struct{}
}

const startLimit = 30 * time.Second

// Start runs a server; the caller calls Remove. What is missing on this machine
// fails the test with the package to install.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	server, err := provision(t, options)
	if err == nil {
		err = server.Start()
	}
	if err == nil {
		_, err = server.SQL(t.Context(), "CREATE USER rotator@'%' IDENTIFIED BY 'r0tat0r-Secret'", "GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO rotator@'%'",
			"GRANT SELECT ON mysql.user TO rotator@'%'", "GRANT SELECT ON mysql.global_priv TO rotator@'%'")
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
	for _, name := range []string{"mariadbd", "mariadb-install-db"} {
		if _, err := program(name); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "rkmy")
	if err != nil {
		return nil, err
	}
	server := &Server{dir: dir, port: reachtest.FreePort(t), User: "rotator", Password: "r0tat0r-Secret", Socket: "unix://" + dir + "/mysqld.sock"}
	server.Address = fmt.Sprintf("127.0.0.1:%d", server.port)
	server.URL = "mysql://" + server.Address
	if err := server.unprivileged(); err != nil {
		return server, err
	}
	install := server.command("mariadb-install-db", "--no-defaults", "--datadir="+server.data(), "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
	if out, err := install.CombinedOutput(); err != nil {
		return server, fmt.Errorf("mysqltest: mariadb-install-db: %w: %s", err, out)
	}
	return server, server.configure(t, options)
}

// program finds a server program, which may be outside a user's PATH.
func program(name string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name, "/usr/bin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("mysqltest: %s is missing: apt-get install mariadb-server", name)
}

// unprivileged finds the user that a server runs as: it is not root.
func (s *Server) unprivileged() error {
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("mysql")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, uid, gid)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) configure(t testing.TB, options Options) error {
	t.Helper()
	s.args = append([]string{"--no-defaults", "--datadir=" + s.data(), "--tmpdir=" + s.dir, "--socket=" + filepath.Join(s.dir, "mysqld.sock"), "--pid-file=" + filepath.Join(s.dir, "pid"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", s.port), "--skip-name-resolve", "--proxy-protocol-networks=127.0.0.1", "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0",
		"--general-log=ON", "--general-log-file=" + filepath.Join(s.dir, "general.log"), "--log-warnings=4"}, options.Args...)
	if !options.TLS {
		return nil
	}
	authority := reachtest.NewAuthority(t)
	pair := authority.Certificate(t, reachtest.Names{Hosts: []string{"localhost", "127.0.0.1"}})
	for name, from := range map[string]string{"ca.pem": authority.File, "server.pem": pair.Certificate, "server.key": pair.Key} {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
		if s.owner != nil {
			if err := os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
				return err
			}
		}
	}
	s.CAFile = filepath.Join(s.dir, "ca.pem")
	s.args = append(s.args, "--ssl-cert="+filepath.Join(s.dir, "server.pem"), "--ssl-key="+filepath.Join(s.dir, "server.key"))
	return nil
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	path, err := program(name)
	if err != nil {
		path = name // it says so when it is started
	}
	command := exec.Command(path, args...)
	command.Dir = s.dir
	command.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin", "HOME=" + s.dir, "TMPDIR=" + s.dir}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.owner}
	return command
}

// Log is all that the server has logged so far: statements and errors.
func (s *Server) Log() string {
	var all strings.Builder
	for _, name := range []string{"general.log", "log"} {
		text, _ := os.ReadFile(filepath.Join(s.dir, name))
		all.Write(text)
	}
	return all.String()
}

// Start starts the server, again after Stop, and waits until it answers.
func (s *Server) Start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.command("mariadbd", s.args...)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) {
		_ = command.Wait()
		close(ended)
	}(s.process, s.ended)
	for deadline := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		_, err := s.SQL(context.Background(), "SELECT 1")
		select {
		case <-s.ended:
			return fmt.Errorf("mysqltest: the server ended: %s", s.Log())
		default:
		}
		switch {
		case err == nil:
			return nil
		case time.Now().After(deadline):
			s.Stop()
			return fmt.Errorf("mysqltest: no answer within %s: %w", startLimit, err)
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

// Open returns the superuser's database, which the caller closes.
func (s *Server) Open() (*sql.DB, error) {
	config := driver.NewConfig()
	config.User, config.Net, config.Addr, config.Logger = "root", "unix", filepath.Join(s.dir, "mysqld.sock"), &driver.NopLogger{}
	config.Params = map[string]string{"sql_mode": "''"}
	config.InterpolateParams = true
	connector, err := driver.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// SQL runs statements as the superuser and returns the first column of the last
// one's rows.
func (s *Server) SQL(ctx context.Context, statements ...string) ([]string, error) {
	db, err := s.Open()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var found []string
	for _, statement := range statements {
		if found, err = column(ctx, db, statement); err != nil {
			return nil, fmt.Errorf("%w: %.200s", err, statement)
		}
	}
	return found, nil
}

func column(ctx context.Context, db *sql.DB, statement string) ([]string, error) {
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var text sql.NullString
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		found = append(found, text.String)
	}
	return found, rows.Err()
}

// Logon is a user and a value.
type Logon struct {
	User  string `json:"user"`
	Value string `json:"value"`
}

// client logs in with each line of standard input and says who it is then.
const client = `
import json, sys, pymysql
port = int(sys.argv[1])
for line in sys.stdin:
    logon = json.loads(line)
    try:
        c = pymysql.connect(host="127.0.0.1", port=port, user=logon["user"], password=logon["value"].encode(), ssl_disabled=True)
        with c.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            print(json.dumps(cursor.fetchone()[0]))
        c.close()
    except pymysql.err.MySQLError as e:
        print(json.dumps("error %d" % e.args[0]))
`

// Logons has PyMySQL log in with each, in one process, and returns whom the
// server says that it is, or "error NUMBER".
func (s *Server) Logons(t testing.TB, logons []Logon) []string {
	t.Helper()
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, logon := range logons {
		if err := encoder.Encode(logon); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", client, strconv.Itoa(s.port))
	command.Stdin = &lines
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		t.Fatalf("python3 with python3-pymysql: %v: %s", err, said.String())
	}
	var names []string
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var name string
		if err := decoder.Decode(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if len(names) != len(logons) {
		t.Fatal(errors.New("python3: an answer is missing"))
	}
	return names
}
