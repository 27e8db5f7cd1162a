package main_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

const proxyLogin = "Pr0xy-l0gin-c4nary"

// newProxiedJob is a job whose system has a name that only a proxy knows, and
// whose proxy wants a login.
func newProxiedJob(t *testing.T) (*cloudJob, *resttest.Proxy) {
	t.Helper()
	j := newCloudJob(t, 3, smartcloudtest.Pending, smartcloudtest.Options{})
	there, err := url.Parse(j.sim.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := resttest.NewProxy(func(string) string { return there.Host })
	t.Cleanup(proxy.Close)
	proxy.Demand(rest.Basic("jo", secret.New(proxyLogin)).Reveal())
	j.env = append(j.env, "PROXY_PASSWORD="+proxyLogin)
	return j, proxy
}

// proxied are the arguments of a run through a proxy.
func proxied(proxy string, more ...string) []string {
	return append([]string{"run", "@rekey/smartcloud_initialise.star", "--yes", "url=http://apps.acme.test", "insecure=true", "admin=admin@acme.example",
		"accounts=accounts.txt", "out=out.csv", "proxy=" + proxy, "proxy_user=jo"}, more...)
}

func TestAShippedScriptGoesThroughTheProxyThatItIsGiven(t *testing.T) {
	j, proxy := newProxiedJob(t)
	j.env = append(j.env, "HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1")
	if o := j.outcome(0, proxied(proxy.URL)...); o.Counts["done"] != 3 {
		t.Errorf("counts %v", o.Counts)
	}
	if asked := proxy.Asked(); len(asked) < 6 || !strings.Contains(asked[0], " http://apps.acme.test/") {
		t.Errorf("the proxy was asked %q", asked)
	}
	proxy.Demand("another")
	r := j.must(2, proxied(proxy.URL, "--new")...)
	if want := "the proxy " + proxy.Listener.Addr().String() + " wants a login (HTTP 407)"; !strings.Contains(r.stderr, want) {
		t.Errorf("got %q, want %q", r.stderr, want)
	}
	if strings.Contains(r.stdout+r.stderr, proxyLogin) {
		t.Error("the proxy's password is in what was said")
	}
}

func TestALoginInTheProxysURLIsRefused(t *testing.T) {
	j, _ := newProxiedJob(t)
	r := j.must(2, proxied("http://jo:"+proxyLogin+"@127.0.0.1:1")...)
	if !strings.Contains(r.stderr, "proxy: the URL holds a login; give it in settings of its own") || strings.Contains(r.stderr, proxyLogin) {
		t.Errorf("got %q", r.stderr)
	}
}

// TestAProxyOfTheEnvironmentThatIsNotUsedIsSaid: other programs would have
// reached the system, so the message that it cannot be reached says why.
func TestAProxyOfTheEnvironmentThatIsNotUsedIsSaid(t *testing.T) {
	settings := map[string]string{
		"smartcloud": `admin = "a@acme.example", password = secret.env("W")`,
		"broadworks": `user = "a", password = secret.env("W"), provider = "p", group = "g"`,
		"openiam":    ``,
		"kendox":     `user = "a", password = secret.env("W")`,
	}
	kinds := map[string]string{"broadworks": "web"}
	paths := map[string]string{"broadworks": "/api/v2", "openiam": "/s/ProvisionControllerService"}
	tests := []struct {
		name, env, backend, host, proxy string
		want                            string // the variable that is named; "": none
	}{
		{"smartcloud", "HTTPS_PROXY=http://u:s3cret@h:1", "smartcloud", "apps.acme.invalid", "", "HTTPS_PROXY"},
		{"broadworks", "https_proxy=http://u:s3cret@h:1", "broadworks", "apps.acme.invalid", "", "https_proxy"},
		{"openiam", "HTTP_PROXY=http://u:s3cret@h:1", "openiam", "apps.acme.invalid", "", "HTTP_PROXY"},
		{"kendox", "ALL_PROXY=http://u:s3cret@h:1", "kendox", "apps.acme.invalid", "", "ALL_PROXY"},
		{"no variable", "NO_PROXY=x", "smartcloud", "apps.acme.invalid", "", ""},
		{"an empty one", "HTTPS_PROXY=", "smartcloud", "apps.acme.invalid", "", ""},
		{"this machine", "HTTPS_PROXY=http://u:s3cret@h:1", "smartcloud", "127.0.0.1:1", "", ""},
		{"a proxy is used", "HTTPS_PROXY=http://u:s3cret@h:1", "smartcloud", "apps.acme.invalid", "http://127.0.0.1:1", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t, "W=x", test.env)
			p.write("job.star", fmt.Sprintf("target = backend(%q, url = %q, proxy = %q, %s)\n"+
				"workflow(users = rows([\"ann\"], key = \"login\"), rotate = lambda user, step: step.set(target, user.login, step.generate(), kind = %q))\n",
				test.backend, "https://"+test.host+paths[test.backend], test.proxy, settings[test.backend], kinds[test.backend]))
			r := p.must(2, "plan", "job.star")
			want := 0
			if test.want != "" {
				want = 1
			}
			if n := strings.Count(r.stderr, "("+test.want+" is set, and is not used"); test.want != "" && n != 1 {
				t.Errorf("%d times said, want once: %s", n, r.stderr)
			}
			if n := strings.Count(r.stderr, "name the proxy in the setting proxy"); n != want || strings.Contains(r.stderr, "s3cret") || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("%d times said how, want %d: %s", n, want, r.stderr)
			}
		})
	}
}
