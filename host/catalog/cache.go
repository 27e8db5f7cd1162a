package catalog

import (
	"io/fs"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// cacheFormat changes when a description is stored in another way.
const cacheFormat = 2

// stored is a description in a file of the cache, whose name has the digest of
// the executable that gave it.
type stored struct {
	Format      int
	Around      string // launch.Surroundings of then
	Description sdk.Description
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

func untyped(fields []sdk.Field) []sdk.Field {
	out := append([]sdk.Field(nil), fields...)
	for index := range out {
		if span, ok := out[index].Default.(time.Duration); ok {
			out[index].Default = span.String()
		}
	}
	return out
}

type digested struct {
	info   fs.FileInfo
	digest string
}
