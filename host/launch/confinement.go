package launch

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// confinement is what Confine is asked for.
type confinement struct {
	grants  Grants
	scratch string   // a directory of its own
	memory  uint64   // bytes of data; 0: no limit
	exec    string   // the program's file
	argv    []string // its name and arguments
}

// defaultMemory is a limit that only a plugin gone wrong meets.
const defaultMemory = 4 << 30

// arguments returns what Confine is started with. They hold no secrets: paths,
// ports and the plugin's own arguments.
func (c confinement) arguments() []string {
	args := append(c.grants.text(), "--scratch", c.scratch, "--memory", strconv.FormatUint(c.memory, 10), "--exec", c.exec, "--")
	return append(args, c.argv...)
}

// Confined returns the arguments of Confine for a program, with its own: it may use the
// grants, and write to the directory scratch.
func Confined(grants Grants, scratch string, program []string) []string {
	return confinement{grants: grants, scratch: scratch, memory: defaultMemory, exec: program[0], argv: program}.arguments()
}

func parseConfinement(args []string) (confinement, error) {
	var c confinement
	for len(args) > 1 && args[0] != "--" {
		name, value := args[0], args[1]
		args = args[2:]
		switch name {
		case "--read":
			c.grants.Read = append(c.grants.Read, value)
		case "--write":
			c.grants.Write = append(c.grants.Write, value)
		case "--scratch":
			c.scratch = value
		case "--exec":
			c.exec = value
		case "--memory":
			count, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				return c, fmt.Errorf("confine: --memory %q is no number", value)
			}
			c.memory = count
		case "--connect":
			count, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return c, fmt.Errorf("confine: --connect %q is no port", value)
			}
			c.grants.Connect = append(c.grants.Connect, int(count))
		default:
			return c, fmt.Errorf("confine: %q is not known", name)
		}
	}
	if len(args) < 2 || c.exec == "" || c.scratch == "" {
		return c, errors.New("confine: started by rekey itself, for --sandbox")
	}
	c.argv = args[1:]
	return c, nil
}

// certificates are what the environment names as such: a plugin has it too.
func certificates() (paths []string) {
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if path := os.Getenv(name); path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}
