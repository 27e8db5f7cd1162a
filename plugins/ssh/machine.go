package ssh

import (
	"context"
	"regexp"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// who asks a host which machine it is: the number of its boot, and where its /etc lies,
// which tells containers of one kernel apart. A host's key does not say it: machines
// made from one image share it, and one machine has several.
const who = "cat /proc/sys/kernel/random/boot_id && stat -L -c %d:%i /etc"

var machines = regexp.MustCompile(`^[0-9a-f-]{36}\n[0-9]+:[0-9]+\n$`)

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
	said := ""
	if reply.exit == 0 && machines.MatchString(reply.output) {
		said = reply.output
	}
	on.mu.Lock()
	defer on.mu.Unlock()
	on.said = &said
	return said, nil
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
