package mysql

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// Policy returns the rules of simple_password_check, where it is loaded and sees
// the values.
func (i *Instance) Policy(ctx context.Context, _, _ string) (sdk.Policy, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	rules := sdk.Policy{MinLength: 1}
	if i.send == sendHash {
		return rules, nil
	}
	found, failed := i.variables(ctx, "simple_password_check_%")
	if failed != nil {
		return sdk.Policy{}, failed
	}
	number := func(name string) int {
		count, _ := strconv.Atoi(found["simple_password_check_"+name])
		return count
	}
	if len(found) > 0 {
		rules.MinLength, rules.Digits, rules.Symbols = max(1, number("minimal_length")), number("digits"), number("other_characters")
		rules.Lower, rules.Upper = number("letters_same_case"), number("letters_same_case")
	}
	return rules, nil
}

func (i *Instance) variables(ctx context.Context, pattern string) (map[string]string, *sdk.Error) {
	var found map[string]string
	failed := i.ask(ctx, func(conn *sql.Conn, _ *server) error {
		found = map[string]string{}
		rows, err := conn.QueryContext(ctx, "SHOW VARIABLES LIKE ?", pattern)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, value string
			if err := rows.Scan(&name, &value); err != nil {
				return err
			}
			found[strings.ToLower(name)] = value
		}
		return rows.Err()
	})
	return found, failed
}
