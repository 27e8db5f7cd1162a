// Package sshtest starts Debian's sshd for tests: each in a mount namespace with
// an /etc of its own, so that the machine's accounts stay as they are, on loopback.
// It needs root.
package sshtest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Options are what a host is like.
type Options struct {
	Users  []string // lines of its shadow file: NAME:HASH:…, or names, whose hash is "*"
	Config string   // lines of sshd_config that come first, and so count
	Sudo   string   // lines of sudoers
}

// Server is a running sshd.
type Server struct {
	Address    string // 127.0.0.1:PORT
	KeyFile    string // of root, and of the user rekey
	KnownHosts string // has its key
	HostKey    ssh.PublicKey
	Log        string // what sshd writes

	dir   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts a host that ends with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server, err := New(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

// New starts a host in a directory, until Stop.
func New(dir string, o Options) (*Server, error) {
	for _, program := range []string{"/usr/sbin/sshd", "/usr/bin/unshare", "/usr/bin/sudo"} {
		if _, err := os.Stat(program); err != nil {
			return nil, fmt.Errorf("%w: apt-get install openssh-server sudo", err)
		}
	}
	server := &Server{dir: dir, KeyFile: filepath.Join(dir, "key"), KnownHosts: filepath.Join(dir, "known_hosts"), Log: filepath.Join(dir, "log")}
	port := 0
	for _, step := range []func() error{
		func() (err error) { port, err = free(); return err },
		func() error { return server.etc(o) },
		func() error { return server.keys(port) },
		func() error { return server.configure(port, o) },
		func() error { return server.start() },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return server, server.ready()
}

// free returns a port below those that the system gives to clients.
func free() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no port is free")
}

// needed are the files of /etc that sshd, PAM, sudo and the C library read.
var needed = []string{"nsswitch.conf", "login.defs", "pam.d", "pam.conf", "security", "environment", "shells", "ld.so.cache",
	"ld.so.conf", "ld.so.conf.d", "default", "localtime", "hosts", "hostname", "host.conf", "profile", "alternatives"}

// etc makes an /etc.
func (s *Server) etc(o Options) error {
	to := s.path("etc")
	if err := os.MkdirAll(filepath.Join(to, "ssh"), 0o755); err != nil {
		return err
	}
	for _, name := range needed {
		from := filepath.Join("/etc", name)
		if _, err := os.Lstat(from); err != nil {
			continue
		}
		if out, err := exec.Command("cp", "-a", from, to+"/").CombinedOutput(); err != nil {
			return fmt.Errorf("cp %s: %w: %s", from, err, out)
		}
	}
	auth, err := os.ReadFile(filepath.Join(to, "pam.d", "common-auth"))
	if err != nil {
		return err
	}
	auth = bytes.Replace(auth, []byte("pam_unix.so"), []byte("pam_unix.so nodelay"), 1)
	passwd := "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\nrekey:x:2000:2000::/:/bin/sh\n"
	shadow := "root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\nrekey:*:19000:0:99999:7:::\n"
	for number, line := range o.Users {
		name, rest, given := strings.Cut(line, ":")
		if !given {
			rest = "!:19000:0:99999:7:::"
		}
		passwd += fmt.Sprintf("%s:x:%d:%d::/:/bin/sh\n", name, 3000+number, 3000+number)
		shadow += name + ":" + rest + "\n"
	}
	for name, file := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"pam.d/common-auth": {string(auth), 0o644}, "passwd": {passwd, 0o644}, "shadow": {shadow, 0o600},
		"machine-id": {fmt.Sprintf("%016x%016x\n", rand.Uint64(), rand.Uint64()), 0o444},
		"group":      {"root:x:0:\nnogroup:x:65534:\nrekey:x:2000:\n", 0o644}, "gshadow": {"", 0o600}, "sudoers": {"root ALL=(ALL) ALL\n" + o.Sudo, 0o440},
	} {
		path := filepath.Join(to, name)
		if err := errors.Join(os.WriteFile(path, []byte(file.text), 0o600), os.Chmod(path, file.mode)); err != nil {
			return err
		}
	}
	return os.Chmod(s.dir, 0o755) // users that are not root come by
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// keys makes the host's key and that of who logs in.
func (s *Server) keys(port int) error {
	s.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	host, err := newKey(s.path("host_key"))
	if err != nil {
		return err
	}
	s.HostKey = host
	login, err := newKey(s.KeyFile)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(s.KnownHosts, []byte(Line(s.Address, host)), 0o600),
		os.WriteFile(s.path("authorized_keys"), ssh.MarshalAuthorizedKey(login), 0o644),
	)
}

// Line is the line of known_hosts for a host.
func Line(address string, key ssh.PublicKey) string {
	return knownhosts.Line([]string{knownhosts.Normalize(address)}, key) + "\n"
}

func newKey(path string) (ssh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewPublicKey(public)
}

const config = `ListenAddress 127.0.0.1
HostKey DIR/host_key
AuthorizedKeysFile DIR/authorized_keys
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM yes
StrictModes no
PidFile none
UseDNS no
LogLevel VERBOSE
`

func (s *Server) configure(port int, o Options) error {
	text := o.Config + fmt.Sprintf("Port %d\n", port) + strings.ReplaceAll(config, "DIR", s.dir)
	return errors.Join(os.WriteFile(s.path("sshd_config"), []byte(text), 0o600), os.MkdirAll("/run/sshd", 0o755))
}

const bootID = "/proc/sys/kernel/random/boot_id"

const inOwnEtc = `mount --make-rprivate / && mount --bind "$1/etc" /etc && mount --bind "$1/boot_id" ` + bootID + ` && exec /usr/sbin/sshd -D -e -f "$1/sshd_config"`

func (s *Server) start() error {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	boot := fmt.Sprintf("%08x-0000-4000-8000-%012x\n", rand.Uint32(), rand.Uint32())
	if err := os.WriteFile(s.path("boot_id"), []byte(boot), 0o644); err != nil {
		return err
	}
	s.cmd = exec.Command("unshare", "-m", "sh", "-c", inOwnEtc, "sh", s.dir)
	s.cmd.Stderr, s.ended = log, make(chan struct{})
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ended, cmd := s.ended, s.cmd
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return nil
}

// ready waits until it says what it is.
func (s *Server) ready() error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.Address)
		if err == nil {
			_ = conn.Close()
			return nil
		}
		select {
		case <-s.ended:
			log, _ := os.ReadFile(s.Log)
			return fmt.Errorf("sshd ended: %s", log)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("sshd: %w", err)
		}
	}
}

// Stop ends it and all its connections. It may be called again.
func (s *Server) Stop() {
	for _, pid := range descendants(s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.ended
}

// Restart starts a host again that was stopped, as another boot of the same machine.
func (s *Server) Restart() error {
	if err := s.start(); err != nil {
		return err
	}
	return s.ready()
}

// descendants are the processes that a process has started, and they.
func descendants(parent int) (all []int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return nil
	}
	for _, word := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil {
			all = append(append(all, pid), descendants(pid)...)
		}
	}
	return all
}

// Etc is the path of a file of its /etc.
func (s *Server) Etc(name string) string { return filepath.Join(s.path("etc"), name) }

// Shadow is the line of a user in its shadow file, without the line's end.
func (s *Server) Shadow(user string) string {
	text, _ := os.ReadFile(s.Etc("shadow"))
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, user+":") {
			return line
		}
	}
	return ""
}

// Holds reports whether the user's hash is of a value, as openssl makes it.
func (s *Server) Holds(user, value string) bool {
	_, rest, _ := strings.Cut(s.Shadow(user), ":")
	hash, _, _ := strings.Cut(rest, ":")
	parts := strings.Split(hash, "$")
	if len(parts) < 4 || parts[1] != "6" {
		return false
	}
	salt := strings.Join(parts[2:len(parts)-1], "$")
	cmd := exec.Command("openssl", "passwd", "-6", "-salt", salt, "-stdin")
	cmd.Stdin = strings.NewReader(value + "\n")
	out, err := cmd.Output()
	return err == nil && strings.TrimSpace(string(out)) == hash
}

// SetShadow gives a user another line in the shadow file.
func (s *Server) SetShadow(t testing.TB, user, line string) {
	t.Helper()
	text, err := os.ReadFile(s.Etc("shadow"))
	if err == nil {
		err = os.WriteFile(s.Etc("shadow"), bytes.Replace(text, []byte(s.Shadow(user)), []byte(line), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
