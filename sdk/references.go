package sdk

import (
	"fmt"
	"slices"
	"strings"
)

// References returns an error for the first entry of Egress or Paths that names
// no setting: it would silently grant nothing. An entry is a text of its own, or
// one setting in braces and nothing else.
func (d Description) References() error {
	for _, entry := range d.Egress {
		if err := d.reference("egress", entry, entry); err != nil {
			return err
		}
	}
	for _, entry := range d.Paths {
		path, write := strings.CutPrefix(entry, "write ")
		if !write {
			path, _ = strings.CutPrefix(entry, "run ")
		}
		if err := d.reference("paths", entry, path); err != nil {
			return err
		}
	}
	return nil
}

// reference judges what of an entry may stand for a setting.
func (d Description) reference(list, entry, text string) error {
	name, opened := strings.CutPrefix(text, "{")
	name, closed := strings.CutSuffix(name, "}")
	switch {
	case !strings.ContainsAny(text, "{}"):
		return nil
	case !opened || !closed || strings.ContainsAny(name, "{}"):
		return fmt.Errorf("%s: %q: an entry is one setting in braces, as {url}, or a text without any", list, entry)
	}
	at := slices.IndexFunc(d.Config, func(field Field) bool { return field.Name == name })
	switch {
	case at < 0:
		return fmt.Errorf("%s: %q names no setting", list, entry)
	case d.Config[at].Type == Secret:
		return fmt.Errorf("%s: %q is a secret: what a plugin may use is shown", list, entry)
	}
	return nil
}
