package catalog

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
)

// cacheFormat changes when a description is stored in another way.
const cacheFormat = 2

// stored is a description in a file of the cache, whose name has the digest of
// the executable that gave it.
type stored struct {
	Format      int
	Description sdk.Description
}

// cacheFile is by name too: a program may be several plugins, as it is called.
func (c *Catalog) cacheFile(name, digest string) string {
	return filepath.Join(c.options.CacheDir, "describe-"+name+"-"+digest+".json")
}

// cached returns the description that the executable of this digest gave, so called. A
// cache that cannot be read is empty.
func (c *Catalog) cached(name, digest string) (sdk.Description, bool) {
	if c.options.CacheDir == "" || digest == "" {
		return sdk.Description{}, false
	}
	text, err := os.ReadFile(c.cacheFile(name, digest))
	if err != nil {
		return sdk.Description{}, false
	}
	var s stored
	if json.Unmarshal(text, &s) != nil || s.Format != cacheFormat {
		return sdk.Description{}, false
	}
	return s.Description, typed(s.Description.Config) && typed(s.Description.Options)
}

// typed gives defaults the types back that JSON does not have.
func typed(fields []sdk.Field) bool {
	for index, field := range fields {
		values, problems := sdk.Fill([]sdk.Field{{Name: field.Name, Type: field.Type, Choices: field.Choices, Default: field.Default}}, nil)
		if len(problems) > 0 {
			return false
		}
		fields[index].Default = values[field.Name]
	}
	return true
}

// keep stores a description. Failing to write the cache harms nothing.
func (c *Catalog) keep(name, digest string, description sdk.Description) {
	if c.options.CacheDir == "" || digest == "" {
		return
	}
	description.Config, description.Options = untyped(description.Config), untyped(description.Options)
	text, err := json.Marshal(stored{cacheFormat, description})
	if err != nil || os.MkdirAll(c.options.CacheDir, 0o700) != nil {
		return
	}
	file, err := os.CreateTemp(c.options.CacheDir, "describe-*.new")
	if err != nil {
		return
	}
	_, err = file.Write(text)
	if cerr := file.Close(); err != nil || cerr != nil || os.Rename(file.Name(), c.cacheFile(name, digest)) != nil {
		_ = os.Remove(file.Name())
	}
}

func untyped(fields []sdk.Field) []sdk.Field {
	out := append([]sdk.Field(nil), fields...)
	for index := range out {
		if span, ok := out[index].Default.(time.Duration); ok {
			out[index].Default = span.String()
		}
	}
	return out
}

// digest returns launch.Digest of a program, which is read again only if it
// looks changed: launch compares it with the started program. What a script is
// can change without its own file.
func (c *Catalog) digest(path string, now fs.FileInfo) (string, error) {
	c.mu.Lock()
	seen, ok := c.digests[path]
	c.mu.Unlock()
	if ok && os.SameFile(seen.info, now) && seen.info.Size() == now.Size() && seen.info.ModTime().Equal(now.ModTime()) {
		return seen.digest, nil
	}
	digest, script, err := launch.Digest(path)
	if err != nil || script {
		return digest, err
	}
	c.mu.Lock()
	c.digests[path] = digested{now, digest}
	c.mu.Unlock()
	return digest, nil
}

type digested struct {
	info   fs.FileInfo
	digest string
}
