package sdk_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// TestAReferenceNamesASetting: what names none would grant nothing, and nobody
// would be told.
func TestAReferenceNamesASetting(t *testing.T) {
	t.Parallel()
	config := []sdk.Field{{Name: "url", Type: sdk.URL}, {Name: "file", Type: sdk.Path}, {Name: "key", Type: sdk.Secret}}
	for _, c := range []struct{ egress, path, want string }{
		{egress: "{url}"}, {egress: "api.example.com:443"}, {path: "{file}"}, {path: "write {file}"}, {path: "run {file}"}, {path: "/etc/krb5.conf"},
		{egress: "{urls}", want: `egress: "{urls}" names no setting`},
		{egress: "{host}:{port}", want: "one setting in braces"},
		{egress: "https://{url}", want: "one setting in braces"},
		{path: "write {fil}", want: `paths: "write {fil}" names no setting`},
		{path: "run {}", want: `paths: "run {}" names no setting`},
		{path: "{file}/x", want: "one setting in braces"},
		{path: "{key}", want: "is a secret"},
	} {
		d := sdk.Description{Config: config}
		if c.egress != "" {
			d.Egress = []string{c.egress}
		}
		if c.path != "" {
			d.Paths = []string{c.path}
		}
		err := d.References()
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: %v, want %q", c.egress, c.path, err, c.want)
		}
	}
}
