package timed

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"
)

var errChance, errOther = errors.New("by chance"), errors.New("another")

// failing is a connector whose first connections fail.
type failing struct {
	driver.Connector
	failures []error
	tried    int
}

func (f *failing) Connect(context.Context) (driver.Conn, error) {
	f.tried++
	if f.tried <= len(f.failures) {
		return nil, f.failures[f.tried-1]
	}
	return nil, nil
}

// TestAConnectionThatFailsByChanceIsTriedAgain, and no other, and not without an end.
func TestAConnectionThatFailsByChanceIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		failures []error
		want     error
		tried    int
	}{
		{nil, nil, 1},
		{[]error{errChance}, nil, 2},
		{[]error{errOther}, errOther, 1},
		{[]error{errChance, errOther}, errOther, 2},
		{[]error{errChance, errChance, errChance}, errChance, tries},
	} {
		of := &failing{failures: c.failures}
		if _, err := Again(of, errChance).Connect(t.Context()); !errors.Is(err, c.want) || of.tried != c.tried {
			t.Errorf("%v: %v after %d, want %v after %d", c.failures, err, of.tried, c.want, c.tried)
		}
	}
}
