//go:build draft

package backendtest

import "testing"

func serveIfChild(Options) {}

func startSelf(t *testing.T) plugin { t.Fatal("wire"); return nil }

func startProcess(t *testing.T, path string, args ...string) plugin { t.Fatal("wire"); return nil }
