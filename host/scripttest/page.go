package scripttest

import (
	"fmt"
	"html"
	"strings"

	"github.com/rekey-host/rekey/host/workflow"
)

// Page shows which lines of scripts were executed, for a browser.
func Page(files []workflow.CoveredFile) string {
	var out strings.Builder
	out.WriteString(`<!doctype html><meta charset="utf-8"><title>Coverage</title><style>body{font:14px sans-serif;margin:2em}pre{font:13px monospace;line-height:1.4}
.hit{background:#e6ffe6}.miss{background:#ffe0e0}.half{background:#fff6d0}i{color:#888;display:inline-block;width:7em;text-align:right;padding-right:1em;font-style:normal}</style>` + "\n")
	for _, file := range files {
		lines, branches := file.Share()
		fmt.Fprintf(&out, "<h2>%s</h2><p>%.1f %% of lines, %.1f %% of branches</p>\n<pre>", html.EscapeString(file.Name), lines, branches)
		half := halfTaken(file)
		for i, line := range strings.Split(strings.TrimSuffix(file.Text, "\n"), "\n") {
			writeLine(&out, file, half, i+1, line)
		}
		out.WriteString("</pre>\n")
	}
	return out.String()
}

// halfTaken are the lines with a condition that went one way only.
func halfTaken(file workflow.CoveredFile) map[int]string {
	half := map[int]string{}
	for _, branch := range file.Branches {
		switch {
		case branch.True == 0 && branch.False > 0:
			half[branch.Line] = "never true"
		case branch.False == 0 && branch.True > 0:
			half[branch.Line] = "never false"
		}
	}
	return half
}

func writeLine(out *strings.Builder, file workflow.CoveredFile, half map[int]string, number int, line string) {
	count, counted := file.Lines[number]
	class, margin := "", ""
	switch {
	case !counted:
	case count == 0:
		class = "miss"
	case half[number] != "":
		class = "half"
	default:
		class = "hit"
	}
	if counted {
		margin = fmt.Sprintf("%d×", count)
	}
	fmt.Fprintf(out, "<span class=%q title=%q><i>%s %d</i>%s</span>\n", class, half[number], margin, number, html.EscapeString(line))
}
