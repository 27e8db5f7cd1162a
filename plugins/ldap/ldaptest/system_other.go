//go:build !linux

package ldaptest

import "os/exec"

func detach(*exec.Cmd) {}
