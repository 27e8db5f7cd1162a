package workflow

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/tree"
)

// What the interpreter says is about types; here is what to do about it.

// emptyCell is why there is a None.
const emptyCell = "an empty cell of a typed column is None, and so is a pattern that does not match: ask first, as in "

// evaluationFix is what to do about an error of an evaluation. node is the
// operation that failed, nil if unknown.
func evaluationFix(message string, node syntax.Node) string {
	if left, right, is := mixedTypes(message); is {
		return mixedFix(left, right, sides(node))
	}
	switch {
	case strings.HasPrefix(message, "key ") && strings.HasSuffix(message, " not in dict"):
		if indexExpr, ok := node.(*syntax.IndexExpr); ok && tree.Spelt(indexExpr.X) != "" {
			return fmt.Sprintf("add it to %s, or write %s.get(…, what to take instead)", tree.Spelt(indexExpr.X), tree.Spelt(indexExpr.X))
		}
		return "add it to the dict, or write .get(…, what to take instead)"
	case strings.HasPrefix(message, "duplicate key: "):
		return "take one of them out"
	case strings.HasPrefix(message, "NoneType has no .") || strings.HasPrefix(message, "unhandled index operation NoneType"):
		return emptyCell + "if x != None: …"
	}
	return ""
}

// mixedTypes reads how the interpreter says that an operator does not take two
// types.
func mixedTypes(message string) (left, right string, is bool) {
	text, unknown := strings.CutPrefix(message, "unknown binary op: ")
	if words := strings.Fields(text); unknown && len(words) >= 3 {
		return words[0], words[len(words)-1], true
	}
	if words := compared(message); words != nil {
		return words[0], words[2], true
	}
	return "", "", false
}

// compared reads how the interpreter says that two types have no order: it returns
// the one, the operator and the other; nil: it says something else.
func compared(message string) []string {
	text, is := strings.CutSuffix(message, " not implemented")
	words := strings.Fields(text)
	if !is || len(words) != 3 || !slices.Contains([]string{"<", "<=", ">", ">="}, words[1]) {
		return nil
	}
	return words
}

// inPlainWords is what the interpreter says, where its own words sound like something that
// rekey lacks.
func inPlainWords(message string) string {
	if words := compared(message); words != nil {
		return strings.Join(words, " ") + ": the two have no order"
	}
	return message
}

// sides are the operands of an operation, as far as they can be named.
func sides(node syntax.Node) (texts [2]string) {
	if binaryExpr, ok := node.(*syntax.BinaryExpr); ok {
		texts = [2]string{tree.Spelt(binaryExpr.X), tree.Spelt(binaryExpr.Y)}
	}
	return texts
}

// mixedFix is for an operation on two types.
func mixedFix(left, right string, texts [2]string) string {
	name := func(side int, other string) string {
		if texts[side] != "" {
			return texts[side]
		}
		return other
	}
	switch {
	case left == "NoneType":
		return emptyCell + "if " + name(0, "x") + " != None: …"
	case right == "NoneType":
		return emptyCell + "if " + name(1, "x") + " != None: …"
	case left == "date" && right == "string":
		return fmt.Sprintf("write str(%s), which is 2006-01-02, or use its .year, .month and .day", name(0, "x"))
	case left == "string" && right == "date":
		return fmt.Sprintf("write str(%s), which is 2006-01-02, or use its .year, .month and .day", name(1, "x"))
	case left == "date" || right == "date":
		return "days are compared with days, and not reckoned with; .year, .month and .day are numbers"
	case left != right && (left == "string" || right == "string"):
		return "str(x) makes a text of a value, int(x) a number of digits"
	}
	return ""
}
