package http_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// exchange is one request as it has to come, and the answer that it gets.
type exchange struct {
	request string   // METHOD target
	lines   []string // headers that have to be there, then the body
	status  int
	headers map[string]string
	body    string
}

// conversation is a file of testdata: what is done, the exchanges that it takes, and
// what comes of it.
//
//	# set ann VALUE
//	> PUT /users/ann          the request
//	> {"password":"VALUE"}    a line with a colon and a blank is a header, all else the body
//	< 204 Link: …             the answer
//	= applied
type conversation struct {
	settings map[string]string
	steps    []step
}

type step struct {
	name      string
	words     []string
	exchanges []exchange
	want      string
}

func readConversation(t *testing.T, path string) conversation {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	made := conversation{settings: map[string]string{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		if kind != "" {
			made.line(t, kind, rest)
		}
	}
	return made
}

// line takes one line of the file.
func (c *conversation) line(t *testing.T, kind, rest string) {
	t.Helper()
	if kind == "@" {
		name, value, _ := strings.Cut(rest, " ")
		c.settings[name] = value
		return
	}
	if kind == "#" {
		c.steps = append(c.steps, step{name: rest, words: strings.Fields(rest)})
		return
	}
	now := &c.steps[len(c.steps)-1]
	last := len(now.exchanges) - 1
	switch {
	case kind == "=":
		now.want = rest
	case kind == ">" && (last < 0 || now.exchanges[last].status != 0):
		now.exchanges = append(now.exchanges, exchange{request: rest, headers: map[string]string{}})
	case kind == ">":
		now.exchanges[last].lines = append(now.exchanges[last].lines, rest)
	case kind == "<" && now.exchanges[last].status == 0:
		if _, err := fmt.Sscan(rest, &now.exchanges[last].status); err != nil {
			t.Fatalf("%q: no status", rest)
		}
		if name, value, ok := strings.Cut(strings.TrimLeft(rest, "0123456789 "), ": "); ok {
			now.exchanges[last].headers[name] = value
		}
	case kind == "<":
		now.exchanges[last].body += rest
	default:
		t.Fatalf("%s %s: cannot be read", kind, rest)
	}
}

// player answers requests as they were recorded, and notes any other.
type player struct {
	url string

	mu       sync.Mutex
	coming   []exchange
	problems []string
}

func newPlayer(t *testing.T) *player {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	made := &player{url: "http://" + listener.Addr().String()}
	server := &nethttp.Server{Handler: made}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return made
}

// ServeHTTP gives the next answer to the next request.
func (p *player) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := io.ReadAll(r.Body)
	if err != nil || len(p.coming) == 0 {
		p.problems = append(p.problems, fmt.Sprintf("%s %s: is one request more", r.Method, r.URL.RequestURI()))
		w.WriteHeader(nethttp.StatusTeapot)
		return
	}
	next := p.coming[0]
	p.coming = p.coming[1:]
	p.compare(next, r, string(text))
	for name, value := range next.headers {
		w.Header().Set(name, strings.ReplaceAll(value, "{url}", p.url))
	}
	w.WriteHeader(next.status)
	_, _ = io.WriteString(w, strings.ReplaceAll(next.body, "{url}", p.url))
}

func (p *player) compare(want exchange, r *nethttp.Request, body string) {
	if got := r.Method + " " + r.URL.RequestURI(); got != want.request {
		p.problems = append(p.problems, fmt.Sprintf("asked %s, want %s", got, want.request))
	}
	wanted := ""
	for _, line := range want.lines {
		name, value, header := strings.Cut(line, ": ")
		switch {
		case header && !strings.ContainsAny(name, `{"= `):
			if got := r.Header.Get(name); got != value {
				p.problems = append(p.problems, fmt.Sprintf("%s: header %s is %q, want %q", want.request, name, got, value))
			}
		default:
			wanted += line
		}
	}
	if body != wanted {
		p.problems = append(p.problems, fmt.Sprintf("%s: the body is %s, want %s", want.request, body, wanted))
	}
}

// TestRecordedConversations: each definition that comes with rekey asks what its
// conversation says, and takes the answers for what they are.
func TestRecordedConversations(t *testing.T) {
	paths, err := filepath.Glob("definitions/*.star")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".star")
		t.Run(name, func(t *testing.T) {
			backend := defined(t, path)
			said := readConversation(t, filepath.Join("testdata", "conversations", name+".txt"))
			server := newPlayer(t)
			for _, step := range said.steps {
				play(t, backend, server, said, step)
			}
		})
	}
}

// play does one step in an instance of its own where it begins with "new".
func play(t *testing.T, backend sdk.Backend, server *player, said conversation, now step) {
	t.Helper()
	instance, err := backend.Configure(t.Context(), configOf(backend.Describe(), said.settings, server.url))
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close()
	server.coming, server.problems = slices.Clone(now.exchanges), nil
	if got := do(t.Context(), instance, now.words); got != now.want {
		t.Errorf("%s: got %s, want %s", now.name, got, now.want)
	}
	for _, problem := range server.problems {
		t.Errorf("%s: %s", now.name, problem)
	}
	for _, left := range server.coming {
		t.Errorf("%s: %s was not asked", now.name, left.request)
	}
}

// configOf are settings of a conversation as an instance gets them.
func configOf(description sdk.Description, given map[string]string, url string) sdk.Config {
	config := sdk.Config{Values: map[string]any{}, Secrets: map[string]secret.Value{}, Concurrency: 1}
	for _, field := range description.Config {
		if field.Default != nil {
			config.Values[field.Name] = field.Default
		}
		value, ok := given[field.Name]
		switch value = strings.ReplaceAll(value, "{url}", url); {
		case ok && field.Type == sdk.Secret:
			config.Secrets[field.Name] = secret.New(value)
		case ok:
			config.Values[field.Name] = value
		}
	}
	return config
}

// do carries out the words of a step and says what came of it.
func do(ctx context.Context, instance sdk.Instance, words []string) string {
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	op := sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Verb(words[0]), Account: word(1), Value: secret.New(word(2))}
	must := true
	if word(3) == "must_change" {
		op.MustChange = &must
	}
	switch words[0] {
	case "set":
		return receiptText(instance.Apply(ctx, op))
	case "change":
		op.Old = secret.New(word(3))
		return receiptText(instance.Apply(ctx, op))
	case "reset", "unlock", "revoke":
		return receiptText(sdk.MethodOf(instance, op.Verb)(ctx, op))
	case "verify":
		verdict, err := instance.(sdk.Verifier).Verify(ctx, op.Account, "", op.Value)
		if err != nil {
			return sdk.AsError(err, sdk.TargetError).Error()
		}
		return verdict.String()
	case "find":
		found, err := instance.(sdk.Finder).Find(ctx, op.Account)
		if err != nil {
			return sdk.AsError(err, sdk.TargetError).Error()
		}
		return accountText(found)
	case "policy":
		policy, err := instance.(sdk.PolicyReader).Policy(ctx, op.Account, "")
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%d to %d characters, history %d", policy.MinLength, policy.MaxLength, policy.History)
	case "check":
		return instance.(sdk.Checker).Check(ctx)[0].Message
	}
	var names []string
	err := instance.(sdk.Lister).List(ctx, word(1), nil, func(account sdk.Account) error {
		names = append(names, account.Account)
		return nil
	})
	if err != nil {
		return sdk.AsError(err, sdk.TargetError).Error()
	}
	return strings.Join(names, " ")
}

func receiptText(receipt sdk.Receipt) string {
	if receipt.Err == nil {
		return receipt.Outcome.String()
	}
	text := receipt.Outcome.String() + " " + string(receipt.Err.Code)
	for _, violation := range receipt.Err.Violations {
		text += " " + string(violation.Rule)
	}
	return text
}

func accountText(found sdk.Account) string {
	text := fmt.Sprintf("%s %s %s", found.Account, found.ID, found.Status)
	if found.MustChange != nil && *found.MustChange {
		text += " must change"
	}
	return text
}

// TestDefinitionsThatComeWithRekeyAreShort: at most forty lines, their own text and
// empty ones apart; what was never run says so at once.
func TestDefinitionsThatComeWithRekeyAreShort(t *testing.T) {
	paths, err := filepath.Glob("definitions/*.star")
	if err != nil {
		t.Fatal(err)
	}
	ran := []string{"rabbitmq.star", "cognito-local.star"}
	for _, path := range paths {
		read, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(strings.TrimPrefix(string(read), `"""`), `"""`)
		count := 0
		for line := range strings.SplitSeq(after, "\n") {
			if strings.TrimSpace(line) != "" {
				count++
			}
			if len(line) > 160 {
				t.Errorf("%s: a line has %d characters", path, len(line))
			}
		}
		if count > 40 {
			t.Errorf("%s: has %d lines", path, count)
		}
		first, _, _ := strings.Cut(string(read), "\n")
		if !slices.Contains(ran, filepath.Base(path)) && !strings.HasSuffix(first, "FROM THE DOCUMENTATION, NOT RUN.") {
			t.Errorf("%s: its first line does not say that it was not run: %s", path, first)
		}
	}
}
