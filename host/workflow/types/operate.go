package types

import (
	"slices"

	"go.starlark.net/syntax"
)

// operate is the type of what an operator makes of two values; false: it makes
// nothing of any two kinds that they may be of.
func operate(op syntax.Token, left, right Type) (made Type, works bool) {
	if left == nil || right == nil {
		return operateHalf(op, left), true
	}
	for _, one := range left {
		for _, other := range right {
			next, does := operateKinds(op, one, other)
			if !does {
				continue
			}
			if works {
				next = made.or(next)
			}
			made, works = next, true
		}
	}
	return made, works
}

// operateHalf is what can be said if one of the two may be anything.
func operateHalf(op syntax.Token, left Type) Type {
	if op == syntax.PERCENT && left.is(tString) {
		return just(tString)
	}
	return nil
}

// operateKinds is operate of two kinds.
func operateKinds(op syntax.Token, one, other kind) (made Type, does bool) {
	numbers := isNumber(one.name) && isNumber(other.name)
	same := one.name == other.name
	is := func(names ...string) bool { return same && slices.Contains(names, one.name) }
	switch op {
	case syntax.PLUS:
		if is(tString, tBytes) {
			return just(one.name), true
		}
		if is(tList, tTuple) {
			return Type{{name: one.name, of: one.of.or(other.of)}}, true
		}
		return number(one, other), numbers
	case syntax.MINUS:
		if is(tSet) {
			return just(tSet), true
		}
		return number(one, other), numbers
	case syntax.STAR:
		return times(one, other)
	case syntax.SLASH:
		return just(tFloat), numbers
	case syntax.SLASHSLASH:
		return number(one, other), numbers
	case syntax.PERCENT:
		if one.name == tString {
			return just(tString), true
		}
		return number(one, other), numbers
	case syntax.PIPE:
		return just(one.name), is(tInt, tDict, tSet)
	case syntax.AMP, syntax.CIRCUMFLEX:
		return just(one.name), is(tInt, tSet)
	case syntax.LTLT, syntax.GTGT:
		return just(tInt), is(tInt)
	}
	return nil, true
}

func isNumber(name string) bool { return name == tInt || name == tFloat }

// number is the type of what two numbers make.
func number(one, other kind) Type {
	if one.name == tFloat || other.name == tFloat {
		return just(tFloat)
	}
	return just(tInt)
}

// times is operate of a multiplication.
func times(one, other kind) (made Type, does bool) {
	repeats := []string{tString, tBytes, tList, tTuple}
	switch {
	case isNumber(one.name) && isNumber(other.name):
		return number(one, other), true
	case one.name == tInt && slices.Contains(repeats, other.name):
		return Type{other}, true
	case other.name == tInt && slices.Contains(repeats, one.name):
		return Type{one}, true
	}
	return nil, false
}

// ordered reports whether two kinds have an order.
func ordered(one, other kind) bool {
	return isNumber(one.name) && isNumber(other.name) || one.name == other.name && slices.Contains([]string{tString, tBytes, tBool, tList, tTuple, tSet, tDate}, one.name)
}

// alike reports whether values of two kinds can be equal.
func alike(one, other kind) bool {
	return one.name == other.name || isNumber(one.name) && isNumber(other.name)
}

// contains reports whether one kind may be looked for in another.
func contains(in, what kind) bool {
	switch in.name {
	case tString, tBytes:
		return what.name == in.name || in.name == tBytes && what.name == tInt
	case tList, tTuple, tDict, tSet:
		return in.of == nil || slices.ContainsFunc(in.of, func(one kind) bool { return alike(one, what) })
	case tRange, tUser, tMatch:
		return true
	case tInt, tFloat, tBool, tNone, tFunction, tSecret, tDate, tVerdict:
		return false
	}
	return true
}
