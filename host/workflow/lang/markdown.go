package lang

import (
	"fmt"
	"strings"
)

// Markdown is the whole reference as one page: every name by where it may be used,
// with its parameters and its example, and the types that scripts may write.
func Markdown(table *Table) string {
	var out strings.Builder
	out.WriteString("# The language of rekey\n\nScripts are Starlark. These are the names that rekey adds, by the part of a script that may use them.\n")
	where := ""
	for _, doc := range append(Docs(table), Statements()...) {
		if doc.Where != where {
			where = doc.Where
			fmt.Fprintf(&out, "\n## %s%s\n", strings.ToUpper(where[:1]), where[1:])
		}
		out.WriteString(doc.markdown())
	}
	out.WriteString("\n## Types\n\n```text\n" + TypesPage() + "```\n")
	return out.String()
}

// markdown is the part of the page about one name.
func (d Doc) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n### `%s`\n\n", d.Name)
	if d.Signature != d.Name {
		fmt.Fprintf(&out, "```python\n%s\n```\n\n", d.Signature)
	}
	out.WriteString(escaped(d.Doc) + "\n")
	if d.Later != "" {
		out.WriteString("\nIt comes later: until then use " + escaped(d.Later) + ".\n")
	}
	if len(d.Params) > 0 {
		out.WriteString("\n| parameter | default | meaning |\n|---|---|---|\n")
	}
	for _, param := range d.Params {
		fallback := "required"
		switch param.Default {
		case "":
		case Unset:
			fallback = ""
		default:
			fallback = "`" + strings.ReplaceAll(param.Default, "|", `\|`) + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", param.Name, fallback, strings.ReplaceAll(escaped(param.Doc), "|", `\|`))
	}
	if d.Example != "" {
		fmt.Fprintf(&out, "\n```python\n%s\n```\n", strings.TrimSpace(d.Example))
	}
	return out.String()
}

// escaped is text in which Markdown finds no marks of its own.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "[", `\[`, "<", `\<`, "`", "\\`").Replace(text)
}
