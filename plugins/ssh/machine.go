package ssh

import (
	"context"
	"regexp"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// who asks a host which machine it is: the number that it was given when it was set up,
// which no boot changes, and where its /etc lies, which tells containers apart that
// were given one number. A host's key does not say it: machines made from one image
// share it, and one machine has several.
const who = "env LC_ALL=C cat /etc/machine-id && stat -L -c %d:%i /etc"

// What a host says: its number, that it was given none yet, or that it has no such file.
var (
	machines = regexp.MustCompile(`^[0-9a-f]{32}\n[0-9]+:[0-9]+\n$`)
	unset    = regexp.MustCompile(`^(uninitialized)?\n?[0-9]+:[0-9]+\n$`)
	missing  = regexp.MustCompile(`/etc/machine-id'?: No such file or directory$`)
)

// toMeet is how long a host may take to say which machine it is.
const toMeet = 10 * time.Second

// machine is what tells a machine from others, whatever it is called; "" if the host
// does not tell.
func (f *fleet) machine(ctx context.Context, on *host) (string, *sdk.Error) {
	if known, ok := on.machineOnce(); ok {
		return known, nil
	}
	reply, lost := f.exec(ctx, on, who, "")
	if lost != nil {
		return "", lost.why
	}
	said, failure := reply.machine(on)
	if failure == nil {
		failure = f.met(on.address, said)
	}
	if failure != nil {
		return "", failure
	}
	on.mu.Lock()
	defer on.mu.Unlock()
	on.said = &said
	return said, nil
}

// machine is what a host says of itself. Only one that has no number does not tell:
// whatever else goes wrong would make two accounts of one.
func (r reply) machine(on *host) (string, *sdk.Error) {
	switch {
	case r.exit == 0 && machines.MatchString(r.output):
		return r.output, nil
	case r.exit == 0 && unset.MatchString(r.output), r.exit == 1 && missing.MatchString(r.said):
		return "", nil
	}
	return "", sdk.Errorf(sdk.TargetUnavailable, "host %s: which machine it is is not known, for %q ended with exit %d (%s): let %s run that", on.address, who, r.exit, r.said, on.user)
}

// met notes which machine has an address, and refuses one that was another machine
// before: the accounts of both would be taken for the same, or those of one for two.
func (f *fleet) met(where address, said string) *sdk.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, known := f.machines[where]
	if known && before != said {
		return sdk.Errorf(sdk.Ambiguous, "host %s: it was another machine before in this run; name each machine by an address of its own, and begin again", where)
	}
	f.machines[where] = said
	return nil
}

// machineOnce is what the host has said on the connection that it has now.
func (h *host) machineOnce() (string, bool) {
	alive := h.live() != nil
	h.mu.Lock()
	defer h.mu.Unlock()
	if !alive || h.said == nil {
		return "", false
	}
	return *h.said, true
}

// Resolve returns the user with the machine, however that is spelled. Where a host
// does not tell which machine it is, its address counts.
func (i *Instance) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	found := make([]sdk.Identity, len(names))
	targets := map[address][]int{}
	for index, name := range names {
		target, failure := i.parse(name)
		if failure != nil {
			found[index].Err = failure
			continue
		}
		found[index].ID = target.user
		targets[target.address] = append(targets[target.address], index)
	}
	ctx, stop := context.WithTimeout(ctx, toMeet)
	defer stop()
	var visits sync.WaitGroup
	for where, indexes := range targets {
		visits.Go(func() {
			made := i.meet(ctx, where)
			for _, index := range indexes {
				if found[index].Target = made.Target; made.Err != nil {
					found[index] = made
				}
			}
		})
	}
	visits.Wait()
	return found, nil
}

// meet is the target at an address, or why it could not be asked.
func (i *Instance) meet(ctx context.Context, where address) sdk.Identity {
	on := i.fleet.borrow(account{i.user, where})
	defer i.fleet.giveBack(on)
	switch said, failure := i.fleet.machine(ctx, on); {
	case failure != nil:
		return sdk.Identity{Err: failure}
	case said == "":
		return sdk.Identity{Target: "ssh://" + where.String()}
	default:
		return sdk.Identity{Target: "ssh:machine " + said}
	}
}
