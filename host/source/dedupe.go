package source

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/rekey-host/rekey/host/diag"
)

// Keep says which of the rows of one key are kept.
type Keep string

// What may be kept.
const (
	First Keep = "first"
	Last  Keep = "last"
)

// Dedupe returns a source with one row a key, the first or the last of them;
// keys that differ in case are one. It warns of the rows that it leaves out. It
// keeps 16 bytes a key in memory, and for the last ones it reads twice.
func Dedupe(src Source, keep Keep) Source {
	return &deduped{Source: src, keep: keep, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

type deduped struct {
	Source
	keep  Keep
	seeds [2]maphash.Seed
	said  []string
}

var _ Fingerprinter = (*deduped)(nil)

// Fingerprints returns those of the source.
func (d *deduped) Fingerprints(ctx context.Context) ([]Fingerprint, error) {
	return Fingerprints(ctx, d.Source)
}

// Warnings returns the source's, and how many rows were left out.
func (d *deduped) Warnings() []string { return append(Warnings(d.Source), d.said...) }

// keyHash tells keys apart: two of a million have the same by a chance of 1 in 10^26.
type keyHash [2]uint64

func (d *deduped) hash(key string) keyHash {
	key = diag.Fold(key)
	return keyHash{maphash.String(d.seeds[0], key), maphash.String(d.seeds[1], key)}
}

// Rows yields the rows that are kept.
func (d *deduped) Rows(ctx context.Context, yield func(Row) error) error {
	kept := map[keyHash]int{} // lines of the rows that are kept
	if d.keep == Last {
		if err := d.Source.Rows(ctx, func(row Row) error { kept[d.hash(row.Key)] = row.Line; return nil }); err != nil {
			return err
		}
	}
	left, first := 0, ""
	err := d.Source.Rows(ctx, func(row Row) error {
		id := d.hash(row.Key)
		line, known := kept[id]
		if !known {
			kept[id], line = row.Line, row.Line
		}
		if line == row.Line {
			return yield(row)
		}
		if left++; left == 1 {
			first = fmt.Sprintf("%s:%d: dedupe=%q: the row of key %q is left out, for the one %s", row.File, row.Line, d.keep, row.Key, At(row.File, line))
		}
		return nil
	})
	d.said = nil
	if left > 1 {
		first += fmt.Sprintf("; so it is %d times in all", left)
	}
	if left > 0 {
		d.said = []string{first}
	}
	return err
}
