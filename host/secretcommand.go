package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/rekey-host/rekey/sdk/secret"
)

// commandPatience is how long a program that prints a secret may take: a person may
// have to unlock a key for it.
const commandPatience = 2 * time.Minute

// secretOfCommand runs a program in a directory and returns what it prints. What it
// says on standard error goes nowhere: it may be the secret.
func secretOfCommand(ctx context.Context, argv []string, dir string) (secret.Value, error) {
	name := argv[0]
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, argv[1:]...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	var printed sized
	cmd.Stdout = &printed
	err := cmd.Run()
	defer clear(printed.Bytes())
	var exit *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return secret.Value{}, fmt.Errorf("command %s: no end after %s; run it by hand once, a key may have to be unlocked", name, commandPatience)
	case errors.As(err, &exit):
		return secret.Value{}, fmt.Errorf("command %s: %s; run it by hand to see why", name, exit.ProcessState)
	case printed.over:
		return secret.Value{}, fmt.Errorf("command %s: it prints more than %d bytes", name, maxSecretFile)
	case err != nil:
		return secret.Value{}, fmt.Errorf("command %s: %w", name, reasonOf(err))
	}
	value, err := secretText(printed.Bytes())
	if err != nil {
		return secret.Value{}, fmt.Errorf("command %s: what it prints %w", name, err)
	}
	return secret.New(value), nil
}

// sized keeps what is written up to the size of a secret.
type sized struct {
	bytes.Buffer
	over bool
}

// Write takes what has room.
func (s *sized) Write(text []byte) (int, error) {
	if s.Len()+len(text) > maxSecretFile {
		s.over = true
		return len(text), nil
	}
	return s.Buffer.Write(text)
}
