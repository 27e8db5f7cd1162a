package launch

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The rights of Landlock, by the actions that they allow.
const (
	readRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	execRights  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE
	writeRights = readRights | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR |
		unix.LANDLOCK_ACCESS_FS_REFER
	fileRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	firstRights = 1<<13 - 1 // of the first version
	rulePort    = 2         // LANDLOCK_RULE_NET_PORT
)

// abi are the versions of Landlock and what each can deny for the first time.
var abi = []struct {
	version int
	fs, net uint64
	scoped  uint64
	denies  string
}{
	{1, firstRights, 0, 0, "files"},
	{2, unix.LANDLOCK_ACCESS_FS_REFER, 0, 0, "moves between directories"},
	{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0, "truncation of files"},
	{4, 0, unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, 0, "TCP ports"},
	{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, 0, 0, "commands to devices"},
	{6, 0, 0, unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, "signals and abstract sockets"},
}

// Confinable returns what this kernel cannot deny a confined plugin, of what
// newer ones can; an error if it can deny nothing.
func Confinable() (missing []string, err error) {
	version, err := landlock()
	if err != nil {
		return nil, err
	}
	for _, a := range abi {
		if a.version > version {
			missing = append(missing, a.denies)
		}
	}
	return missing, nil
}

func landlock() (version int, err error) {
	count, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, fmt.Errorf("cannot be confined: this kernel has no Landlock (%w); add landlock to the kernel's lsm= list, or run without --sandbox, and with --no-sandbox NAME for a plugin of a lock file", errno)
	}
	return int(count), nil
}

// enter gives up rights, for this thread and the program that it becomes.
func enter(c confinement) error {
	runtime.LockOSThread() // for good: rights belong to threads
	if err := limit(c.memory); err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if err := restrict(c); err != nil {
		return err
	}
	return filterCalls(len(c.grants.Connect) > 0)
}

// become replaces this program by the plugin's. The kernel still ends it with
// the thread that started it.
func become(c confinement) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot be confined: end with its host: %w", err)
	}
	err := syscall.Exec(c.exec, c.argv, os.Environ())
	return fmt.Errorf("cannot be started once it is confined: %s: %w", c.argv[0], err)
}

// limit bounds what a plugin can use up. The number of processes is that of the
// whole user, and root has none.
func limit(memory uint64) error {
	for _, l := range []struct {
		what int
		most uint64
	}{{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_NOFILE, 4096}, {unix.RLIMIT_NPROC, 8192}, {unix.RLIMIT_DATA, memory}} {
		var now unix.Rlimit
		if err := unix.Getrlimit(l.what, &now); err != nil {
			return fmt.Errorf("limit %d: %w", l.what, err)
		}
		most := min(l.most, now.Max)
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("limit %d: %w", l.what, err)
		}
	}
	return nil
}

// kept are the capabilities that a plugin of root needs to replace a file that
// is another's: within its grants.
var kept = map[uintptr]bool{unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_FOWNER: true, unix.CAP_FSETID: true}

// dropCapabilities takes all others from the set that a program of root gets
// when it starts. Whoever has none needs no taking.
func dropCapabilities() error {
	for index := uintptr(0); ; index++ {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, index, 0, 0, 0); err != nil {
			return nil // no further one exists
		}
		if kept[index] {
			continue
		}
		switch err := unix.Prctl(unix.PR_CAPBSET_DROP, index, 0, 0, 0); {
		case errors.Is(err, unix.EPERM):
			return nil // not privileged
		case err != nil:
			return fmt.Errorf("capability %d: %w", index, err)
		}
	}
}

// restrict makes Landlock's rules and enters them.
func restrict(c confinement) error {
	version, err := landlock()
	if err != nil {
		return err
	}
	var all unix.LandlockRulesetAttr
	for _, a := range abi {
		if a.version <= version {
			all.Handled_access_fs |= a.fs
			all.Handled_access_net |= a.net
			all.Scoped |= a.scoped
		}
	}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&all)), unsafe.Sizeof(all), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	defer func() { _ = unix.Close(int(set)) }()
	if err := allowAll(c, ruleset{int(set), all}); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

type ruleset struct {
	fd      int
	handled unix.LandlockRulesetAttr
}

// What every program may use: names and certificates of the network, time
// zones, languages, and devices like the null device. Nothing of it is secret.
var (
	everybodyReads = []string{
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols",
		"/run/systemd/resolve", "/run/NetworkManager/resolv.conf", "/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/locale", "/usr/share/locale",
		"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ssl/cert.pem", "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/ca-trust/extracted",
		"/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
	}
	everybodyWrites = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
	libraries       = []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/alternatives"}
	programs        = []string{"/bin", "/sbin", "/usr", "/lib", "/lib64", "/opt"} // for a plugin in a language that needs some
)

// interpreters are settings of Python, to which links of Debian among its modules
// lead: each start of one reads them.
func interpreters() []string {
	paths, _ := filepath.Glob("/etc/python3*")
	return paths
}

func allowAll(c confinement, ruleset ruleset) error {
	for _, path := range slices.Concat(certificates(), interpreters(), everybodyReads) {
		if err := ruleset.allow(path, readRights); err != nil {
			return err
		}
	}
	for _, path := range everybodyWrites {
		if err := ruleset.allow(path, unix.LANDLOCK_ACCESS_FS_READ_FILE|unix.LANDLOCK_ACCESS_FS_WRITE_FILE); err != nil {
			return err
		}
	}
	for _, path := range c.grants.Read {
		if err := ruleset.allow(path, readRights); err != nil {
			return err
		}
	}
	for _, path := range append(c.grants.Write, c.scratch) {
		if err := ruleset.allow(path, writeRights); err != nil {
			return err
		}
	}
	for _, count := range c.grants.Connect {
		if err := ruleset.port(count); err != nil {
			return err
		}
	}
	return allowProgram(c, ruleset)
}

// allowProgram allows to run the plugin: of a program itself, its loader and the
// libraries; of a script what an interpreter may need, and its own directory.
func allowProgram(c confinement, ruleset ruleset) error {
	if err := ruleset.allow(c.exec, execRights); err != nil {
		return err
	}
	loader, script, err := interpreter(c.exec)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", c.argv[0], err)
	case script:
		for _, path := range programs {
			if err := ruleset.allow(path, execRights|readRights); err != nil {
				return err
			}
		}
		dirs := []string{filepath.Dir(c.argv[0])}
		if real, err := filepath.EvalSymlinks(c.argv[0]); err == nil { // an interpreter looks beside what a link leads to
			dirs = append(dirs, filepath.Dir(real))
		}
		for _, path := range dirs {
			if err := ruleset.allow(path, execRights|readRights); err != nil {
				return err
			}
		}
	case loader == "":
		return nil
	}
	for _, path := range libraries {
		if err := ruleset.allow(path, readRights); err != nil {
			return err
		}
	}
	return ruleset.allow(loader, execRights)
}

// interpreter returns what the kernel runs a file with: the loader of a dynamic
// program, "" for a static one, the first program of a script's first line.
func interpreter(path string) (loader string, script bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = file.Close() }()
	if line, _ := bufio.NewReaderSize(file, 256).ReadString('\n'); strings.HasPrefix(line, "#!") {
		name, _, _ := strings.Cut(strings.TrimSpace(line[2:]), " ")
		return name, true, nil
	}
	program, err := elf.NewFile(file)
	if err != nil {
		return "", false, nil // the kernel will tell the mistake
	}
	for _, prog := range program.Progs {
		if prog.Type == elf.PT_INTERP {
			name := make([]byte, prog.Filesz)
			if _, err := prog.ReadAt(name, 0); err != nil {
				return "", false, err
			}
			return strings.TrimRight(string(name), "\x00"), false, nil
		}
	}
	return "", false, nil
}

// allow adds a rule for a file, or a directory and all below it. What does not
// exist cannot be used anyway.
func (s ruleset) allow(path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights & s.handled.Handled_access_fs, Parent_fd: int32(fd)}
	return s.add(path, unix.LANDLOCK_RULE_PATH_BENEATH, unsafe.Pointer(&rule))
}

// port allows connections to a TCP port.
func (s ruleset) port(count int) error {
	if s.handled.Handled_access_net == 0 {
		return nil // it cannot be denied either
	}
	rule := struct{ allowed, port uint64 }{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, uint64(count)}
	return s.add(fmt.Sprint("port ", count), rulePort, unsafe.Pointer(&rule))
}

func (s ruleset) add(what string, kind uintptr, rule unsafe.Pointer) error {
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(s.fd), kind, uintptr(rule), 0, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %s: %w", what, errno)
	}
	return nil
}
