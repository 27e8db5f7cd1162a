// Package workflow is the language of scripts: it evaluates a workflow's top
// level, checks it against what its backends say of themselves, and calls its
// hooks for one user at a time. It knows Starlark and the table of all names;
// it is the only package that does. It opens no backend, reads no secret,
// decides no outcome and keeps nothing: the engine does, through the hooks.
//
// Everything that a user can mend is a diag.Problem with a place and a fix,
// and as many as possible are found at once.
//
// Scripts are trusted code with guard rails, not a sandbox: steps and time of
// a hook call are limited, and so are the sizes of what this package's own
// builtins make, but a script can still use up the memory of its process. A
// hook that does not even stop when it is cancelled ends the process, with a
// line that names hook and user; the ledger makes that safe.
package workflow
