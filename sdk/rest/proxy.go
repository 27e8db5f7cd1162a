package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Proxy is an HTTP proxy on the way to a server: CONNECT where the server's
// scheme is https, forwarding where it is http. The zero Proxy means direct.
type Proxy struct {
	URL      string       // http://HOST:PORT or https://HOST:PORT
	User     string       // Basic; "": without
	Password secret.Value // of User
}

// The settings that say which proxy an instance uses.
const (
	proxySetting  = "proxy"
	proxyUser     = "proxy_user"
	proxyPassword = "proxy_password"
)

// ProxyFields are the settings of a proxy, for a Description. "{proxy}" belongs
// to its Egress.
func ProxyFields() []sdk.Field {
	return []sdk.Field{
		{Name: proxySetting, Type: sdk.URL, Doc: "an HTTP proxy on the way there, http://HOST:PORT or https://HOST:PORT; used for every host, this machine too; HTTPS_PROXY and its kin are not read"},
		{Name: proxyUser, Type: sdk.String, Doc: "who logs in at the proxy (Basic; in clear where the proxy is http://)"},
		{Name: proxyPassword, Type: sdk.Secret, Doc: "of that user"},
	}
}

// ProxyOf returns the proxy that settings of ProxyFields name.
func ProxyOf(config sdk.Config) Proxy {
	return Proxy{URL: config.Text(proxySetting), User: config.Text(proxyUser), Password: config.Secret(proxyPassword)}
}

// parse returns the proxy's URL with its login, nil without a proxy. What
// is wrong is said without quoting it, because it may hold a password.
func (p Proxy) parse() (*url.URL, error) {
	if p.URL == "" {
		if p.User != "" || p.Password.Present() {
			return nil, sdk.Errorf(sdk.InvalidConfig, "proxy_user and proxy_password: there is no proxy; set proxy")
		}
		return nil, nil
	}
	address, err := url.Parse(p.URL)
	switch {
	case err != nil:
		return nil, sdk.Errorf(sdk.InvalidConfig, "proxy: is not a URL; write http://HOST:PORT")
	case address.User != nil:
		return nil, sdk.Errorf(sdk.InvalidConfig, "proxy: has a login in it; use proxy_user and proxy_password")
	case address.Scheme != "http" && address.Scheme != "https":
		return nil, sdk.Errorf(sdk.InvalidConfig, "proxy: starts with neither http:// nor https://")
	case address.Hostname() == "":
		return nil, sdk.Errorf(sdk.InvalidConfig, "proxy: names no host; write http://HOST:PORT")
	case address.Path != "" && address.Path != "/" || address.RawQuery != "" || address.Fragment != "":
		return nil, sdk.Errorf(sdk.InvalidConfig, "proxy: has more than a host and a port; write http://HOST:PORT")
	case (p.User == "") != p.Password.Empty():
		return nil, sdk.Errorf(sdk.InvalidConfig, "proxy_user and proxy_password: give both or neither")
	}
	address.Path = ""
	if p.User != "" {
		address.User = url.UserPassword(p.User, p.Password.Reveal())
	}
	return address, nil
}

// secrets are what must not be said of the proxy's login.
func (p Proxy) secrets() []secret.Value {
	if p.User == "" {
		return nil
	}
	return append(authorization(Basic(p.User, p.Password)), p.Password)
}

// keepSecret refuses a proxy to which passwords would go in clear though the server
// is this machine.
func keepSecret(base, proxy *url.URL, insecure bool) error {
	if proxy == nil || base.Scheme != "http" || insecure || IsLoopback(proxy.Hostname()) {
		return nil
	}
	return sdk.Errorf(sdk.InsecureTransport, "url: http:// through the proxy %s would send passwords in clear; use https://, or insecure = True", proxy.Host)
}

// through sends every request of a transport to the proxy.
func through(transport *http.Transport, proxy *url.URL) {
	if proxy == nil {
		return
	}
	transport.Proxy = http.ProxyURL(proxy)
	transport.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode == http.StatusOK {
			return nil
		}
		return &noTunnel{answer.StatusCode}
	}
}

// noTunnel is a proxy's refusal of a CONNECT.
type noTunnel struct{ status int }

// Error says it without the proxy's own words.
func (n *noTunnel) Error() string {
	return fmt.Sprintf("HTTP %d %s to CONNECT", n.status, http.StatusText(n.status))
}
