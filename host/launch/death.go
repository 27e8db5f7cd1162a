package launch

import (
	"slices"
	"strings"
)

// cause is the line among a dead plugin's last ones that says why it died: that
// of a panic in Go, of an exception in Python, of an error in Node; else the
// last. "" if it said nothing.
func cause(lines []string) string {
	for _, find := range []func([]string) string{panicked, raised, thrown} {
		if line := find(lines); line != "" {
			return line
		}
	}
	return last(lines)
}

// last is what the last line says; "" if there is no line.
func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	text := lines[len(lines)-1]
	if entry, ok := parseEntry(text); ok {
		return oneLine(entry.message)
	}
	return strings.TrimSpace(text)
}

// panicked is the first line of a panic, or of what the runtime of Go ends a
// program for.
func panicked(lines []string) string {
	for _, line := range lines {
		if fatal(line) {
			return line
		}
	}
	return ""
}

// fatal reports whether a line is the first of what the runtime of Go says when it ends
// a program. The stacks of all goroutines follow, which may be many lines.
func fatal(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
}

// dumped reports whether there are stacks of goroutines among the lines.
func dumped(lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "goroutine ") && strings.HasSuffix(line, "]:")
	})
}

// raised is the line after the last traceback: of exceptions that others led to,
// the one that ended the program.
func raised(lines []string) string {
	found, inside := "", false
	for _, line := range lines {
		switch {
		case strings.HasSuffix(line, "Traceback (most recent call last):"):
			inside = true
		case inside && !strings.HasPrefix(line, " "):
			found, inside = line, false
		}
	}
	return found
}

// thrown is what follows the place that Node shows of an error that it ends
// with, which it marks below.
func thrown(lines []string) string {
	found, marked, ended := "", false, false
	for _, line := range lines {
		switch mark := strings.TrimSpace(line); {
		case strings.HasPrefix(line, "Node.js v"):
			ended = true
		case marked:
			found, marked = line, false
		case strings.Trim(mark, "^") == "":
			marked = true
		}
	}
	if !ended {
		return ""
	}
	return found
}
