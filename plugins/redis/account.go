package redis

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gomodule/redigo/redis"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// user is what a server tells of one.
type user struct {
	name      string
	flags     []string
	passwords []secret.Value // digests
	text      map[string]string
}

func (u user) is(flag string) bool { return slices.Contains(u.flags, flag) }

// restoring gives a user the passwords that it had.
func (u user) restoring() []string {
	var rules []string
	if u.is("nopass") {
		rules = append(rules, "nopass")
	}
	for _, digest := range u.passwords {
		rules = append(rules, "#"+digest.Reveal())
	}
	return rules
}

// readUser reads the answer to ACL GETUSER; nil if there is no such user.
func readUser(name string, reply any) (*user, *sdk.Error) {
	if answer, ok := reply.(redis.Error); ok {
		return nil, explain(answer)
	}
	if reply == nil {
		return nil, nil
	}
	list, err := redis.Values(reply, nil)
	if err != nil || len(list)%2 != 0 {
		return nil, sdk.Errorf(sdk.TargetError, "ACL GETUSER: an answer of another form")
	}
	found := &user{name: name, text: map[string]string{}}
	for index := 0; index < len(list); index += 2 {
		key, _ := redis.String(list[index], nil)
		texts, err := redis.Strings(list[index+1], nil)
		switch {
		case key == "passwords":
			for _, digest := range texts {
				found.passwords = append(found.passwords, secret.New(digest))
			}
		case key == "flags":
			found.flags = texts
			found.text[key] = strings.Join(texts, ",")
		case err == nil:
			found.text[key] = strings.Join(texts, " ")
		default:
			found.text[key], _ = redis.String(list[index+1], nil)
		}
	}
	found.text["passwords"] = fmt.Sprint(len(found.passwords))
	return found, nil
}

// read returns the users of the names, nil for one that there is not.
func (i *Instance) read(ctx context.Context, names []string) ([]*user, *sdk.Error) {
	commands := make([]command, len(names))
	for index, name := range names {
		commands[index] = command{"ACL", "GETUSER", name}
	}
	replies, failed := i.ask(ctx, commands)
	if failed != nil {
		return nil, failed
	}
	found := make([]*user, len(names))
	for index, name := range names {
		if found[index], failed = readUser(name, replies[index]); failed != nil {
			return nil, failed
		}
	}
	return found, nil
}

// before returns the users of the names as they are before a set: what a put-back
// needs to know. To ask for one with ACL GETUSER costs a server fifty times the
// work of a set, so many are looked up in a list, and where nothing is put back
// they are only asked for. Who may do neither has them read one by one.
func (i *Instance) before(ctx context.Context, names []string) ([]*user, *sdk.Error) {
	if i.meek {
		return i.read(ctx, names)
	}
	look := i.listedOf
	switch {
	case i.save == saveNone:
		look = i.there
	case len(names)*worth < i.total:
		return i.read(ctx, names)
	}
	found, failed := look(ctx, names)
	if failed != nil && failed.Code != sdk.Unreachable && failed.Code != sdk.Timeout && failed.Code != sdk.Cancelled {
		i.meek = true
		return i.read(ctx, names)
	}
	return found, failed
}

// worth is how many users of a list cost as much as one that is asked for.
const worth = 64

// listedOf finds the users in the list of all.
func (i *Instance) listedOf(ctx context.Context, names []string) ([]*user, *sdk.Error) {
	replies, failed := i.ask(ctx, []command{{"ACL", "LIST"}})
	if failed != nil {
		return nil, failed
	}
	if answer, ok := replies[0].(redis.Error); ok {
		return nil, explain(answer)
	}
	lines, err := redis.Strings(replies[0], nil)
	if err != nil {
		return nil, sdk.Errorf(sdk.TargetError, "ACL LIST: %v", err)
	}
	i.total = len(lines)
	places := make(map[string][]int, len(names))
	for index, name := range names {
		places[name] = append(places[name], index)
	}
	found := make([]*user, len(names))
	for _, line := range lines {
		rest, ok := strings.CutPrefix(line, "user ")
		if !ok {
			return nil, sdk.Errorf(sdk.TargetError, "ACL LIST: an answer of another form")
		}
		name, rules, _ := strings.Cut(rest, " ")
		for _, index := range places[name] {
			found[index] = ruled(name, rules)
		}
	}
	return found, nil
}

// ruled is a user as its line has it, as far as a put-back needs it.
func ruled(name, rules string) *user {
	made := &user{name: name}
	for rule := range strings.FieldsSeq(rules) {
		switch digest, ok := strings.CutPrefix(rule, "#"); {
		case rule == "nopass":
			made.flags = append(made.flags, rule)
		case ok:
			made.passwords = append(made.passwords, secret.New(digest))
		}
	}
	return made
}

// there finds out which users there are: a command is tried as each, which the
// server does not carry out.
func (i *Instance) there(ctx context.Context, names []string) ([]*user, *sdk.Error) {
	commands := make([]command, len(names))
	for index, name := range names {
		commands[index] = command{"ACL", "DRYRUN", name, "PING"}
	}
	replies, failed := i.ask(ctx, commands)
	if failed != nil {
		return nil, failed
	}
	found := make([]*user, len(names))
	for index, name := range names {
		answer, refused := replies[index].(redis.Error)
		switch {
		case !refused:
			found[index] = &user{name: name}
		case !strings.HasSuffix(string(answer), "' not found"):
			return nil, explain(answer)
		}
	}
	return found, nil
}

// tell is the user as a script gets it.
func (u user) tell() sdk.Account {
	told := sdk.Account{Account: u.name, ID: u.name, Login: u.name, Status: sdk.StatusActive}
	if u.is("off") {
		told.Status = sdk.StatusDisabled
	}
	return told
}

// Find returns what the server tells of a user.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	found, failed := i.one(ctx, account)
	if failed != nil {
		return sdk.Account{}, failed
	}
	return found.tell(), nil
}

func (i *Instance) one(ctx context.Context, account string) (*user, *sdk.Error) {
	if failed := refuseName(account); failed != nil {
		failed.Code = sdk.AccountNotFound
		return nil, failed
	}
	found, failed := i.read(ctx, []string{account})
	if failed == nil && found[0] == nil {
		failed = missing(account)
	}
	if failed != nil {
		return nil, failed
	}
	return found[0], nil
}

// Resolve returns the user behind each name. Its name is all that it is.
func (i *Instance) Resolve(ctx context.Context, accounts []string) ([]sdk.Identity, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	found := make([]sdk.Identity, len(accounts))
	var names []string
	for index, account := range accounts {
		if found[index].Err = refuseName(account); found[index].Err == nil {
			names = append(names, account)
		}
	}
	users, failed := i.read(ctx, names)
	if failed != nil {
		return nil, failed
	}
	for index, next := 0, 0; index < len(found); index++ {
		if found[index].Err != nil {
			continue
		}
		if users[next] == nil {
			found[index].Err = missing(accounts[index])
		} else {
			found[index] = sdk.Identity{Target: strings.ToLower(i.Network + " " + i.Address), ID: users[next].name}
		}
		next++
	}
	return found, nil
}

// attributes are what List can tell beside the state.
var attributes = []string{"flags", "passwords", "commands", "keys", "channels"}

// page is how many users are asked for at once.
const page = 500

// List calls yield for the users whose name suits a pattern as of KEYS, in the
// order of their names.
func (i *Instance) List(ctx context.Context, filter string, wanted []string, yield func(sdk.Account) error) error {
	for _, name := range wanted {
		if !slices.Contains(attributes, name) {
			return sdk.Errorf(sdk.InvalidOperation, "attribute %q: there are %s", name, strings.Join(attributes, ", "))
		}
	}
	pattern, failed := glob(filter)
	if failed != nil {
		return failed
	}
	replies, failed := i.ask(ctx, []command{{"ACL", "USERS"}})
	if failed != nil {
		return failed
	}
	if answer, ok := replies[0].(redis.Error); ok {
		return explain(answer)
	}
	names, err := redis.Strings(replies[0], nil)
	if err != nil {
		return sdk.Errorf(sdk.TargetError, "ACL USERS: %v", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !pattern.MatchString(name) })
	slices.Sort(names)
	for names := range slices.Chunk(names, page) {
		if err := i.listed(ctx, names, wanted, yield); err != nil {
			return err
		}
	}
	return nil
}

func (i *Instance) listed(ctx context.Context, names, wanted []string, yield func(sdk.Account) error) error {
	users, failed := i.read(ctx, names)
	if failed != nil {
		return failed
	}
	for _, user := range users {
		if user == nil {
			continue // it was removed meanwhile
		}
		told := user.tell()
		told.Attributes = make(map[string]string, len(wanted))
		for _, name := range wanted {
			told.Attributes[name] = user.text[name]
		}
		if err := yield(told); err != nil {
			return err
		}
	}
	return nil
}

var classes = regexp.MustCompile(`\\.|\[\^?[^\]]*\]|[*?]|[^\\\[*?]+|.`)

// glob is a pattern as Redis has it; an empty one suits all.
func glob(filter string) (*regexp.Regexp, *sdk.Error) {
	if filter == "" {
		filter = "*"
	}
	text := classes.ReplaceAllStringFunc(filter, func(part string) string {
		switch {
		case part == "*":
			return ".*"
		case part == "?":
			return "."
		case len(part) > 2 && part[0] == '[' && part[len(part)-1] == ']':
			return part
		case len(part) > 1 && part[0] == '\\':
			return regexp.QuoteMeta(part[1:])
		}
		return regexp.QuoteMeta(part)
	})
	pattern, err := regexp.Compile(`(?s)^` + text + `$`)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidOperation, "filter %q: not a pattern", filter)
	}
	return pattern, nil
}

// Policy returns the one rule there is.
func (i *Instance) Policy(context.Context, string, string) (sdk.Policy, error) {
	return sdk.Policy{MinLength: 1}, nil
}
