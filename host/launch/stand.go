package launch

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/sdk/dial"
)

// DumpableKey is set for a program under development: the SDK leaves debuggers allowed.
const DumpableKey = "REKEY_PLUGIN_DEV"

// Stand keeps a plugin running for others to attach to: a program at a time, under an
// address that stays when another takes its place. It is for one author and one goroutine;
// nothing that a run keeps is in it.
type Stand struct {
	options Options
	dir     *runDir
	runner  *pluginRunner
	name    string // of the backend
	record  record
}

// ticket is the file that those who attach read: beside the socket, and for the same
// user only, because it holds the key that the program asks for.
type ticket struct {
	Cert, Key []byte // of who attaches, in PEM
	Server    []byte // certificate of the program that runs now
}

// The names in the directory of a stand.
const (
	standSocket = "plugin"
	standTicket = "plugin.json"
)

// NewStand returns a stand without a program.
func NewStand(options Options) (*Stand, error) {
	dir, err := newRunDir(options.RunDir)
	if err != nil {
		return nil, err
	}
	return &Stand{options: options.withDefaults(), dir: dir}, nil
}

// Serve starts a program in the place of the one before, which it ends, and returns its
// process when it was asked what it is.
func (s *Stand) Serve(ctx context.Context, path string) (pid int, err error) {
	s.stop()
	cert, key, err := dial.NewIdentity()
	if err != nil {
		return 0, err
	}
	command := Command{Path: path, Name: strings.TrimPrefix(filepath.Base(path), "rekey-backend-")}
	s.runner = newRunner(command, s.options, &dial.Redactor{})
	s.runner.keepIn(&s.record)
	s.runner.scratch = s.dir.path
	line, err := s.shake(ctx, cert)
	if err == nil {
		err = s.open(line, ticket{Cert: cert, Key: key})
	}
	if err != nil {
		err = s.runner.startError(err)
		s.stop()
		return 0, err
	}
	if s.name, err = s.ask(ctx, command); err != nil {
		s.stop()
		return 0, err
	}
	return s.runner.pid, nil
}

// shake starts the program and returns its handshake.
func (s *Stand) shake(ctx context.Context, cert []byte) (line string, err error) {
	handshake := dial.Handshake()
	cmd := &exec.Cmd{Env: []string{handshake.MagicCookieKey + "=" + handshake.MagicCookieValue, fmt.Sprintf("PLUGIN_PROTOCOL_VERSIONS=%d", dial.ProtocolVersion),
		"PLUGIN_CLIENT_CERT=" + string(cert), "PLUGIN_UNIX_SOCKET_DIR=" + s.dir.path, DumpableKey + "=1"}}
	if err := s.runner.prepare(cmd); err != nil {
		return "", err
	}
	if err := s.runner.Start(ctx); err != nil {
		return "", err
	}
	late := context.AfterFunc(ctx, s.runner.killGroup)
	defer late()
	return bufio.NewReader(s.runner.Stdout()).ReadString('\n')
}

// open lets others attach to the program that shook hands.
func (s *Stand) open(line string, ticket ticket) error {
	parts := strings.Split(strings.TrimSpace(line), "|")
	if len(parts) < 6 || parts[2] != "unix" {
		return errors.New("it listens on no socket in the file system")
	}
	var err error
	if ticket.Server, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[5], "=")); err != nil {
		return fmt.Errorf("its certificate: %w", err)
	}
	text, err := json.Marshal(ticket)
	if err != nil {
		return err
	}
	return errors.Join(s.replace(standTicket, func(path string) error { return os.WriteFile(path, text, 0o600) }),
		s.replace(standSocket, func(path string) error { return os.Symlink(parts[3], path) }))
}

// replace makes a name of the directory anew, so that it is always there.
func (s *Stand) replace(name string, make func(path string) error) error {
	path := filepath.Join(s.dir.path, name)
	_ = os.Remove(path + ".new")
	if err := make(path + ".new"); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// ask attaches, as a run does, and returns the backend's name.
func (s *Stand) ask(ctx context.Context, command Command) (string, error) {
	command.Reach = &Reach{Where: "its socket", Endpoint: s.endpoint}
	plugin := New(command, s.options)
	defer func() { _ = plugin.Close() }()
	description, err := plugin.Describe(ctx)
	return description.Name, err
}

func (s *Stand) endpoint() (dial.Endpoint, error) {
	return ticketed(filepath.Join(s.dir.path, standSocket))
}

// Exited is closed when the program that runs ends.
func (s *Stand) Exited() <-chan struct{} {
	if s.runner == nil {
		return nil
	}
	return s.runner.child.exited
}

// How is how the program ended that did.
func (s *Stand) How() string {
	s.runner.readers.Wait()
	return s.runner.exitStatus()
}

// Name is what the backend that runs calls itself.
func (s *Stand) Name() string { return s.name }

// Reattach is what REKEY_REATTACH has to be for a run that is to use it.
func (s *Stand) Reattach() string {
	text, _ := json.Marshal(map[string]reattach{s.name: {Protocol: "grpc", ProtocolVersion: dial.ProtocolVersion, PID: os.Getpid(), Test: true,
		Addr: address{Network: "unix", String: filepath.Join(s.dir.path, standSocket)}}}) // of texts and numbers
	return string(text)
}

func (s *Stand) stop() {
	if s.runner == nil {
		return
	}
	s.runner.end()
	s.runner = nil
}

// Close ends the program.
func (s *Stand) Close() {
	s.stop()
	s.dir.remove()
}

// reattach is go-plugin's configuration for attaching to a plugin, in JSON as other
// hosts of plugins write it.
type reattach struct {
	Protocol        string
	ProtocolVersion int
	PID             int `json:"Pid"`
	Test            bool
	Addr            address
}

type address struct{ Network, String string }

// Attached is what a run keeps on record of a plugin that it attached to: not which
// program that was, because it may be another at any time.
const Attached = "attached by REKEY_REATTACH, not pinned"

// Reattached reads REKEY_REATTACH: the plugins that are attached to, by name.
func Reattached(text string) (map[string]*Reach, error) {
	if text == "" {
		return nil, nil
	}
	var list map[string]reattach
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("it is no JSON as rekey plugin dev prints it: %w", err)
	}
	reaches := map[string]*Reach{}
	for name, one := range list {
		if one.Protocol != "grpc" || one.ProtocolVersion != dial.ProtocolVersion || one.Addr.Network != "unix" {
			return nil, fmt.Errorf("plugin %q: want protocol grpc, version %d, on a unix socket; take it from rekey plugin dev", name, dial.ProtocolVersion)
		}
		reaches[name] = &Reach{Where: "attached to process " + fmt.Sprint(one.PID), Patient: true, Served: Attached,
			Loose:    "it is attached to by REKEY_REATTACH: whatever program that is gets the passwords",
			Endpoint: func() (dial.Endpoint, error) { return ticketed(one.Addr.String) }}
	}
	return reaches, nil
}

// ticketed returns the endpoint of a socket that a ticket lies beside.
func ticketed(socket string) (dial.Endpoint, error) {
	text, err := os.ReadFile(socket + ".json")
	if err != nil {
		return dial.Endpoint{}, fmt.Errorf("%w; is rekey plugin dev still running?", err)
	}
	var ticket ticket
	if err := json.Unmarshal(text, &ticket); err != nil {
		return dial.Endpoint{}, err
	}
	own, err := tls.X509KeyPair(ticket.Cert, ticket.Key)
	if err != nil {
		return dial.Endpoint{}, err
	}
	pin, err := dial.Pin(tls.Certificate{Certificate: [][]byte{ticket.Server}})
	if err != nil {
		return dial.Endpoint{}, err
	}
	return dial.Endpoint{Network: "unix", Address: socket, TLS: dial.Pinned(own, pin)}, nil
}
