//go:build !unix

package htpasswd

import (
	"io/fs"
	"os"

	"github.com/rekey-host/rekey/sdk"
)

// flock is refused: without it two processes could lose lines.
func flock(*os.File) error {
	return sdk.Errorf(sdk.Unsupported, "htpasswd: this system has no flock")
}

func likeness(draft *os.File, _ string, info fs.FileInfo) error { return draft.Chmod(info.Mode()) }

func identityOf(info fs.FileInfo) identity {
	return identity{size: info.Size(), modified: info.ModTime().UnixNano()}
}

func openNow(path string) (*os.File, error) { return os.Open(path) }

func obstacles(string, string, fs.FileInfo) []sdk.Finding {
	return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.Unsupported, Message: "this system has no flock"}}
}
