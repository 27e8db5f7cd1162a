package ssh

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/strict"
)

// The choices of sudo and of locked.
const (
	sudoAuto     = "auto"
	sudoAlways   = "always"
	sudoNever    = "never"
	lockedRefuse = "refuse"
	lockedKeep   = "keep"
	lockedUnlock = "unlock"
)

// settings are those of an instance.
type settings struct {
	user       string
	keyFile    string
	passphrase secret.Value
	password   secret.Value
	login      *sdk.Passwords // of own
	knownHosts string
	jump       []account
	hosts      []address
	port       int
	sudo       bool
	locked     string
	rounds     int
	minLength  int
}

func newSettings(config sdk.Config) (settings, error) {
	made := settings{
		user: config.Text("user"), keyFile: config.Text("key_file"), passphrase: config.Secret("key_passphrase"), password: config.Secret("password"),
		knownHosts: config.Text("known_hosts"), port: config.Int("port"), locked: config.Text("locked"), rounds: config.Int("rounds"), minLength: config.Int("min_length"),
	}
	made.login = sdk.NewPasswords(config.Handed, made.password)
	made.sudo = config.Text("sudo") == sudoAlways || config.Text("sudo") == sudoAuto && made.user != "root"
	if failure := made.wrong(config); failure != nil {
		return made, failure
	}
	for _, name := range config.List("jump") {
		hop, failure := made.parse(name)
		if failure != nil {
			return made, sdk.Errorf(sdk.InvalidConfig, "jump: %s", failure.Message)
		}
		made.jump = append(made.jump, hop)
	}
	for _, name := range config.List("hosts") {
		host, err := parseAddress(name, made.port)
		if err != nil {
			return made, sdk.Errorf(sdk.InvalidConfig, "hosts: %q: %s", name, err)
		}
		made.hosts = append(made.hosts, host)
	}
	return made, nil
}

// wrong returns a problem of a setting that is told from it alone.
func (s settings) wrong(config sdk.Config) error {
	oneOf := func(name string, choices ...string) bool {
		return strings.Contains("\n"+strings.Join(choices, "\n")+"\n", "\n"+config.Text(name)+"\n")
	}
	switch {
	case !userNames.MatchString(s.user):
		return sdk.Errorf(sdk.InvalidConfig, "user: %q is no name of a user", s.user)
	case s.keyFile == "" && !s.password.Present():
		return sdk.Errorf(sdk.InvalidConfig, "key_file: missing, and so is password")
	case s.knownHosts == "":
		return sdk.Errorf(sdk.InvalidConfig, "known_hosts: missing")
	case s.port < 1 || s.port > 65535:
		return sdk.Errorf(sdk.InvalidConfig, "port: %d is none", s.port)
	case !oneOf("sudo", sudoAuto, sudoAlways, sudoNever):
		return sdk.Errorf(sdk.InvalidConfig, "sudo: %q is not auto, always or never", config.Text("sudo"))
	case !oneOf("locked", lockedRefuse, lockedKeep, lockedUnlock):
		return sdk.Errorf(sdk.InvalidConfig, "locked: %q is not refuse, keep or unlock", s.locked)
	case s.rounds < shacrypt.MinRounds || s.rounds > shacrypt.MaxRounds:
		return sdk.Errorf(sdk.InvalidConfig, "rounds: %d is not within %d to %d", s.rounds, shacrypt.MinRounds, shacrypt.MaxRounds)
	case s.minLength < 0:
		return sdk.Errorf(sdk.InvalidConfig, "min_length: %d is below 0", s.minLength)
	}
	return nil
}

// auth returns how rekey proves who it is.
func (s settings) auth() ([]ssh.AuthMethod, *sdk.Error) {
	if s.keyFile == "" {
		password := s.password.Reveal()
		return []ssh.AuthMethod{ssh.Password(password), ssh.KeyboardInteractive(answering(password))}, nil
	}
	text, failure := s.readKey()
	if failure != nil {
		return nil, failure
	}
	var signer ssh.Signer
	var err error
	if s.passphrase.Present() {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(s.passphrase.Reveal()))
	} else {
		signer, err = ssh.ParsePrivateKey(text)
	}
	var sealed *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &sealed):
		return nil, sdk.Errorf(sdk.InvalidConfig, "key_file: %q is sealed; give key_passphrase", s.keyFile)
	case err != nil:
		return nil, sdk.Errorf(sdk.InvalidConfig, "key_file: %q is no private key that key_passphrase opens", s.keyFile)
	}
	return []ssh.AuthMethod{ssh.PublicKeys(signer)}, nil
}

// longestKey is more than any key has.
const longestKey = 1 << 20

// readKey reads the key, as ssh would: not if others may.
func (s settings) readKey() ([]byte, *sdk.Error) {
	file, err := os.Open(s.keyFile)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "key_file: %s", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err == nil {
		err = strict.Opened(s.keyFile, info, os.Geteuid())
	}
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "key_file: %s", err)
	}
	text, err := io.ReadAll(io.LimitReader(file, longestKey))
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "key_file: %s", err)
	}
	return text, nil
}

// answering gives one text to every question that is not to be seen.
func answering(password string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for index := range questions {
			if echos[index] {
				return nil, errors.New("the host asks for more than a password")
			}
			answers[index] = password
		}
		return answers, nil
	}
}
