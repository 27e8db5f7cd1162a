package main_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
)

// TestSecretsOfCommandsAndCredentials: an unattended run reads the password of its
// administrator where the machine keeps it, and says plainly where it cannot.
func TestSecretsOfCommandsAndCredentials(t *testing.T) {
	j := newCloudJob(t, 1, smartcloudtest.Active, smartcloudtest.Options{})
	script := func(reference string) {
		j.write("cautious.star", strings.Replace(cautiousScript, `secret.env("CLOUD_PASSWORD")`, reference, 1))
	}
	run := []string{"run", "cautious.star", "url=" + j.sim.URL(), "--yes", "--new"}
	for reference, wrong := range map[string]string{
		`secret.command(["sh", "-c", "echo secret-on-stderr >&2; exit 3"])`: "command sh: exit status 3; run it by hand to see why",
		`secret.command(["no-such-program", "x"])`:                          "command no-such-program: ",
		`secret.command(["true"])`:                                          "command true: what it prints is empty",
		`secret.command([])`:                                                `argv names no program; write secret.command(["pass", "show", "NAME"])`,
		`secret.credential("cloud")`:                                        "credential cloud: CREDENTIALS_DIRECTORY is not set; have the service load it: LoadCredential=cloud:PATH",
		`secret.credential("../cloud")`:                                     `name "../cloud" is a path`,
	} {
		script(reference)
		if out := j.must(2, run...); !strings.Contains(out.stderr, wrong) || strings.Contains(out.stderr, "secret-on-stderr") {
			t.Errorf("%s: %s\nwant: %s", reference, out.stderr, wrong)
		}
	}
	script(`secret.command(["sh", "-c", "printf '%s\\n' \"$CLOUD_PASSWORD\""])`)
	j.must(0, run...)
	j.write("cloud", cloudAdmin+"\n")
	j.env = append(j.env, "CREDENTIALS_DIRECTORY="+j.dir)
	script(`secret.credential("cloud")`)
	j.must(0, run...)
	script(`{"$secret": "credential:cloud"}`)
	j.must(0, run...)
}
