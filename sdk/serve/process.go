package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/rekey-host/rekey/sdk"
)

// The handshake of the contract: see sdk/proto/backend/v1/README.md.
const (
	cookieKey       = "REKEY_PLUGIN"
	cookieValue     = "rekey-backend-v1"
	protocolVersion = 1
	livenessKey     = "PLUGIN_LIVENESS_FD"
	clientCertKey   = "PLUGIN_CLIENT_CERT"
	devKey          = "REKEY_PLUGIN_DEV" // set by `rekey plugin dev`: debuggers are allowed
)

// closeGrace is how long running operations may take when the process ends:
// less than the two seconds within which it has to be gone.
const closeGrace = 1500 * time.Millisecond

// Run serves backend until its host is done with it or gone. It takes the process
// over: standard output, signals, limits.
func Run(backend sdk.Backend, options Options) error {
	if os.Getenv(cookieKey) != cookieValue {
		return ErrNoHost
	}
	handshake, err := takeStdout()
	if err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	if !options.Dumpable && os.Getenv(devKey) == "" {
		forbidDumps()
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	service := newService(backend, os.Stderr)
	takeLogs(service.log)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go endWithHost(service, stop)
	go endOnSignal(service, takeSignals(), stop)
	err = servePlugin(ctx, service, handshake)
	service.close(closeGrace)
	return err
}

// endWithHost waits for the end of the pipe that the host holds open.
func endWithHost(service *service, stop func()) {
	fd, err := strconv.Atoi(os.Getenv(livenessKey))
	if err != nil || fd < 3 {
		return
	}
	syscall.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "liveness")
	_, _ = io.Copy(io.Discard, file)
	service.log.Warn("the host is gone")
	time.AfterFunc(closeGrace, func() { os.Exit(1) })
	service.close(closeGrace)
	stop()
}

// takeSignals ignores an interrupt, which a terminal sends to everybody, from
// before the handshake on, and returns the requests to terminate.
func takeSignals() <-chan os.Signal {
	signal.Ignore(syscall.SIGINT, syscall.SIGPIPE)
	queue := make(chan os.Signal, 1)
	signal.Notify(queue, syscall.SIGTERM)
	return queue
}

// endOnSignal ends in good order on a request to terminate.
func endOnSignal(service *service, terminate <-chan os.Signal, stop func()) {
	<-terminate
	service.close(closeGrace)
	stop()
}

// servePlugin speaks go-plugin's protocol. go-plugin's test mode is the one in
// which it leaves standard output, signals and the handshake line to us; in the
// other a library that prints at the wrong moment breaks the handshake.
func servePlugin(ctx context.Context, service *service, handshake *os.File) error {
	config, cert, err := mutualTLS(os.Getenv(clientCertKey))
	if err != nil {
		return err
	}
	started, ended := make(chan *plugin.ReattachConfig, 1), make(chan struct{})
	go plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: protocolVersion, MagicCookieKey: cookieKey, MagicCookieValue: cookieValue},
		Plugins:         plugin.PluginSet{"backend": &grpcPlugin{service: service}},
		TLSProvider:     func() (*tls.Config, error) { return config, nil },
		GRPCServer:      newGRPC,
		Logger:          newHclog(service.stderr, service.redact, hclog.Warn),
		Test:            &plugin.ServeTestConfig{Context: ctx, ReattachConfigCh: started, CloseCh: ended},
	})
	select {
	case reattachConfig := <-started:
		_, err := fmt.Fprintf(handshake, "%d|%d|%s|%s|grpc|%s\n", plugin.CoreProtocolVersion, protocolVersion, reattachConfig.Addr.Network(), reattachConfig.Addr.String(), cert)
		if err = errors.Join(err, handshake.Close()); err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
	case <-ended:
		return errors.New("no socket could be opened")
	}
	<-ended
	return nil
}

// grpcPlugin registers the service with go-plugin.
type grpcPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	service *service
}

// GRPCServer registers the service.
func (p *grpcPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	p.service.register(server)
	return nil
}

// GRPCClient is not used on this side.
func (p *grpcPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the plugin's side")
}

// mutualTLS makes this process's one-time certificate and trusts the host's and
// no other. It returns the certificate as the handshake line has it.
func mutualTLS(hostPEM string) (*tls.Config, string, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(hostPEM)) {
		return nil, "", fmt.Errorf("%s holds no certificate: the host does not ask for a private connection", clientCertKey)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(30, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, "", err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12,
	}, base64.RawStdEncoding.EncodeToString(der), nil
}
