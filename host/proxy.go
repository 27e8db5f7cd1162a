package host

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// proxySetting is what plugins that can go through a proxy call theirs.
const proxySetting = "proxy"

// proxyVariables name a proxy to other programs. Plugins do not see them.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}

// unproxied completes a finding about a target that cannot be reached: where
// other programs would go through a proxy, and this instance could, it says so.
// The variable's value is not quoted: it may hold a login.
func unproxied(lookupEnv func(string) (string, bool), d sdk.Description, values map[string]any, f sdk.Finding) sdk.Finding {
	given, _ := values[proxySetting].(string)
	if f.Code != sdk.Unreachable && f.Code != sdk.Timeout || given != "" || !canUseProxy(d) || !elsewhere(d, values) {
		return f
	}
	i := slices.IndexFunc(proxyVariables, func(name string) bool { v, _ := lookupEnv(name); return v != "" })
	if i < 0 {
		return f
	}
	f.Message += fmt.Sprintf(" (%s is set, and is not used: backends do not see the environment)", proxyVariables[i])
	f.Fix = strings.TrimSuffix("name the proxy in the setting proxy, as http://HOST:PORT; or "+f.Fix, "; or ")
	return f
}

func canUseProxy(d sdk.Description) bool {
	return slices.ContainsFunc(d.Config, func(f sdk.Field) bool { return f.Name == proxySetting && f.Type == sdk.URL })
}

// elsewhere reports whether an instance reaches more than this machine, to
// which nobody takes a proxy.
func elsewhere(d sdk.Description, values map[string]any) bool {
	return slices.ContainsFunc(d.Config, func(f sdk.Field) bool {
		text, _ := values[f.Name].(string)
		u, err := url.Parse(text)
		return f.Type == sdk.URL && text != "" && (err != nil || !rest.IsLoopback(u.Hostname()))
	})
}
