package launch_test

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// probeSystem tells what the system lets the process do.
func probeSystem(what string, out map[string]string) {
	if target, ok := strings.CutPrefix(what, "attack "); ok {
		out["got"] = attack(target)
		return
	}
	switch what {
	case "limits":
		limits(out)
	case "dumps":
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		out["dumpable"] = fmt.Sprint(dumpable, " ", err)
		var core unix.Rlimit
		err = unix.Getrlimit(unix.RLIMIT_CORE, &core)
		out["core"] = fmt.Sprint(core.Cur, " ", core.Max, " ", err)
	case "files":
		names, _ := os.ReadDir("/proc/self/fd")
		for _, n := range names {
			out[n.Name()], _ = os.Readlink("/proc/self/fd/" + n.Name())
		}
	}
}

// limits tells what the process may use up, and may do.
func limits(out map[string]string) {
	for name, which := range map[string]int{"core": unix.RLIMIT_CORE, "nofile": unix.RLIMIT_NOFILE} {
		var l unix.Rlimit
		_ = unix.Getrlimit(which, &l)
		out[name] = fmt.Sprint(l.Cur, " ", l.Max)
	}
	for name, which := range map[string]int{"no_new_privs": unix.PR_GET_NO_NEW_PRIVS, "dumpable": unix.PR_GET_DUMPABLE} {
		n, err := unix.PrctlRetInt(which, 0, 0, 0, 0)
		out[name] = fmt.Sprint(n)
		if err != nil {
			out[name] = err.Error()
		}
	}
	var caps [2]unix.CapUserData
	_ = unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &caps[0])
	out["capabilities"] = fmt.Sprintf("%x", uint64(caps[1].Permitted)<<32|uint64(caps[0].Permitted))
}

// systemActor is an actor that only this system has.
func systemActor() { withoutLandlock() }
