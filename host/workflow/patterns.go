package workflow

import (
	"regexp"
	"regexp/syntax"
	"sync"
)

// maxPatterns is how many compiled patterns are kept.
const maxPatterns = 256

// patterns keeps compiled patterns. It is safe for concurrent use.
type patterns struct {
	mu    sync.Mutex
	known map[string]compiled
}

// compiled is a pattern and the length of its program.
type compiled struct {
	*regexp.Regexp
	size int
}

func (p *patterns) compile(pattern string) (compiled, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if compiled, ok := p.known[pattern]; ok {
		return compiled, nil
	}
	x, err := compilePattern(pattern)
	if err != nil {
		return compiled{}, err
	}
	if p.known == nil || len(p.known) >= maxPatterns {
		p.known = map[string]compiled{}
	}
	p.known[pattern] = x
	return x, nil
}

func compilePattern(pattern string) (compiled, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return compiled{}, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return compiled{}, err
	}
	x, err := regexp.Compile(pattern)
	return compiled{x, len(program.Inst)}, err
}
