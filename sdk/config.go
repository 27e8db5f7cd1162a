package sdk

import (
	"log/slog"
	"time"

	"github.com/rekey-host/rekey/sdk/secret"
)

// Config is the settings of one instance. Before a plugin sees it, it has been
// checked against Description.Config: required fields are there, types are
// right, defaults are filled in, paths are absolute.
type Config struct {
	Label   string                  // the instance's name in the script
	Values  map[string]any          // string, int64, bool, time.Duration or []string
	Secrets map[string]secret.Value // the fields of type Secret

	Concurrency int           // operations at once; at least 1
	Timeout     time.Duration // the deadline of one operation
	Log         *slog.Logger  // goes to the host, secrets redacted; never nil under serve
}

// Text returns a field of type String, Choice, Path or URL; "" if it is absent.
func (c Config) Text(name string) string { s, _ := c.Values[name].(string); return s }

// Int returns a field of type Int; 0 if it is absent.
func (c Config) Int(name string) int { n, _ := c.Values[name].(int64); return int(n) }

// Bool returns a field of type Bool; false if it is absent.
func (c Config) Bool(name string) bool { b, _ := c.Values[name].(bool); return b }

// Duration returns a field of type Duration; 0 if it is absent.
func (c Config) Duration(name string) time.Duration {
	d, _ := c.Values[name].(time.Duration)
	return d
}

// List returns a field of type List; nil if it is absent.
func (c Config) List(name string) []string { l, _ := c.Values[name].([]string); return l }

// Secret returns a field of type Secret; the zero Value if it is absent.
func (c Config) Secret(name string) secret.Value { return c.Secrets[name] }
