// Package simulator is what the simulated target systems of the bundled plugins
// share: a server on the loopback, and the command that serves one of them to
// try rekey on. It reads the command's flags and the file of accounts, and
// shows the state of the system; it knows no protocol. Package resttest makes
// the same systems misbehave.
package simulator
