package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// account is what a server tells of one.
type account struct {
	name
	plugin  string
	expired bool // the owner has to change it
	super   bool
	locked  bool
	several bool // ways to log in
	role    bool
	changed int64 // seconds; 0: not known
}

// What reads accounts of either server; %s is a table of accounts. MariaDB's mysql.user is
// a view of four dozen columns, which costs more than a change does: it is for
// conditions of scripts alone.
const (
	selectMaria = `SELECT u.User, u.Host, u.plugin, u.password_expired = 'Y', u.Super_priv = 'Y', COALESCE(JSON_VALUE(g.Priv, '$.account_locked'), 0) <> 0,
	JSON_EXISTS(g.Priv, '$.auth_or'), u.is_role = 'Y', CAST(COALESCE(JSON_VALUE(g.Priv, '$.password_last_changed'), 0) AS SIGNED)
FROM %s u JOIN mysql.global_priv g ON g.User = u.User AND g.Host = u.Host`
	selectMariaDirectly = `SELECT u.User, u.Host, COALESCE(JSON_VALUE(u.Priv, '$.plugin'), ''), COALESCE(JSON_VALUE(u.Priv, '$.password_last_changed'), 1) = 0,
	COALESCE(JSON_VALUE(u.Priv, '$.access'), 0) & 32768 <> 0, COALESCE(JSON_VALUE(u.Priv, '$.account_locked'), 0) <> 0,
	JSON_EXISTS(u.Priv, '$.auth_or'), COALESCE(JSON_VALUE(u.Priv, '$.is_role'), 0) <> 0, CAST(COALESCE(JSON_VALUE(u.Priv, '$.password_last_changed'), 0) AS SIGNED)
FROM mysql.global_priv u`
	selectMySQL = `SELECT u.User, u.Host, u.plugin, u.password_expired = 'Y', u.Super_priv = 'Y', u.account_locked = 'Y', 0, 0, COALESCE(UNIX_TIMESTAMP(u.password_last_changed), 0)
FROM %s u`
)

// selection reads the accounts of a table that has the columns of mysql.user.
func (s *server) selection(table string) string {
	if s.maria {
		return fmt.Sprintf(selectMaria, table)
	}
	return fmt.Sprintf(selectMySQL, table)
}

// all reads the accounts of the server, as u.
func (s *server) all() string {
	if s.maria {
		return selectMariaDirectly
	}
	return fmt.Sprintf(selectMySQL, "mysql.user")
}

func scan(rows *sql.Rows) (account, error) {
	var found account
	err := rows.Scan(&found.user, &found.host, &found.plugin, &found.expired, &found.super, &found.locked, &found.several, &found.role, &found.changed)
	found.host = strings.ToLower(found.host)
	if found.plugin == "" || found.plugin == "mysql_old_password" {
		found.plugin = native
	}
	return found, err
}

// read returns the accounts of the names that there are.
func (s *server) read(ctx context.Context, conn *sql.Conn, names []name) (map[name]account, error) {
	found := make(map[name]account, len(names))
	if len(names) == 0 {
		return found, nil
	}
	args := make([]any, 0, 2*len(names))
	for _, name := range names {
		args = append(args, name.host, name.user)
	}
	pairs := strings.TrimSuffix(strings.Repeat("(?,?),", len(names)), ",")
	rows, err := conn.QueryContext(ctx, s.all()+" WHERE (u.Host, u.User) IN ("+pairs+")", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		account, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found[account.name] = account
	}
	return found, rows.Err()
}

// tell is the account as a script gets it.
func (a account) tell() sdk.Account {
	told := sdk.Account{Account: a.String(), ID: a.String(), Login: a.user, Status: sdk.StatusActive, MustChange: &a.expired}
	switch {
	case a.locked:
		told.Status = sdk.StatusLocked
	case !takes(a.plugin):
		told.Status = sdk.StatusFederated
	}
	if a.changed > 0 {
		told.ChangedAt = time.Unix(a.changed, 0).UTC()
	}
	return told
}

// takes reports whether a set can give a password to accounts of a plugin.
func takes(plugin string) bool {
	return slices.Contains([]string{native, ed25519, cachingSHA2}, plugin)
}

// missing is the error of a name that no account has.
func missing(account string, name name) *sdk.Error {
	return sdk.Errorf(sdk.AccountNotFound, "account %q: no account %s", account, name.quoted())
}

// Find returns what the server tells of an account. ID is user@host.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	name, failed := parse(account)
	if failed != nil {
		failed.Code = sdk.AccountNotFound
		return sdk.Account{}, failed
	}
	found, failed := i.look(ctx, account, name)
	if failed != nil {
		return sdk.Account{}, failed
	}
	return found.tell(), nil
}

func (i *Instance) look(ctx context.Context, spelled string, wanted name) (account, *sdk.Error) {
	var found map[name]account
	failed := i.ask(ctx, func(conn *sql.Conn, met *server) (err error) {
		found, err = met.read(ctx, conn, []name{wanted})
		return err
	})
	if failed != nil {
		return account{}, failed
	}
	if account, ok := found[wanted]; ok && !account.role {
		return account, nil
	}
	return account{}, missing(spelled, wanted)
}

// Resolve returns the account behind each name, in one question.
func (i *Instance) Resolve(ctx context.Context, accounts []string) ([]sdk.Identity, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	found := make([]sdk.Identity, len(accounts))
	names := make([]name, len(accounts))
	for index, account := range accounts {
		names[index], found[index].Err = parse(account)
	}
	wanted := slices.DeleteFunc(slices.Clone(names), func(wanted name) bool { return wanted == name{} })
	var there map[name]account
	var target string
	failed := i.ask(ctx, func(conn *sql.Conn, met *server) (err error) {
		target = cmp.Or(met.id, strings.ToLower(i.Network+" "+i.Address))
		there, err = met.read(ctx, conn, wanted)
		return err
	})
	if failed != nil {
		return nil, failed
	}
	for index, name := range names {
		if found[index].Err != nil {
			continue
		}
		if _, ok := there[name]; !ok {
			found[index].Err = missing(accounts[index], name)
			continue
		}
		found[index] = sdk.Identity{Target: target, ID: name.String()}
	}
	return found, nil
}

// ofServer are the accounts that a server has for itself.
var ofServer = []string{"mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"}

// attributes are what List can tell beside the state.
var attributes = []string{"user", "host", "plugin", "super"}

// List calls yield for the accounts that the condition selects. It is one
// statement, so it shows one moment. It runs in a transaction that cannot write.
func (i *Instance) List(ctx context.Context, filter string, wanted []string, yield func(sdk.Account) error) error {
	for _, name := range wanted {
		if !slices.Contains(attributes, name) {
			return sdk.Errorf(sdk.InvalidOperation, "attribute %q: there are %s", name, strings.Join(attributes, ", "))
		}
	}
	conn, failed := i.acquire(ctx)
	if failed != nil {
		return failed
	}
	defer conn.Close()
	met, err := i.met(ctx, conn)
	if err != nil {
		return i.unread(err)
	}
	table := "mysql.user"
	if filter != "" {
		table = "(SELECT * FROM mysql.user WHERE (" + filter + "\n))" // a comment ends with its line
	}
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return i.unread(err)
	}
	defer func() { _ = tx.Rollback() }() // it was only read
	rows, err := tx.QueryContext(ctx, met.selection(table)+" WHERE u.User <> '' ORDER BY u.User, u.Host")
	if err != nil {
		return i.badFilter(filter, err)
	}
	defer rows.Close()
	return i.listed(rows, filter, wanted, yield)
}

func (i *Instance) listed(rows *sql.Rows, filter string, wanted []string, yield func(sdk.Account) error) error {
	for rows.Next() {
		found, err := scan(rows)
		if err != nil {
			return i.unread(err)
		}
		if found.role || slices.Contains(ofServer, found.user) {
			continue
		}
		told := found.tell()
		told.Attributes = found.attributes(wanted)
		if err := yield(told); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return i.badFilter(filter, err)
	}
	return nil
}

func (a account) attributes(wanted []string) map[string]string {
	all := map[string]string{"user": a.user, "host": a.host, "plugin": a.plugin, "super": fmt.Sprint(a.super)}
	have := make(map[string]string, len(wanted))
	for _, name := range wanted {
		have[name] = all[name]
	}
	return have
}

// badFilter is the error of a list whose condition the server does not take.
func (i *Instance) badFilter(filter string, err error) error {
	answer, ok := answered(err)
	state := ""
	if ok {
		state = string(answer.SQLState[:])
	}
	if filter != "" && ok && (strings.HasPrefix(state, "42") || strings.HasPrefix(state, "22") || state == "25006") {
		return &sdk.Error{Code: sdk.InvalidOperation, Native: answer.native(), Message: fmt.Sprintf("filter %q: %s", filter, answer.Message)}
	}
	return i.unread(err)
}
