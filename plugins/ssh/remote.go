package ssh

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/rekey-host/rekey/sdk"
)

// The programs of a host. What is added to them are names that userNames fits.
const (
	getent   = "/usr/bin/getent -s files"
	chpasswd = "/usr/sbin/chpasswd -e"
	expire   = "/usr/bin/chage -d 0"
	usermod  = "/usr/sbin/usermod -U"
)

// reply is how a program on a host ended.
type reply struct {
	exit   int
	output string
	said   string // on standard error, its last line
}

// lost is a program whose end is not known.
type lost struct {
	started bool // it may have run
	why     *sdk.Error
}

// run runs a program on a host, with sudo where that is needed.
func (f *fleet) run(ctx context.Context, on *host, program, input string) (reply, *lost) {
	if f.settings.sudo {
		program = "sudo -n " + program
	}
	return f.exec(ctx, on, program, input)
}

// exec runs a program on a host.
func (f *fleet) exec(ctx context.Context, on *host, program, input string) (reply, *lost) {
	if !on.channels.begin(ctx) {
		return reply{}, &lost{why: unsent(ctx)}
	}
	defer on.channels.end()
	session, failure := f.session(ctx, on)
	if failure != nil {
		return reply{}, &lost{why: failure}
	}
	var out, said strings.Builder
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader(input), &out, &said
	ended := make(chan error, 1)
	go func() {
		err := session.Start(program)
		if err == nil {
			err = session.Wait()
		}
		ended <- err
		_ = session.Close() // it is closed already, but after a start that failed
	}()
	select {
	case err := <-ended:
		return replied(on, err, out.String(), said.String())
	case <-ctx.Done():
		go func() { _ = session.Close() }() // which may wait for a host that reads nothing
		on.probe()
		return reply{}, &lost{started: true, why: late(ctx, on)}
	}
}

// patience is how long a host may take to show that it is there.
const patience = 2 * time.Second

// probe asks a host that did not answer in time, and those on the way to it, whether
// they are there, and ends the connections on which no answer comes. It does not wait.
func (h *host) probe() {
	for ; h != nil; h = h.via {
		if client := h.live(); client != nil {
			go asked(client)
		}
	}
}

// asked ends a connection on which nothing answers.
func asked(client *ssh.Client) {
	hung := time.AfterFunc(patience, func() { _ = client.Close() })
	defer hung.Stop()
	_, _, _ = client.SendRequest("keepalive@openssh.com", true, nil) // any answer will do
}

func late(ctx context.Context, on *host) *sdk.Error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return sdk.Errorf(sdk.Cancelled, "host %s: given up while a program ran", on.address)
	}
	return sdk.Errorf(sdk.Timeout, "host %s: no answer in time", on.address)
}

// pause is how long a host that has no channel left is left alone.
const pause = 50 * time.Millisecond

// session opens a channel. A connection that turns out to be dead is made anew,
// once: nothing was sent on it. One that has no channel left is waited for:
// closing it would end what others do on it.
func (f *fleet) session(ctx context.Context, on *host) (*ssh.Session, *sdk.Error) {
	for again := true; ; {
		client, failure := f.connected(ctx, on)
		if failure != nil {
			return nil, failure
		}
		session, err := opened(ctx, client)
		var full *ssh.OpenChannelError
		switch {
		case err == nil:
			return session, nil
		case ctx.Err() != nil:
			on.probe()
			return nil, unsent(ctx)
		case errors.As(err, &full):
			if !waited(ctx, pause) {
				return nil, sdk.Errorf(sdk.TargetUnavailable, "host %s: it gives no channel: %s", on.address, err)
			}
		case again:
			again = false
			on.drop()
		default:
			return nil, sdk.Errorf(sdk.Unreachable, "host %s: no channel can be opened: %s", on.address, err)
		}
	}
}

// waited waits, and reports whether ctx has not ended meanwhile.
func waited(ctx context.Context, span time.Duration) bool {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// opened opens a channel, and waits no longer than ctx: one that comes later is
// closed.
func opened(ctx context.Context, client *ssh.Client) (*ssh.Session, error) {
	type result struct {
		session *ssh.Session
		err     error
	}
	done := make(chan result)
	go func() {
		session, err := client.NewSession()
		select {
		case done <- result{session, err}:
		case <-ctx.Done():
			if err == nil {
				_ = session.Close()
			}
		}
	}()
	select {
	case got := <-done:
		return got.session, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// replied is the reply of a program that ended, or the loss of one.
func replied(on *host, err error, out, said string) (reply, *lost) {
	made := reply{output: out, said: lastLine(said)}
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return made, nil
	case errors.As(err, &exit) && exit.Signal() == "":
		made.exit = exit.ExitStatus()
		return made, nil
	}
	return made, &lost{started: true, why: sdk.Errorf(sdk.ConnectionLost, "host %s: the connection was lost while a program ran: %s", on.address, err)}
}

// longest is how much of a line is quoted.
const longest = 200

// lastLine is the last line of a text as it may be shown.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	text = text[strings.LastIndexByte(text, '\n')+1:]
	letters := []rune(strings.Map(func(letter rune) rune {
		if unicode.IsPrint(letter) {
			return letter
		}
		return ' '
	}, text))
	return string(letters[:min(len(letters), longest)])
}

// refusedBySudo reports whether the program was never started.
func (r reply) refusedBySudo() bool { return r.exit == 1 && strings.HasPrefix(r.said, "sudo:") }

// failure tells what a program said that should not have failed.
func (r reply) failure(on *host, program string) *sdk.Error {
	program, _, _ = strings.Cut(program, " ")
	made := sdk.Errorf(sdk.TargetError, "host %s: %s: exit %d: %s", on.address, program, r.exit, r.said)
	switch {
	case r.refusedBySudo():
		made = sdk.Errorf(sdk.PermissionDenied, "host %s: sudo does not let %s run %s without a password: %s", on.address, on.user, program, r.said)
	case strings.Contains(r.said, "try again later"), strings.Contains(r.said, "cannot lock"):
		made.Code = sdk.Conflict
	case strings.Contains(r.said, "Permission denied"), strings.Contains(r.said, "must be root"):
		made.Code = sdk.PermissionDenied
	case strings.Contains(r.said, "Read-only file system"):
		made.Code = sdk.ReadOnly
	}
	return made
}
