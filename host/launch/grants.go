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
	Read    []string // files, and directories with all that is in them; absolute
	Write   []string // directories whose files may be read, written, made and removed; absolute
	Connect []int    // TCP ports, on any machine: the kernel does not look at addresses
}

// GrantsOf returns what a description asks for, with the settings of one
// instance: the ports of its egress, and its paths. A path after the word
// "write" is granted with its directory, because a file that is replaced needs
// another beside it. No grant may reach a protected path, which would be the
// host's own; the error says what to do.
func GrantsOf(d sdk.Description, c sdk.Config, protected []string) (Grants, error) {
	var g Grants
	c.Values = withDefaults(d, c.Values)
	for _, e := range d.Egress {
		for _, target := range filled(e, c) {
			if strings.HasPrefix(target, "ldapi://") {
				continue // a socket in the file system, which has no port
			}
			port, err := portOf(target)
			if err != nil {
				return Grants{}, err
			}
			g.Connect = append(g.Connect, port)
		}
	}
	for _, p := range d.Paths {
		name, write := strings.CutPrefix(p, "write ")
		for _, path := range filled(name, c) {
			if err := g.path(path, write, protected); err != nil {
				return Grants{}, err
			}
		}
	}
	for _, list := range []*[]string{&g.Read, &g.Write} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	slices.Sort(g.Connect)
	g.Connect = slices.Compact(g.Connect)
	return g, nil
}

// withDefaults returns the settings as the plugin will see them.
func withDefaults(d sdk.Description, values map[string]any) map[string]any {
	out := map[string]any{}
	for _, f := range d.Config {
		if f.Default != nil {
			out[f.Name] = f.Default
		}
	}
	maps.Copy(out, values)
	return out
}

// filled returns the texts that an entry of a description stands for: those of
// a setting, or itself. A setting that is not given stands for none.
func filled(entry string, c sdk.Config) []string {
	field, ok := strings.CutPrefix(entry, "{")
	field, closed := strings.CutSuffix(field, "}")
	if !ok || !closed {
		return []string{entry}
	}
	texts := c.List(field)
	if text := c.Text(field); text != "" {
		texts = []string{text}
	}
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == "" })
}

// schemes are the ports of URLs that name none.
var schemes = map[string]int{"https": 443, "http": 80, "ldaps": 636, "ldap": 389}

// portOf returns the port of a URL or of HOST:PORT.
func portOf(target string) (int, error) {
	port := ""
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		if port = u.Port(); port == "" && schemes[strings.ToLower(u.Scheme)] != 0 {
			return schemes[strings.ToLower(u.Scheme)], nil
		}
	} else if _, p, err := net.SplitHostPort(target); err == nil {
		port = p
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("sandbox: it cannot be told which port %q is; write it with its port", target)
	}
	return int(n), nil
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
		return nil // what is not there cannot be read
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
	for _, p := range protected {
		own, err := place(p)
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
		return fmt.Errorf("sandbox: for %s the plugin would be granted %s, which reaches %s; %s", path, granted, own, fix)
	}
	return nil
}

// resolve follows symbolic links. Of a path that does not exist it returns the
// directory in which it would be made.
func resolve(path string) (real string, exists bool, err error) {
	for p := filepath.Clean(path); ; p = filepath.Dir(p) {
		real, err = filepath.EvalSymlinks(p)
		if !errors.Is(err, fs.ErrNotExist) || p == "/" {
			return real, p == filepath.Clean(path), err
		}
	}
}

// place follows symbolic links in as much of a path as exists.
func place(path string) (string, error) {
	real, exists, err := resolve(path)
	if err != nil || exists {
		return real, err
	}
	for p := filepath.Clean(path); ; p = filepath.Dir(p) {
		if above, err := filepath.EvalSymlinks(p); err == nil {
			rest, err := filepath.Rel(p, filepath.Clean(path))
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
	for _, p := range g.Read {
		args = append(args, "--read", p)
	}
	for _, p := range g.Write {
		args = append(args, "--write", p)
	}
	for _, n := range g.Connect {
		args = append(args, "--connect", strconv.Itoa(n))
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
