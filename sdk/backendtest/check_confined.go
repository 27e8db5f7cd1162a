package backendtest

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// worksConfined does an operation, and says what a process that may use no more than it
// declares would have needed.
func worksConfined(probe *probe) {
	config := filled(probe.target.Config, probe.d)
	confinement, err := probe.o.Confine(probe.d, config)
	if err != nil {
		probe.stop("%v", err)
	}
	account := probe.target.Accounts[0]
	probe.guard(func() { probe.wantHolds(account, known(probe, probe.open(), account), "a set while it is confined") })
	if len(probe.problems) == 0 {
		return
	}
	for _, field := range slices.Sorted(maps.Keys(config.Values)) {
		for _, lacking := range undeclared(probe.d, field, config) {
			probe.fail("%s", lacking)
		}
	}
	granted := "nothing"
	if len(confinement.Grants) > 0 {
		granted = strings.Join(confinement.Grants, ", ")
	}
	probe.fail("confined to %s, as in a run: what else it needs has to stand in the description's egress and paths", granted)
}

// undeclared says of a setting that it is a path or an address, and that the
// description grants neither.
func undeclared(description sdk.Description, field string, config sdk.Config) []string {
	name := "{" + field + "}"
	inPaths := slices.ContainsFunc(description.Paths, func(entry string) bool { return strings.HasSuffix(entry, name) })
	inEgress := slices.Contains(description.Egress, name)
	texts := config.List(field)
	if text := config.Text(field); text != "" {
		texts = []string{text}
	}
	var lacking []string
	for _, text := range texts {
		switch {
		case filepath.IsAbs(text) && !inPaths:
			lacking = append(lacking, fmt.Sprintf("the setting %s is the path %s, which paths does not declare: add %q, or %q to write there", field, text, name, "write "+name))
		case isAddress(text) && !inEgress:
			lacking = append(lacking, fmt.Sprintf("the setting %s is the address %s, whose port egress does not declare: add %q", field, withoutUser(text), name))
		}
	}
	return lacking
}

// isAddress tells a URL of a machine, or HOST:PORT, from other texts.
func isAddress(text string) bool {
	if address, err := url.Parse(text); err == nil && address.Host != "" {
		return true
	}
	_, port, err := net.SplitHostPort(text)
	return err == nil && port != ""
}

// withoutUser is an address without the login that a URL may hold.
func withoutUser(text string) string {
	address, err := url.Parse(text)
	if err != nil || address.User == nil {
		return text
	}
	address.User = nil
	return address.String()
}
