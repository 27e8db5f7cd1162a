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
func unproxied(lookupEnv func(string) (string, bool), description sdk.Description, values map[string]any, finding sdk.Finding) sdk.Finding {
	given, _ := values[proxySetting].(string)
	if finding.Code != sdk.Unreachable && finding.Code != sdk.Timeout || given != "" || !canUseProxy(description) || !elsewhere(description, values) {
		return finding
	}
	i := slices.IndexFunc(proxyVariables, func(name string) bool { value, _ := lookupEnv(name); return value != "" })
	if i < 0 {
		return finding
	}
	finding.Message += fmt.Sprintf(" (%s is set, and is not used: backends do not see the environment)", proxyVariables[i])
	finding.Fix = strings.TrimSuffix("name the proxy in the setting proxy, as http://HOST:PORT; or "+finding.Fix, "; or ")
	return finding
}

func canUseProxy(description sdk.Description) bool {
	return slices.ContainsFunc(description.Config, func(field sdk.Field) bool { return field.Name == proxySetting && field.Type == sdk.URL })
}

// elsewhere reports whether an instance reaches more than this machine, to
// which no request takes a proxy.
func elsewhere(description sdk.Description, values map[string]any) bool {
	return slices.ContainsFunc(description.Config, func(field sdk.Field) bool {
		text, _ := values[field.Name].(string)
		address, err := url.Parse(text)
		return field.Type == sdk.URL && text != "" && (err != nil || !rest.IsLoopback(address.Hostname()))
	})
}
