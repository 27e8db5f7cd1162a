package backendtest

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// command is how a plugin is started.
type command struct {
	path string
	args []string
	env  []string      // beyond what every plugin gets
	ends time.Duration // how long its process may outlive its host; 0: endTimeout

	confinement Confinement // its Line may be nil: nothing confines it
}

// line is what to start in a directory that is the plugin's own.
func (c command) line(scratch string) []string {
	line := append([]string{c.path}, c.args...)
	if c.confinement.Line == nil {
		return line
	}
	return c.confinement.Line(scratch, line)
}

// The limits on a plugin's process.
const (
	startTimeout = 30 * time.Second
	endTimeout   = 5 * time.Second // the contract says two seconds; a busy machine may take longer
)

// process is a plugin started as its README says: a handshake on
// standard output, certificates for one connection, a pipe whose end is the
// end of the host.
type process struct {
	cmd      *exec.Cmd
	dir      string
	liveness *os.File
	tls      *tls.Config
	network  string
	address  string
	gone     chan struct{} // closed when the process has ended
	rest     *journal      // its lines on standard output after the handshake
	ends     time.Duration
}

// start starts a plugin and reads its handshake. Its lines on standard error
// go to log.
func start(command command, log io.Writer) (*process, error) {
	made := &process{gone: make(chan struct{}), rest: &journal{}, ends: cmp.Or(command.ends, endTimeout)}
	cert, certPEM, err := certificate()
	if err != nil {
		return nil, err
	}
	if made.dir, err = os.MkdirTemp("", "rk"); err != nil {
		return nil, err
	}
	theirs, mine, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(made.dir))
	}
	made.liveness = mine
	line := command.line(made.dir)
	made.cmd = exec.Command(line[0], line[1:]...)
	made.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + made.dir, "TMPDIR=" + made.dir, "LANG=C.UTF-8",
		"REKEY_PLUGIN=rekey-backend-v1", "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + made.dir,
		"PLUGIN_MIN_PORT=0", "PLUGIN_MAX_PORT=0", "PLUGIN_CLIENT_CERT=" + certPEM, "PLUGIN_LIVENESS_FD=3",
	}, command.env...)
	made.cmd.Stderr, made.cmd.Dir = log, "/"
	made.cmd.ExtraFiles = []*os.File{theirs}
	made.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	made.cmd.WaitDelay = time.Second
	stdout, printed := io.Pipe()
	made.cmd.Stdout = printed
	err = made.cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return nil, errors.Join(err, mine.Close(), os.RemoveAll(made.dir))
	}
	go func() {
		_ = made.cmd.Wait()
		_ = printed.Close()
		close(made.gone)
	}()
	if err := made.handshake(stdout, cert); err != nil {
		return nil, errors.Join(err, made.end())
	}
	return made, nil
}

// byHand starts a plugin as a curious user would, without a host, and returns
// its mistakes then: it should name itself and end.
func byHand(command command) []string {
	ctx, stop := context.WithTimeout(context.Background(), startTimeout)
	defer stop()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, command.path, command.args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}, command.env...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, time.Second
	err := cmd.Run()
	var problems []string
	if err == nil || ctx.Err() != nil {
		problems = append(problems, fmt.Sprintf("started without a host: %v, want an exit code that is not 0", err))
	}
	if stdout.Len() > 0 || stderr.Len() == 0 {
		problems = append(problems, fmt.Sprintf("started without a host: standard output %.200q, standard error %.200q; want a line on standard error that says what it is", stdout.String(), stderr.String()))
	}
	return problems
}

// withoutHost starts a plugin, takes its host away and returns the mistakes
// with how it ends.
func withoutHost(command command) []string {
	log := &journal{}
	process, err := start(command, log)
	if err != nil {
		return []string{fmt.Sprintf("start: %v\n%s", err, log)}
	}
	if err := process.end(); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// interrupted sends a plugin what a terminal sends to everybody, and returns
// its mistakes then: whether to end is the host's to say.
func interrupted(command command) []string {
	log := &journal{}
	process, err := start(command, log)
	if err != nil {
		return []string{fmt.Sprintf("start: %v\n%s", err, log)}
	}
	var problems []string
	_ = syscall.Kill(process.cmd.Process.Pid, syscall.SIGINT)
	limit := time.NewTimer(200 * time.Millisecond)
	defer limit.Stop()
	select {
	case <-process.gone:
		problems = append(problems, "the process ended at an interrupt")
	case <-limit.C:
	}
	if err := process.end(); err != nil {
		problems = append(problems, err.Error())
	}
	return problems
}

// handshake reads the first line of standard output and keeps what follows,
// which should be nothing.
func (p *process) handshake(stdout io.Reader, cert tls.Certificate) error {
	type read struct {
		line string
		err  error
	}
	first := make(chan read, 1)
	go func() {
		reader := bufio.NewReader(stdout)
		line, err := reader.ReadString('\n')
		first <- read{strings.TrimSuffix(line, "\n"), err}
		_, _ = io.Copy(p.rest, reader)
	}()
	limit := time.NewTimer(startTimeout)
	defer limit.Stop()
	select {
	case read := <-first:
		if read.err != nil {
			return fmt.Errorf("standard output: %q and %w before a handshake", read.line, read.err)
		}
		return p.shake(read.line, cert)
	case <-limit.C:
		return fmt.Errorf("no handshake after %v", startTimeout)
	}
}

// shake reads "1|1|unix|/path|grpc|certificate".
func (p *process) shake(line string, cert tls.Certificate) error {
	parts := strings.Split(line, "|")
	if len(parts) < 6 || parts[0] != "1" || parts[1] != "1" || parts[4] != "grpc" {
		return fmt.Errorf("handshake %q, want 1|1|unix|PATH|grpc|CERTIFICATE", line)
	}
	der, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[5], "="))
	if err != nil {
		return fmt.Errorf("handshake: certificate: %w", err)
	}
	theirs, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("handshake: certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(theirs)
	p.network, p.address = parts[2], parts[3]
	p.tls = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	return nil
}

// connect opens one private connection to the plugin.
func (p *process) connect(ctx context.Context) (net.Conn, error) {
	dialer := tls.Dialer{Config: p.tls}
	return dialer.DialContext(ctx, p.network, p.address)
}

// end takes the host away, as its death would, and reports a process that does
// not end by itself.
func (p *process) end() error {
	_ = p.liveness.Close()
	limit := time.NewTimer(p.ends)
	defer limit.Stop()
	var err error
	select {
	case <-p.gone:
	case <-limit.C:
		err = fmt.Errorf("the process still runs %v after its host is gone", p.ends)
	}
	err = errors.Join(err, p.survivors())
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // its own children
	<-p.gone
	if printed := p.rest.String(); printed != "" {
		err = errors.Join(err, fmt.Errorf("standard output holds %.200q after the handshake; it belongs to the host", printed))
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// certificate makes this host's one-time certificate.
func certificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader) // as go-plugin does
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(text), nil
}

// survivors names the processes that a plugin has left running, and ends them. They
// are known by the directory that is the plugin's alone, in their environment.
func (p *process) survivors() error {
	select {
	case <-p.gone:
	default:
		return nil // it is still there itself
	}
	var left []int
	for end := time.Now().Add(p.ends); ; time.Sleep(10 * time.Millisecond) {
		if left = withEnvironment("HOME=" + p.dir); len(left) == 0 {
			return nil
		}
		if time.Now().After(end) {
			break
		}
	}
	var err error
	for _, pid := range left {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		err = errors.Join(err, fmt.Errorf("the plugin has ended, and process %d that it started (%s) still runs", pid, strings.TrimSpace(string(name))))
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return err
}
