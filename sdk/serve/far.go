package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/internal/peer"
)

// farCommand is the argument with which a plugin serves hosts on other machines.
const farCommand = "serve"

// pins are what --client-pin gives; it may be repeated.
type pins []string

// String is for package flag.
func (p *pins) String() string { return fmt.Sprint(*p) }

// Set adds one.
func (p *pins) Set(text string) error {
	if !peer.ValidPin(text) {
		return errors.New("want the SHA-256 of a public key in 64 small hex digits, as rekey plugin connect prints it")
	}
	*p = append(*p, text)
	return nil
}

// far serves hosts that connect over the network. It returns the exit status.
func far(backend sdk.Backend, args []string) int {
	name := "rekey-backend-" + backend.Describe().Name
	flags := flag.NewFlagSet(name+" "+farCommand, flag.ContinueOnError)
	address := flags.String("listen", "", "`HOST:PORT` to serve on")
	cert := flags.String("cert", "", "`FILE` with this end's certificate; made with its key where neither exists")
	key := flags.String("key", "", "`FILE` with its key")
	var clients pins
	flags.Var(&clients, "client-pin", "SHA-256 of the public key of a host that may connect, in `HEX`; may be repeated")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := serveFar(backend, farOptions{name, *address, *cert, *key, clients}); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, err)
		return 2
	}
	return 0
}

type farOptions struct {
	name, address, cert, key string
	clients                  pins
}

func serveFar(backend sdk.Backend, options farOptions) error {
	if options.address == "" || options.cert == "" || options.key == "" {
		return errors.New("serve wants --listen HOST:PORT, --cert FILE, --key FILE and --client-pin HEX")
	}
	own, err := peer.Identity(options.cert, options.key)
	if err != nil {
		return err
	}
	pin, err := peer.Pin(own.Certificate[0])
	if err != nil {
		return err
	}
	if len(options.clients) == 0 {
		return fmt.Errorf("its key is SHA-256 %s: give that to rekey plugin connect --peer-pin, and the one that it prints to --client-pin here", pin)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	listening := net.ListenConfig{KeepAliveConfig: tellIdle}
	listener, err := listening.Listen(ctx, "tcp", options.address)
	if err != nil {
		return err
	}
	forbidDumps()
	made := farServer{guarded: newGuarded(backend, os.Stderr), tls: peer.Config(own, options.clients)}
	takeLogs(made.guarded.log)
	fmt.Fprintf(os.Stderr, "%s: listens on %s, its key is SHA-256 %s\n", options.name, listener.Addr(), pin)
	made.serve(ctx, listener)
	return nil
}

// tellIdle is after how long a silent host is asked whether it lives, and how often
// then; who does not answer is gone, and what runs for it ends.
var tellIdle = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

// The bounds of what strangers can ask for.
const (
	mostHosts = 64
	greetTime = 10 * time.Second
)

// farServer serves hosts, each over a connection of its own: what one of them opened ends
// with its connection, as it ends with the process of a plugin that a host starts.
type farServer struct {
	*guarded
	tls *tls.Config
}

// serve serves until the context ends, and what runs then has ended.
func (f farServer) serve(ctx context.Context, listener net.Listener) {
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	slots := make(chan struct{}, mostHosts)
	var all sync.WaitGroup
	defer all.Wait()
	for {
		slots <- struct{}{}
		conn, err := listener.Accept()
		if err != nil && ctx.Err() != nil {
			return
		}
		if err != nil { // of descriptors there may be more later
			f.log.Error("no connection can be taken", "error", err)
			time.Sleep(time.Second)
			<-slots
			continue
		}
		all.Go(func() {
			defer func() { <-slots }()
			f.one(ctx, conn)
		})
	}
}

// one serves one host until its connection ends.
func (f farServer) one(ctx context.Context, plain net.Conn) {
	from := plain.RemoteAddr().String()
	greeting, cancel := context.WithTimeout(ctx, greetTime)
	secured := tls.Server(plain, f.tls)
	err := secured.HandshakeContext(greeting)
	cancel()
	if err != nil {
		f.log.Warn("a host was refused", "from", from, "error", err)
		_ = plain.Close()
		return
	}
	f.log.Info("a host is there", "from", from)
	service := &service{guarded: f.guarded, instances: map[string]*instance{}}
	server := newGRPC(nil)
	service.register(server)
	end := context.AfterFunc(ctx, func() {
		service.close(closeGrace)
		server.Stop()
	})
	_ = server.Serve(&lone{conn: secured, gone: make(chan struct{})}) // says that the connection ended
	end()
	service.close(0)
	server.Stop()
	f.log.Info("a host is gone", "from", from)
}

// lone is a listener of one connection, which ends with it.
type lone struct {
	conn  net.Conn
	taken bool
	once  sync.Once
	gone  chan struct{}
}

// Accept returns the connection, and then waits for its end.
func (l *lone) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return watchedConn{l.conn, l}, nil
	}
	<-l.gone
	return nil, io.EOF
}

// Close ends the connection.
func (l *lone) Close() error {
	l.once.Do(func() { close(l.gone) })
	return l.conn.Close()
}

// Addr is this end's.
func (l *lone) Addr() net.Addr { return l.conn.LocalAddr() }

type watchedConn struct {
	net.Conn
	of *lone
}

// Close ends the listener too.
func (w watchedConn) Close() error { return w.of.Close() }
