package launch

import (
	"io"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/dial"
)

// Command is how a plugin is started.
type Command struct {
	Path    string   // absolute
	Args    []string // after the program's name
	Name    string   // of the backend
	Digest  string   // see Digest; checked before it is started; "": not checked
	Grants  Grants   // with Options.Sandbox: all that it may use
	Reach   *Reach   // it is not started but connected to; then there is no path, no digest and no grants; nil: it is started
	Bundled bool     // of this program itself: what it leaves in sessions of its own is meant to stay
}

// Options are shared by all plugins of a host. The zero Options will do.
type Options struct {
	Log      hclog.Logger     // of the plugins' lines and of their deaths; nil: none
	Brood    *Brood           // ends what plugins of others leave behind elsewhere than in their process groups; nil: that stays
	Logs     *Logs            // get the plugins' standard error too; nil: no files
	Stderr   io.Writer        // gets the plugins' standard error, scrubbed; nil: dropped
	RunDir   string           // for sockets, short; "": one of the user's own in the temporary directory
	CacheDir string           // of host/catalog; "": no cache
	Trace    func(dial.Frame) // is told of every message of every plugin, without secrets; nil: not told
	Environ  []string         // what a plugin's environment is picked from; nil: the process's own
	Now      func() time.Time // nil: time.Now

	Sandbox bool              // confine plugins to their grants; where that cannot be, they do not start
	Confine []string          // with Sandbox: the command, with arguments, that calls Confine with those that follow
	Protect []string          // with Sandbox: paths that no grant may reach, for host/catalog
	Reaches map[string]*Reach // plugins that are attached to, by name, for host/catalog; nil: none
	Memory  uint64            // with Sandbox: the most bytes of data; 0: 4 GiB

	StartTimeout time.Duration // until a plugin is ready; 0: 10 s
	StallSlack   time.Duration // what a plugin may take longer than its operations before it is killed as stuck; 0: 10 s
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = 10 * time.Second
	}
	if o.StallSlack == 0 {
		o.StallSlack = 10 * time.Second
	}
	return o
}
