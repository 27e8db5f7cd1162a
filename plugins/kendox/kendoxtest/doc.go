// Package kendoxtest is a simulator of Kendox InfoShare as far as passwords
// go: the JSON calls of its Authentication and Common services.
//
// It is written from the protocol, not from the plugin, and shares no code with
// it. Where its facts come from:
//
//	[D] documented in Kendox's reference
//	    the paths, the parameters and results of each call, the connection id in
//	    the body, the idle time of ten minutes, the codes of errors with their
//	    texts, the three access rights of the two password calls and their ids,
//	    DCIAdmin's id and that only it may set its own password, the second
//	    factor that blocks every other call, that the server cannot check the
//	    rules of a value of which it gets a hash only
//	inferred
//	    that any call restarts the idle time, that ids are compared ignoring
//	    case, the user's state that a call needs, which code says that no licence
//	    is left (10054), the rule codes of SetUserPassword, that a locked user
//	    does not exist (nothing documents a lock), the strictness of what counts
//	    as a hash (Options.Loose), and of requests: whether parameters
//	    not listed, a final slash or another Content-Type are taken
//	    (Options.Strict: they are not)
//	invented, because nothing states it
//	    the HTTP status and the JSON form of errors; Options.Form and
//	    Options.Status switch between plausible ones. Whether hashes are made of
//	    UTF-8 or UTF-16LE text: Options.UTF16
//
// The simulator keeps its state in memory, can be told to fail (Faults), and
// knows nothing of rekey.
package kendoxtest
