package definition

import (
	"fmt"
	"net/url"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Request is what a function asks for.
type Request struct {
	Method   string
	Address  string // of another host: https://login.example.com; "" is the instance's own
	Path     string // escaped
	Query    string // encoded
	Headers  map[string]string
	Body     secret.Value // absent: none
	Content  string       // the Content-Type of the body
	Login    secret.Value // the header Authorization; absent: the instance's own
	NoLogin  bool         // not even that
	ReadOnly bool
	Secrets  []secret.Value // in headers
	Place    string         // file and line that made it

	accept   []int
	then     starlark.Callable
	function string
}

// Accepts reports whether the definition itself reads an answer of this status.
func (r *Request) Accepts(status int) bool {
	for _, accepted := range r.accept {
		if accepted == status {
			return true
		}
	}
	return status >= 200 && status < 300
}

// HasThen reports whether the definition wants to read the answer itself.
func (r *Request) HasThen() bool { return r.then != nil }

// Same reports whether two requests ask the same.
func (r *Request) Same(other *Request) bool {
	return other != nil && r.Address+r.Path == other.Address+other.Path && r.Query == other.Query && r.Body.Reveal() == other.Body.Reveal()
}

// asks returns the builtin of a method: get(path, parts…, query, headers, auth, then,
// accept, reads), and body for those that have one.
func asks(method string) *starlark.Builtin {
	return starlark.NewBuiltin(strings.ToLower(method), func(thread *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		request, err := newRequest(method, fn.Name(), args, kwargs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fn.Name(), err)
		}
		request.Place = place(thread.CallFrame(1).Pos)
		return &made{"request", request}, nil
	})
}

func newRequest(method, name string, args starlark.Tuple, kwargs []starlark.Tuple) (*Request, error) {
	request := &Request{Method: method, ReadOnly: method == "GET", Headers: map[string]string{}}
	var query, headers *starlark.Dict
	var content, auth, then starlark.Value = starlark.None, starlark.None, starlark.None
	var accept *starlark.List
	if err := starlark.UnpackArgs(name, nil, kwargs, "body??", &content, "query??", &query, "headers??", &headers,
		"auth??", &auth, "then??", &then, "accept??", &accept, "reads??", &request.ReadOnly); err != nil {
		return nil, err
	}
	for _, err := range []error{request.to(args), request.ask(query), request.say(headers), request.carry(content), request.enter(auth), request.goOn(then), request.take(accept)} {
		if err != nil {
			return nil, err
		}
	}
	return request, nil
}

// to takes the path, whose {} are filled with parts, escaped.
func (r *Request) to(args starlark.Tuple) error {
	if len(args) == 0 {
		return fmt.Errorf("the path is missing")
	}
	text, ok := starlark.AsString(args[0])
	if !ok {
		return fmt.Errorf("the path is a text, not a %s", args[0].Type())
	}
	if err := readable(text); err != nil {
		return err
	}
	pieces := strings.Split(text, "{}")
	if len(pieces) != len(args) {
		return fmt.Errorf("the path %q has %d {} for %d values; each {} takes one, escaped", text, len(pieces)-1, len(args)-1)
	}
	filled := pieces[0]
	for i, piece := range pieces[1:] {
		part, err := plain(args[i+1])
		if err != nil {
			return err
		}
		if part == "" || part == "." || part == ".." {
			return sdk.Errorf(sdk.InvalidOperation, "%q cannot stand in the path of a request", part)
		}
		filled += url.PathEscape(part) + piece
	}
	return r.address(filled)
}

// address splits an address into host, path and query.
func (r *Request) address(text string) error {
	address, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("the path is none; put what varies into {}, as in get(\"/users/{}\", account)")
	case address.Fragment != "" || address.User != nil:
		return fmt.Errorf("the path has a login or a fragment; put what varies into {}, as in get(\"/users/{}\", account)")
	case address.Scheme != "":
		r.Address = address.Scheme + "://" + address.Host
	case !strings.HasPrefix(text, "/"):
		return fmt.Errorf("the path begins with neither / nor https://")
	}
	for segment := range strings.SplitSeq(address.Path, "/") {
		if segment == "." || segment == ".." {
			return sdk.Errorf(sdk.InvalidOperation, "the path leads upwards")
		}
	}
	r.Path, r.Query = address.EscapedPath(), address.RawQuery
	return nil
}

// ask takes the query.
func (r *Request) ask(query *starlark.Dict) error {
	if query == nil {
		return nil
	}
	var pairs []string
	if r.Query != "" {
		pairs = append(pairs, r.Query)
	}
	for _, item := range query.Items() {
		name, _ := starlark.AsString(item[0])
		text, err := plain(item[1])
		if err != nil {
			return fmt.Errorf("query: %s: %w", name, err)
		}
		pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(text))
	}
	r.Query = strings.Join(pairs, "&")
	return nil
}

// say takes the headers. One may be a secret of the settings, never a password.
func (r *Request) say(headers *starlark.Dict) error {
	if headers == nil {
		return nil
	}
	for _, item := range headers.Items() {
		name, _ := starlark.AsString(item[0])
		if strings.EqualFold(name, "Authorization") {
			return fmt.Errorf("headers: Authorization is made by auth()")
		}
		value, hidden := item[1].(*opaque)
		if hidden && value.password {
			return fmt.Errorf("headers: %s: %w", name, errOpaque)
		}
		text, err := plainOrSecret(item[1])
		if err != nil {
			return fmt.Errorf("headers: %s: %w", name, err)
		}
		if strings.ContainsAny(name+text, "\r\n\x00") {
			return fmt.Errorf("headers: %s: has a line end", name)
		}
		if hidden {
			r.Secrets = append(r.Secrets, value.value)
		}
		r.Headers[name] = text
	}
	return nil
}

// carry takes the body.
func (r *Request) carry(content starlark.Value) error {
	if content == starlark.None {
		return nil
	}
	given, ok := content.(*made)
	if ok {
		if body, is := given.value.(body); is {
			r.Body, r.Content = body.text, body.kind
			return nil
		}
	}
	return fmt.Errorf("body: a %s is none; write body = json({…}) or form({…})", content.Type())
}

// enter takes the login.
func (r *Request) enter(auth starlark.Value) error {
	switch given := auth.(type) {
	case starlark.NoneType:
		return nil
	case starlark.Bool:
		r.NoLogin = !bool(given)
		return nil
	case *made:
		if login, is := given.value.(*Login); is {
			r.Login = login.Header
			return nil
		}
	}
	return fmt.Errorf("auth: a %s is none; write auth = basic(user, password), or auth = False for a request without a login", auth.Type())
}

func (r *Request) goOn(then starlark.Value) error {
	if then == starlark.None {
		return nil
	}
	fn, ok := then.(starlark.Callable)
	if !ok {
		return fmt.Errorf("then: a %s is no function; write then = lambda answer: …", then.Type())
	}
	r.then = fn
	return nil
}

func (r *Request) take(accept *starlark.List) error {
	if accept == nil {
		return nil
	}
	for i := range accept.Len() {
		status, err := starlark.AsInt32(accept.Index(i))
		if err != nil || status < 300 || status > 599 {
			return fmt.Errorf("accept: %s is no status of a refusal; write accept = [401]", accept.Index(i))
		}
		r.accept = append(r.accept, status)
	}
	if len(r.accept) > 0 && r.then == nil {
		return fmt.Errorf("accept: without then= nothing reads the answer")
	}
	return nil
}
