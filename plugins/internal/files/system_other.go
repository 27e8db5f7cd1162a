//go:build !unix

package files

import (
	"io/fs"
	"os"

	"github.com/rekey-host/rekey/sdk"
)

// Flock is refused: without it two processes could lose lines.
func Flock(*os.File) error {
	return sdk.Errorf(sdk.Unsupported, "this system has no Flock")
}

func Likeness(draft *os.File, _ string, info fs.FileInfo) error { return draft.Chmod(info.Mode()) }

func IdentityOf(info fs.FileInfo) Identity {
	return Identity{size: info.Size(), modified: info.ModTime().UnixNano()}
}

func OpenNow(path string) (*os.File, error) { return os.Open(path) }

func Obstacles(string, string, fs.FileInfo) []sdk.Finding {
	return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.Unsupported, Message: "this system has no Flock"}}
}
