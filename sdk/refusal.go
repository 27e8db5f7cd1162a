package sdk

import (
	"maps"
	"slices"
	"strings"
)

// Refusal returns why a backend of this description is not asked for an operation: a
// verb, kind, hash format or option that it does not declare, a must_change that it
// declares it cannot do, no account, no value where there has to be one, or a change
// without its old value. It is nil for all others. serve asks it before a backend sees
// an operation, a Verify among them.
//
// A first attempt is refused for good. The first of several may have met another
// version of the plugin, which took it: the refusal of a later one says nothing of
// that, and its code is not Definite.
func (d Description) Refusal(op Operation) *Error {
	failure := d.undeclared(op)
	if failure != nil && op.Attempt > 1 {
		failure.Code = PermissionDenied
	}
	return failure
}

func (d Description) undeclared(op Operation) *Error {
	switch {
	case op.Account == "":
		return Errorf(InvalidOperation, "the account is empty")
	case !d.offers(op.Verb):
		return Errorf(Unsupported, "this backend has no %s", op.Verb)
	case !d.HasKind(op.Kind) && (op.Kind != "" || op.Verb.kinded()):
		return d.noKind(op.Kind)
	case op.HashFormat != "" && op.Verb != Set:
		return Errorf(Unsupported, "hash_format %q: a %s takes a plain value", op.HashFormat, op.Verb)
	case op.HashFormat != "" && !slices.Contains(d.HashFormats, op.HashFormat):
		return Errorf(Unsupported, "hash_format %q: this backend takes %q", op.HashFormat, d.HashFormats)
	case op.MustChange != nil && *op.MustChange && d.MustChange != nil && !*d.MustChange:
		return Errorf(Unsupported, "must_change: this backend cannot ask for a change")
	case op.Verb.kinded() && op.Verb != Reset && op.Value.Empty():
		return Errorf(InvalidOperation, "the value is empty")
	case op.Verb == Change && !op.Old.Present():
		return Errorf(InvalidOperation, "a change needs the old value")
	}
	return d.noOption(op.Options)
}

// offers is Does, and of Verify, which is an ability and stands among no verbs, Can.
func (d Description) offers(verb Verb) bool {
	if verb == Verify {
		return d.Can(CanVerify)
	}
	return d.Does(verb)
}

func (d Description) noKind(kind string) *Error {
	if len(d.Kinds) == 0 {
		return Errorf(InvalidOperation, "kind %q: an account has one credential here, whose kind is \"\"", kind)
	}
	var names []string
	for _, has := range d.Kinds {
		names = append(names, has.Name)
	}
	return Errorf(InvalidOperation, "kind %q: want %s", kind, strings.Join(names, ", "))
}

// noOption refuses the first option that is not declared.
func (d Description) noOption(options map[string]any) *Error {
	if len(options) == 0 { // as most operations: this is on the way of each
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !slices.ContainsFunc(d.Options, func(field Field) bool { return field.Name == name }) {
			return Errorf(InvalidOperation, "option %q: this backend has no such option", name)
		}
	}
	return nil
}

// kinded reports whether an operation of the verb is about one credential of an
// account, and not about the account.
func (v Verb) kinded() bool {
	return v == Set || v == Change || v == Handover || v == Reset || v == Verify
}
