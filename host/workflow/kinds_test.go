package workflow

import (
	"strings"
	"testing"
)

// TestTheKindOfGenerateIsChecked in every branch, where it can be seen.
func TestTheKindOfGenerateIsChecked(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{``, ``}, // the plan asks the backend
		{`generator = p`, `step.generate: backend "phones" has no credential of kind ""; it has sip, voicemail`},
		{`kind = "sip", targets = [m]`, ``},
		{`kind = "fax"`, `step.generate: backend "phones" has no credential of kind "fax"; it has sip, voicemail`},
		{`kind = "spi"`, `it has sip, voicemail; did you mean "sip"?`},
		{`targets = [p]`, ``},
		{`kind = "sip"`, ``},
		{`targets = [m]`, ``},
		{`kind = which`, ``},
		{`targets = every`, ``},
	} {
		text := "p = backend(\"phones\")\nm = backend(\"memory\")\nwhich = \"sip\"\nevery = [m]\ndef rotate(user, step):\n    if user.login == \"zoe\":\n        v = step.generate(" + tt.args + ")\n    step.set(m, user.login, step.generate(targets = [m]))\n" +
			"workflow(users = rows([\"ann\"], key = \"login\"), rotate = rotate)\n"
		if got := problems(t, script(t, text)); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("step.generate(%s): %q, want %q", tt.args, got, tt.want)
		}
	}
}
