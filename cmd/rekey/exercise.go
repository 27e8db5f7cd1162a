package main

import (
	"github.com/alecthomas/kong"

	"github.com/rekey-host/rekey/host"
)

// exercising are the flags of the commands that plan which say how the script is tried before.
type exercising struct {
	Exercise   exerciseFlag `help:"Try rotate and the reports' rows with every user on simulated steps, not only the first 100,000; =fail:set=5% also with that share of sets refused, =crash also with each answer lost and the user resumed." placeholder:"HOW" xor:"exercise"`
	NoExercise bool         `help:"Try rotate with the first user of each wave only." xor:"exercise"`
}

func (f exercising) options() host.Exercise {
	if f.NoExercise {
		return host.Exercise{Off: true}
	}
	return f.Exercise.Exercise
}

// exerciseFlag is a flag that may have a value.
type exerciseFlag struct{ host.Exercise }

// IsBool says that the flag needs no value.
func (exerciseFlag) IsBool() bool { return true }

// Decode reads the value, if there is one.
func (f *exerciseFlag) Decode(ctx *kong.DecodeContext) (err error) {
	f.Exercise, err = host.ParseExercise(optionalValue(ctx))
	return err
}
