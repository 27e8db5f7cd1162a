package serve_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/test/bufconn"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
)

// A test of a backend over the wire needs no process: On serves it at one end of
// a connection and dial.Over speaks to it at the other.
func ExampleOn() {
	listener := bufconn.Listen(1 << 20)
	defer serve.On(listener, memory.New())()
	client, hangUp, err := dial.Over(func(ctx context.Context) (net.Conn, error) { return listener.DialContext(ctx) }, dial.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = hangUp() }()
	instance, err := client.Configure(context.Background(), sdk.Config{Label: "trial", Concurrency: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = instance.Close() }()
	answered := make(chan sdk.Receipt)
	instance.Submit([]sdk.Operation{{ID: "1", Verb: sdk.Set, Account: "ann", Value: secret.New("correct horse battery")}},
		func(_ int, r sdk.Receipt) { answered <- r })
	fmt.Println((<-answered).Outcome)
	// Output: applied
}
