package hashlog

// canary is a value with what texts are quoted for.
const canary = "c\"a\\n%y é"

// fatal is what tests, fuzzers and benchmarks are.
type fatal interface {
	Helper()
	Fatal(...any)
}

func must(t fatal, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
