package launch

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// machines are the processors whose calls the filter knows, by their numbers
// in the kernel's audit.
var machines = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// forbidden are calls that no plugin needs and that reach around the rules, into
// other processes, or into parts of the kernel that break often.
var forbidden = []uintptr{
	unix.SYS_IO_URING_SETUP, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE,
}

// filterCalls lets the kernel refuse the forbidden calls, and what Landlock does
// not see of the network: all of it to a plugin without a granted connection,
// else all but TCP and UDP, and connections made by sending. A
// processor that it does not know gets no filter.
func filterCalls(network bool) error {
	machine, ok := machines[runtime.GOARCH]
	if !ok {
		return nil
	}
	program := filter(machine, network)
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	runtime.KeepAlive(program)
	return nil
}

// The places in what a filter looks at: struct seccomp_data.
const (
	atCall    = 0
	atMachine = 4
	atArgs    = 16 // the low half of the first of six; the others follow eight bytes apart
)

// compat is a bit in the numbers of amd64's calls with short pointers.
const compat = 0x40000000

// socketTypes is the part of a socket's type without flags.
const socketTypes = 0xf

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

// arg loads the low half of an argument, from 0.
func arg(count uint32) unix.SockFilter { return load(atArgs + 8*count) }

func answer(count uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: count}
}

func deny(errno unix.Errno) unix.SockFilter { return answer(unix.SECCOMP_RET_ERRNO | uint32(errno)) }

// when does the next count steps only if the test holds.
func when(test uint16, count uint32, char uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: count, Jf: char}
}

// unless does the next count steps only if the test does not hold.
func unless(test uint16, count uint32, char uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: count, Jt: char}
}

// filter is the program.
func filter(machine uint32, network bool) []unix.SockFilter {
	sockFilters := []unix.SockFilter{
		load(atMachine), unless(unix.BPF_JEQ, machine, 1), deny(unix.EPERM),
		load(atCall), when(unix.BPF_JGE, compat, 1), deny(unix.EPERM),
	}
	for _, call := range forbidden {
		sockFilters = append(sockFilters, when(unix.BPF_JEQ, uint32(call), 1), deny(unix.EPERM))
	}
	for _, send := range []struct{ call, flags uint32 }{{unix.SYS_SENDTO, 3}, {unix.SYS_SENDMSG, 2}, {unix.SYS_SENDMMSG, 3}} {
		sockFilters = append(sockFilters, when(unix.BPF_JEQ, send.call, 4), arg(send.flags), when(unix.BPF_JSET, unix.MSG_FASTOPEN, 1), deny(unix.EPERM), answer(unix.SECCOMP_RET_ALLOW))
	}
	sockFilters = append(sockFilters, unless(unix.BPF_JEQ, unix.SYS_SOCKET, 1), answer(unix.SECCOMP_RET_ALLOW))
	return append(sockFilters, sockets(network)...)
}

// sockets is the part of the program that looks at the kind of a new socket.
func sockets(network bool) []unix.SockFilter {
	sockFilters := []unix.SockFilter{arg(0), when(unix.BPF_JEQ, unix.AF_UNIX, 1), answer(unix.SECCOMP_RET_ALLOW)}
	if !network {
		return append(sockFilters, deny(unix.EACCES))
	}
	sockFilters = append(sockFilters,
		when(unix.BPF_JEQ, unix.AF_NETLINK, 1), answer(unix.SECCOMP_RET_ALLOW), // for the names of the C library
		unless(unix.BPF_JEQ, unix.AF_INET, 2), unless(unix.BPF_JEQ, unix.AF_INET6, 1), deny(unix.EACCES),
		arg(1), unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: socketTypes},
		unless(unix.BPF_JEQ, unix.SOCK_STREAM, 2), unless(unix.BPF_JEQ, unix.SOCK_DGRAM, 1), deny(unix.EACCES),
		arg(2))
	for _, protocol := range []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		sockFilters = append(sockFilters, when(unix.BPF_JEQ, protocol, 1), answer(unix.SECCOMP_RET_ALLOW))
	}
	return append(sockFilters, deny(unix.EPROTONOSUPPORT)) // of TCP over several paths: programs go on with one
}
