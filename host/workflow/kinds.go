package workflow

import (
	"fmt"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

// accepts reports whether v is of the kind, whatever its value.
func accepts(kind lang.Kind, value starlark.Value) bool {
	if !kind.Takes(value.Type()) {
		return false
	}
	if dict, ok := value.(*starlark.Dict); ok && kind != lang.KindAny {
		return misfit(kind, values(dict)) < 0 && misfit(lang.KindTexts, dict.Keys()) < 0
	}
	all, _ := elements(value)
	return misfit(kind, all) < 0
}

// misfit returns the index of the first element of another kind than the
// container wants, or -1.
func misfit(kind lang.Kind, all []starlark.Value) int {
	want := kind.Element()
	for i, value := range all {
		if want != "" && !accepts(want, value) {
			return i
		}
	}
	return -1
}

// mismatch says why v is not of the kind. It names types, never values: a
// value may be secret.
func mismatch(kind lang.Kind, value starlark.Value) string {
	if all, ok := elements(value); ok {
		if i := misfit(kind, all); i >= 0 {
			return fmt.Sprintf("element %d: %s", i+1, kind.Element().Mismatch(all[i].Type()))
		}
	}
	if dict, ok := value.(*starlark.Dict); ok && kind.Takes(dict.Type()) {
		for _, item := range dict.Items() {
			if !is[starlark.String](item[0]) {
				return fmt.Sprintf("a key is %s, want string", item[0].Type())
			}
			if kind.Element() != "" && !accepts(kind.Element(), item[1]) {
				return fmt.Sprintf("value of %s: %s", item[0], kind.Element().Mismatch(item[1].Type()))
			}
		}
	}
	return kind.Mismatch(value.Type())
}

func is[T any](value starlark.Value) bool { _, ok := value.(T); return ok }

// elements returns the elements of a list or tuple.
func elements(value starlark.Value) ([]starlark.Value, bool) {
	switch v := value.(type) {
	case starlark.Tuple:
		return v, true
	case *starlark.List:
		all := make([]starlark.Value, v.Len())
		for i := range all {
			all[i] = v.Index(i)
		}
		return all, true
	}
	return nil, false
}

func values(dict *starlark.Dict) []starlark.Value {
	items := dict.Items()
	all := make([]starlark.Value, len(items))
	for i, item := range items {
		all[i] = item[1]
	}
	return all
}

// texts returns the elements of a list of strings.
func texts(value starlark.Value) []string {
	all, _ := elements(value)
	list := []string{}
	for _, value := range all {
		list = append(list, textOf(value))
	}
	return list
}

// textOf returns the text of a string; "" of all else.
func textOf(value starlark.Value) string { text, _ := starlark.AsString(value); return text }
