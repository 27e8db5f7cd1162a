package workflow

import (
	"errors"
	"strings"

	"go.starlark.net/starlark"
)

// refValue is a reference to a secret that a backend needs. It is read when
// the backend is configured.
type refValue struct{ ref SecretRef }

func (r *refValue) String() string        { return "secret." + r.ref.Kind + "(" + r.ref.Name + ")" }
func (r *refValue) Type() string          { return "secret reference" }
func (r *refValue) Freeze()               {}
func (r *refValue) Truth() starlark.Bool  { return true }
func (r *refValue) Hash() (uint32, error) { return 0, errors.New("a secret reference is no key") }

func evalSecretEnv(args *arguments) (starlark.Value, error) {
	return secretReference(args, "env", "name")
}
func evalSecretFile(args *arguments) (starlark.Value, error) {
	return secretReference(args, "file", "path")
}
func evalSecretPrompt(args *arguments) (starlark.Value, error) {
	return secretReference(args, "prompt", "label")
}

func evalSecretCommand(args *arguments) (starlark.Value, error) {
	argv := args.texts("argv")
	if len(argv) == 0 || argv[0] == "" {
		args.badValue("argv", `write secret.command(["pass", "show", "NAME"])`, "argv names no program")
	}
	return &refValue{SecretRef{Kind: "command", Name: strings.Join(argv, " "), Argv: argv}}, nil
}

func evalSecretCredential(args *arguments) (starlark.Value, error) {
	if name := args.text("name"); strings.ContainsRune(name, '/') || name == "." || name == ".." {
		args.badValue("name", "give what LoadCredential= of the service names", "name %q is a path", name)
	}
	return secretReference(args, "credential", "name")
}

func secretReference(args *arguments, kind, arg string) (starlark.Value, error) {
	name := args.text(arg)
	if name == "" {
		args.badValue(arg, "", "%s is empty", arg)
	}
	if kind == "file" {
		name = args.path(arg)
	}
	return &refValue{SecretRef{Kind: kind, Name: name}}, nil
}
