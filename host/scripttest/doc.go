// Package scripttest runs tests of workflow scripts, which are written in the language
// of the scripts: files *_test.star with functions test_*(t).
//
// t.run takes a script through the real host, engine and ledger, against backends in
// memory that keep their accounts, over a clock that jumps to whatever is waited for. It
// kills that host where the test says, goes on in another one, and looks whether what
// rekey promises holds: no password is lost, no hook takes another way.
//
// It knows hosts and scripts, and nothing of flags and terminals.
package scripttest
