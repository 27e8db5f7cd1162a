// Package serve turns a backend into a plugin: a process that rekey starts and
// talks to. The whole main of a standalone plugin is
//
//	func main() { serve.Main(example.New()) }
//
// It knows the process (handshake, signals, end of the host, standard output)
// and the service (instances, workers, deadlines, replays, logs). It refuses to
// know targets, ledgers and scripts.
//
// It does this for an author:
//
//   - Operations run on at most Config.Concurrency workers. The deadline of
//     one, Config.Timeout, starts when a worker takes it. What ignores its
//     deadline is answered as Unknown a moment later, and its late answer counts
//     only for replays.
//   - An applied operation is remembered by its id: sent again it is
//     AlreadyApplied, and one that still runs is joined, not done twice.
//   - A panic is an Unknown Internal, never the end of the process.
//   - Standard output belongs to the handshake; printed text goes to
//     standard error. Secrets are scrubbed from errors and log lines.
//   - The process ends within two seconds of its host.
package serve

import (
	"errors"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/internal/wire"
)

// Options change what Run does to its process.
type Options struct {
	// Dumpable leaves core files and debuggers allowed. Without it the process
	// forbids both, because its memory holds passwords.
	Dumpable bool
}

// Main serves backend until its host is done with it, and ends the process. Started
// by hand it names itself and exits with 2. With the argument serve it serves hosts on
// other machines:
//
//	rekey-backend-NAME serve --listen HOST:PORT --cert FILE --key FILE --client-pin HEX
func Main(backend sdk.Backend) {
	if os.Getenv(cookieKey) == "" && len(os.Args) > 1 && os.Args[1] == farCommand {
		os.Exit(far(backend, os.Args[2:]))
	}
	err := Run(backend, Options{})
	switch {
	case errors.Is(err, ErrNoHost):
		description := backend.Describe()
		fmt.Fprintf(os.Stderr, "rekey-backend-%s %s is a plugin of rekey: put it in $REKEY_PLUGIN_DIR and see `rekey backends %s`\n", description.Name, description.Version, description.Name)
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "rekey-backend-%s: %s\n", backend.Describe().Name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Serve is Run with the usual options.
func Serve(backend sdk.Backend) error { return Run(backend, Options{}) }

// ErrNoHost says that the process was not started by a host of plugins.
var ErrNoHost = errors.New("not started by rekey")

// On serves backend to whoever connects to listener, without a handshake, certificates or
// any change to the process: for tests of a backend over the wire. stop ends it
// and waits.
func On(listener net.Listener, backend sdk.Backend) (stop func()) {
	service := newService(backend, os.Stderr)
	server := newGRPC(nil)
	service.register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return func() {
		service.close(closeGrace)
		server.Stop()
		<-done
	}
}

// newGRPC returns a server with the limits of the contract.
func newGRPC(serverOptions []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(serverOptions,
		grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.MaxSendMsgSize(wire.MaxMessage),
		grpc.InitialWindowSize(wire.MaxMessage), grpc.InitialConnWindowSize(wire.MaxMessage),
	)...)
}
