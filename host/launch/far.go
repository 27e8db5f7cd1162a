package launch

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/hlog"
)

// Reach is how a plugin that another has started is connected to.
type Reach struct {
	Where    string                        // in words, for messages
	Served   string                        // what a run keeps of it on record: where it is, and who may answer there
	Loose    string                        // what is not sure of it, for a warning; "": it is who it was
	Far      bool                          // it is on another machine: the files that its settings name are there
	Endpoint func() (dial.Endpoint, error) // asked at each connection
	Patient  bool                          // an author may stop it for longer than its operations may take: it is never given up for that
}

// far is a plugin that another process started, here or elsewhere: one connection. When
// it is lost, all is as if a child had died.
type far struct {
	command Command
	options Options
	dialing dial.Options
	log     hclog.Logger

	mu    sync.Mutex
	link  *dial.Link // nil: there is no connection yet
	close func() error
	gone  chan struct{}
	once  sync.Once
}

func newFar(command Command, options Options, dialing dial.Options) *far {
	made := &far{command: command, options: options, dialing: dialing, gone: make(chan struct{})}
	made.log = hlog.Scrubbed(options.Log.Named(command.Name), func(text string) string { return clean(dialing.Redact, text) })
	return made
}

// connect makes the connection.
func (f *far) connect(ctx context.Context) (*dial.Client, error) {
	endpoint, err := f.command.Reach.Endpoint()
	if err != nil {
		return nil, err
	}
	link, err := dial.Connect(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	options := f.dialing
	options.Log, options.Gone, options.Instances = f.log, f.gone, rand.Text()+"-"
	client, end, err := link.Client(options)
	f.mu.Lock()
	f.link, f.close = link, end
	f.mu.Unlock()
	go func() {
		<-link.Gone()
		f.lose()
	}()
	return client, err
}

func (f *far) lose() { f.once.Do(func() { close(f.gone) }) }

func (f *far) ready(version string) error {
	f.options.Logs.line(f.command.Name, 0, "rekey: connected to "+f.command.Reach.Where+", version "+version)
	f.log.Debug("plugin connected", "version", version, "where", f.command.Reach.Where)
	return nil
}

func (f *far) exited() <-chan struct{} { return f.gone }

// kill ends the connection: whoever serves it ends what runs for it.
func (f *far) kill() {
	f.mu.Lock()
	link := f.link
	f.mu.Unlock()
	if link != nil {
		_ = link.Close()
	}
	f.lose()
}

func (f *far) how() string {
	f.mu.Lock()
	link := f.link
	f.mu.Unlock()
	if link == nil {
		return "not connected"
	}
	return f.command.Reach.Where + ": " + link.Why()
}

func (f *far) died(cause string) {
	f.options.Logs.line(f.command.Name, 0, "rekey: "+cause)
	f.log.Error("plugin lost", "cause", cause)
}

// failed says why there is no connection, and who has to do what.
func (f *far) failed(err error) *StartError {
	made := &StartError{Plugin: f.command.Name, Phase: PhaseConnect, Message: f.command.Reach.Where + ": "}
	f.mu.Lock()
	link := f.link
	f.mu.Unlock()
	switch pin := dial.Stranger(err); {
	case pin != "":
		made.Message += "its key is SHA-256 " + pin + ", and that is another than the lock file has; nothing was sent to it"
		made.Fix = "see who answers there; if the key was made anew, rekey plugin connect again"
	case errors.Is(err, errLate):
		made.Message += "it did not say within " + f.options.StartTimeout.String() + " what it is"
	case link != nil && link.Why() != "":
		made.Message += link.Why()
	case link == nil && away(err):
		made.Away, made.Message = true, made.Message+"it cannot be reached: "+clean(f.dialing.Redact, reason(err).Error())
		made.Fix = "see whether it serves there, and the network between"
	default:
		made.Message += clean(f.dialing.Redact, err.Error())
	}
	return made
}

// away reports whether nobody could be reached at all: it says nothing of the plugin.
func away(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, syscall.ECONNREFUSED)
}

// reason is an error of the network without the address, which stands before it.
func reason(err error) error {
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Err
	}
	return err
}

func (f *far) end() {
	f.mu.Lock()
	end := f.close
	f.mu.Unlock()
	if end != nil {
		_ = end() // what is not sent any more is of no use
	}
	f.kill()
}
