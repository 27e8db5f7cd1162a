package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// span is a duration as flags take it: Go's, and days as 90d.
type span struct{ time.Duration }

// Decode reads a duration.
func (s *span) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
		return err
	}
	found, err := parseSpan(text)
	s.Duration = found
	return err
}

func parseSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if count, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(count) * 24 * time.Hour, nil
		}
	}
	found, err := time.ParseDuration(text)
	if err != nil || found < 0 {
		return 0, fmt.Errorf("%q is no duration: write 90d, 36h or 10m", text)
	}
	return found, nil
}

// moment is a point in time as flags take it: a day, a time, or how long ago.
type moment struct{ time.Time }

// Decode reads a moment; days and times are local ones.
func (m *moment) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("moment", &text); err != nil {
		return err
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02 15:04", time.RFC3339} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			m.Time = at
			return nil
		}
	}
	ago, err := parseSpan(text)
	if err != nil {
		return fmt.Errorf("%q is no time: write 2026-03-01, 2026-03-01T14:30, or how long ago as 30d", text)
	}
	m.Time = time.Now().Add(-ago)
	return nil
}
