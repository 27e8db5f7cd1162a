package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/depot"
	"github.com/rekey-host/rekey/host/lockfile"
	"github.com/rekey-host/rekey/sdk/dial"
)

type pluginConnectCmd struct {
	Name    string `arg:"" name:"NAME" help:"Of the backend: what the plugin there calls itself."`
	Address string `required:"" help:"Where it serves." placeholder:"HOST:PORT"`
	Cert    string `required:"" help:"What rekey shows of itself; made with its key where neither exists." type:"path" placeholder:"FILE"`
	Key     string `required:"" help:"The key to that; none but you may read it." type:"path" placeholder:"FILE"`
	PeerPin string `help:"SHA-256 of the public key of the plugin, as it says when it starts to serve." placeholder:"HEX"`
	locked
}

// Run makes sure of both ends, and locks the plugin.
func (c *pluginConnectCmd) Run(app *app) error {
	own, err := dial.Identity(c.Cert, c.Key)
	if err != nil {
		return &host.UsageError{Message: err.Error(), Fix: "give --cert and --key two files that belong together, or names of files that do not exist"}
	}
	pin, err := dial.Pin(own)
	if err != nil {
		return &host.UsageError{Message: c.Cert + ": " + err.Error()}
	}
	fmt.Fprintf(app.process.stderr, "rekey: our key is SHA-256 %s; the plugin takes it by --client-pin\n", pin)
	if !dial.ValidPin(c.PeerPin) {
		return &host.UsageError{Message: "--peer-pin wants the SHA-256 of the plugin's public key, 64 small hex digits", Fix: "rekey-backend-" + c.Name + " serve prints it there"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return c.depot(app, func(place *depot.Depot) error {
		entry, err := place.Connect(ctx, c.Name, lockfile.Remote{Address: c.Address, Pin: c.PeerPin, Cert: c.Cert, Key: c.Key})
		if err != nil {
			return err
		}
		if app.cli.JSON {
			printJSON(app.process.stdout, entry)
			return nil
		}
		fmt.Fprintf(app.process.stdout, "connected to %s %s at %s\n  its key is SHA-256 %s, in %s\n", entry.Name, entry.Version, c.Address, c.PeerPin, place.Lock.Path())
		return nil
	})
}
