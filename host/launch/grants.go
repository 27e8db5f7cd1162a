package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// Grants are what a confined plugin may use beyond what every program needs.
type Grants struct {
	Read    []string // files, and directories with all in them; absolute
	Write   []string // directories whose files may be read, written, made and removed; absolute
	Connect []int    // TCP ports, on any machine: the kernel does not look at addresses
}

// GrantsOf returns what a description asks for, with the settings of one
// instance: the ports of its egress, and its paths. A path after the word
// "write" is granted with its directory, because replacing a file needs
// another beside it; one after the word "run", a program to start, is granted to
// no plugin. No grant may reach a protected path, which would be the host's own: that
// is a *ReachError. The errors say what to do.
func GrantsOf(description sdk.Description, config sdk.Config, protected []string) (Grants, error) {
	var grants Grants
	given := config.Values
	config.Values = withDefaults(description, config.Values)
	for _, entry := range description.Egress {
		for _, target := range filled(entry, config) {
			if strings.HasPrefix(target, "ldapi://") || strings.HasPrefix(target, "unix://") {
				continue // a socket in the file system, which has no port
			}
			port, err := portOf(target)
			if err != nil {
				return Grants{}, err
			}
			grants.Connect = append(grants.Connect, port)
		}
	}
	for _, text := range description.Paths {
		if program, runs := strings.CutPrefix(text, "run "); runs {
			if started := filled(program, config); len(started) > 0 {
				return Grants{}, fmt.Errorf("sandbox: backend %q starts %s, and no program may be started there; --no-sandbox %s lets it", description.Name, started[0], description.Name)
			}
			continue
		}
		name, write := strings.CutPrefix(text, "write ")
		for _, path := range filled(name, config) {
			if err := grants.path(path, write, protected); err != nil {
				return Grants{}, reaching(err, name, given)
			}
		}
	}
	for _, list := range []*[]string{&grants.Read, &grants.Write} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	slices.Sort(grants.Connect)
	grants.Connect = slices.Compact(grants.Connect)
	return grants, nil
}

// ReachError says that a grant would reach what is the host's own.
type ReachError struct {
	Given   bool   // the path is a setting that was given, and not the plugin's own choice
	Message string // and what to do
}

// Error returns the message.
func (e *ReachError) Error() string { return "sandbox: " + e.Message }

// reaching says of a ReachError whether the script chose the path.
func reaching(err error, entry string, given map[string]any) error {
	var reach *ReachError
	if errors.As(err, &reach) {
		_, reach.Given = given[strings.Trim(entry, "{}")]
	}
	return err
}

// withDefaults returns the settings as the plugin will see them.
func withDefaults(description sdk.Description, values map[string]any) map[string]any {
	out := map[string]any{}
	for _, field := range description.Config {
		if field.Default != nil {
			out[field.Name] = field.Default
		}
	}
	maps.Copy(out, values)
	return out
}

// filled returns the texts that an entry of a description stands for: those of
// a setting, or itself. A setting without a value stands for none.
func filled(entry string, config sdk.Config) []string {
	field, ok := strings.CutPrefix(entry, "{")
	field, closed := strings.CutSuffix(field, "}")
	if !ok || !closed {
		return []string{entry}
	}
	texts := config.List(field)
	if text := config.Text(field); text != "" {
		texts = []string{text}
	}
	return slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return text == "" })
}

// schemes are the ports of URLs that name none.
var schemes = map[string]int{"https": 443, "http": 80, "ldaps": 636, "ldap": 389, "postgres": 5432, "mysql": 3306, "redis": 6379, "rediss": 6379}

// portOf returns the port of a URL or of HOST:PORT.
func portOf(target string) (int, error) {
	port := ""
	if address, err := url.Parse(target); err == nil && address.Host != "" {
		if port = address.Port(); port == "" && schemes[strings.ToLower(address.Scheme)] != 0 {
			return schemes[strings.ToLower(address.Scheme)], nil
		}
	} else if _, path, err := net.SplitHostPort(target); err == nil {
		port = path
	}
	count, err := strconv.ParseUint(port, 10, 16)
	if err != nil || count == 0 {
		return 0, fmt.Errorf("sandbox: it cannot be told which port %q is; write it with its port", target)
	}
	return int(count), nil
}

// path adds a path, as the file system has it.
func (g *Grants) path(path string, write bool, protected []string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("sandbox: %q is not an absolute path", path)
	}
	real, exists, err := resolve(path)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if !exists && !write {
		return nil // a missing file cannot be read
	}
	granted := real
	if info, err := os.Stat(real); write && exists && err == nil && !info.IsDir() {
		granted = filepath.Dir(real)
	}
	if err := guard(path, granted, protected); err != nil {
		return err
	}
	if write {
		g.Write = append(g.Write, granted)
	} else {
		g.Read = append(g.Read, granted)
	}
	return nil
}

// guard refuses a grant that reaches a protected path.
func guard(path, granted string, protected []string) error {
	for _, text := range protected {
		own, err := place(text)
		if err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
		if !within(own, granted) && !within(granted, own) {
			continue
		}
		fix := "put the file into a directory of its own"
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			fix = "make its directory first"
		}
		return &ReachError{Message: fmt.Sprintf("for %s the plugin would be granted %s, which reaches %s; %s", path, granted, own, fix)}
	}
	return nil
}

// resolve follows symbolic links. Of a path that does not exist it returns the
// directory in which it would be made.
func resolve(path string) (real string, exists bool, err error) {
	for text := filepath.Clean(path); ; text = filepath.Dir(text) {
		real, err = filepath.EvalSymlinks(text)
		if !errors.Is(err, fs.ErrNotExist) || text == "/" {
			return real, text == filepath.Clean(path), err
		}
	}
}

// place follows symbolic links in as much of a path as exists.
func place(path string) (string, error) {
	real, exists, err := resolve(path)
	if err != nil || exists {
		return real, err
	}
	for text := filepath.Clean(path); ; text = filepath.Dir(text) {
		if above, err := filepath.EvalSymlinks(text); err == nil {
			rest, err := filepath.Rel(text, filepath.Clean(path))
			return filepath.Join(above, rest), err
		}
	}
}

// within reports whether a path is the directory or something below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// text is the grants as arguments of Confine.
func (g Grants) text() (args []string) {
	for _, path := range g.Read {
		args = append(args, "--read", path)
	}
	for _, path := range g.Write {
		args = append(args, "--write", path)
	}
	for _, count := range g.Connect {
		args = append(args, "--connect", strconv.Itoa(count))
	}
	return args
}

// List is the grants as people read them: "connect 636", "read /etc/x",
// "write /srv/y".
func (g Grants) List() []string {
	var list []string
	for args := g.text(); len(args) > 1; args = args[2:] {
		list = append(list, strings.TrimPrefix(args[0], "--")+" "+args[1])
	}
	return list
}

// String is the grants in one line, for comparison and for logs.
func (g Grants) String() string { return strings.Join(g.text(), " ") }
