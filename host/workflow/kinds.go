package workflow

import (
	"fmt"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

// accepts reports whether v is of the kind; what it says is not looked at.
func accepts(k lang.Kind, v starlark.Value) bool {
	if !k.Takes(v.Type()) {
		return false
	}
	if d, ok := v.(*starlark.Dict); ok && k != lang.KindAny {
		return misfit(k, values(d)) < 0 && misfit(lang.KindTexts, d.Keys()) < 0
	}
	all, _ := elements(v)
	return misfit(k, all) < 0
}

// misfit returns the index of the first element that is not of the kind that
// the container wants, or -1.
func misfit(k lang.Kind, all []starlark.Value) int {
	want := k.Element()
	for i, e := range all {
		if want != "" && !accepts(want, e) {
			return i
		}
	}
	return -1
}

// mismatch says why v is not of the kind. It names types, never values: a
// value may be what nobody should read in a log.
func mismatch(k lang.Kind, v starlark.Value) string {
	if all, ok := elements(v); ok {
		if i := misfit(k, all); i >= 0 {
			return fmt.Sprintf("element %d: %s", i+1, k.Element().Mismatch(all[i].Type()))
		}
	}
	if d, ok := v.(*starlark.Dict); ok && k.Takes(d.Type()) {
		for _, item := range d.Items() {
			if !is[starlark.String](item[0]) {
				return fmt.Sprintf("a key is %s, want string", item[0].Type())
			}
			if k.Element() != "" && !accepts(k.Element(), item[1]) {
				return fmt.Sprintf("value of %s: %s", item[0], k.Element().Mismatch(item[1].Type()))
			}
		}
	}
	return k.Mismatch(v.Type())
}

func is[T any](v starlark.Value) bool { _, ok := v.(T); return ok }

// elements returns the elements of a list or tuple.
func elements(v starlark.Value) ([]starlark.Value, bool) {
	switch v := v.(type) {
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

func values(d *starlark.Dict) []starlark.Value {
	items := d.Items()
	all := make([]starlark.Value, len(items))
	for i, item := range items {
		all[i] = item[1]
	}
	return all
}

// texts returns the elements of a list of strings.
func texts(v starlark.Value) []string {
	all, _ := elements(v)
	list := []string{}
	for _, e := range all {
		list = append(list, textOf(e))
	}
	return list
}

// textOf returns the text of a string; "" of all else.
func textOf(v starlark.Value) string { s, _ := starlark.AsString(v); return s }
