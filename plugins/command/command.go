// Package command is the backend of programs: whatever takes a password on its
// standard input or from a descriptor is asked to set it, an account at a time.
//
// It knows how a program is started, fed, watched and ended, and how its answers
// are read as the script says. It knows nothing of any particular program.
package command

import (
	"context"
	"io/fs"

	"github.com/rekey-host/rekey/plugins/internal/definition"
	"github.com/rekey-host/rekey/sdk"
)

// Backend makes instances, one tool each. The zero Backend is ready for use and
// is what New returns.
type Backend struct{}

// New returns a Backend.
func New() *Backend { return &Backend{} }

const doc = `A tool is a program of this machine. set names it by its absolute path, with its
arguments; it is started once for each account, by no shell. {account} in an
argument is the account. The value is in no argument and no environment: it goes
where set_input has {value}, which the tool reads on its standard input, or into
a descriptor whose number is {value-fd} ("/dev/fd/{value-fd}" is a file's name).
{secret} and {secret-fd} stand for the setting secret, the tool's own login.

definition = "tool.star" names a file that gives the settings, for whom they are too many:
command(summary, settings = [setting("dir", required = True)], passes = ["secret"]) says what it
asks its user for, and configure(settings) returns a dict of the settings below. rekey
backends http shows the language.

WHAT SUCCESS PROVES: that the tool said so. It is NOT PROVEN that the target takes
the value, unless verify names a program that tries it: then step.verify is there,
and a lost answer is settled. Without it check and plan say "not proven".

answers tells what the tool's answers mean, in order; the first that fits counts:

    "AccountNotFound: exit 67"                        a code: certainly unchanged
    "PolicyViolation/min_length: output too short"    with the rule that was broken
    "AccountStatus/locked: output is locked"          with the account's status
    "applied: output ^Password changed"               success
    "unknown: output timed out"                       nobody knows
    "rejected: output Password incorrect"             of verify: accepted,
                                                      accepted-must-change, rejected,
                                                      blocked or cannot-tell
    "locked: output (?i)locked by"                    of find: a status

After exit stand exit codes (1,2), after output a pattern (RE2; ^ and $ are the
ends of a line) that is looked for in all that the tool printed. Without an answer
that fits, exit 0 is success, but not where an "applied" (or, of verify, an
"accepted") is listed: tools that exit 0 after a failure are common. Everything else
is UNKNOWN: only what an answer calls a refusal is taken for one.

A tool that has not ended at the deadline (timeout) is asked to end (SIGTERM) and a
quarter of a second later killed, with its process group; the outcome is unknown.
When it ends, what is left of its group is killed. A tool that runs as another user
(sudo, doas) cannot be ended from here, with use_pty neither: it is waited for no
longer, the line says that it goes on, and until it has ended nothing else is started
for the account (Conflict). So put timeout behind sudo, shorter than the backend's:
["/usr/bin/sudo", "-n", "/usr/bin/timeout", "-k", "1", "20", "/usr/sbin/TOOL"].
A tool has no terminal, so programs that ask one for passwords read standard input. Its environment is PATH, LC_ALL=C
and env, no more; its working directory is /. Its file and all directories on the way have to belong
to root or to the user of rekey, and nobody else may write them.

An account is refused before anything is started if it holds control characters or
does not fit accounts; if it begins with "-" where an argument begins with it and
none before is "--"; if it holds the character that follows it in an input (the
":" of "{account}:{value}"); and if it is more than letters, digits and . _ @ / + -
where it stands beside blanks in an argument, which is then a line in a language of
the tool's own. A value is refused (PolicyViolation) if it holds control characters,
a character of forbid or the one that follows it in an input.

find_output are patterns whose named groups tell of an account: id login name mail
status stamp (what differs after every change of the password: with it a lost answer
is settled). list prints accounts, one a line; list_output is the pattern of a line
with the group account, and others; other lines are passed over. The filter of
accounts() is a shell pattern of names. check is run once, at plan: exit 0 is good.

Examples:

    backend("command", label = "kerberos",
            set = ["/usr/sbin/kadmin.local", "change_password", "{account}"], set_input = "{value}\n{value}\n",
            verify = ["/usr/bin/kinit", "-c", "MEMORY:", "{account}"], verify_input = "{value}\n",
            answers = ["AccountNotFound: output Principal does not exist|not found in Kerberos database",
                       "PolicyViolation/min_length: output too short", "rejected: output Password incorrect"])
    backend("command", label = "image",
            set = ["/usr/sbin/chpasswd", "-R", "/srv/image", "-c", "SHA512"], set_input = "{account}:{value}\n",
            answers = ["AccountNotFound: output does not exist"])

Clients of a Mosquitto broker, by its dynamic security, whose tool exits 0 whatever
happens; that a client may not ask for itself says that its password was right:

    ctrl = ["/usr/bin/mosquitto_ctrl", "-h", "mqtt.acme.example", "-p", "8883", "--cafile", "/etc/ssl/acme.pem", "-u"]
    backend("command", label = "broker", secret = secret.env("MQTT_ADMIN_PASSWORD"),
            set = ctrl + ["admin", "dynsec", "setClientPassword", "{account}"], set_input = "{value}\n{value}\n{secret}\n",
            verify = ctrl + ["{account}", "dynsec", "getClient", "{account}"], verify_input = "{value}\n",
            answers = ["accepted: output ^Subscribe error: Not authorized", "rejected: output ^Connection error: Not authorized",
                       "AccountNotFound: output Client not found", "PermissionDenied: output ^(Connection|Subscribe) error: Not authorized",
                       "Unreachable: output Connection refused", "unknown: output (?i)error"])

One user of many BMCs: the account is the BMC, 3 the number of the user ann. Over 16
bytes a BMC may say that it has set what it has not:

    def ipmi(user, level, password):
        return ["/usr/bin/ipmitool", "-v", "-I", "lanplus", "-N", "1", "-R", "2", "-L", level, "-U", user, "-f", password, "-H", "{account}"]
    backend("command", label = "bmc", secret = secret.env("IPMI_PASSWORD"), accounts = "[0-9A-Za-z.:-]+", max_bytes = 16,
            set = ipmi("admin", "ADMINISTRATOR", "/dev/fd/{secret-fd}") + ["user", "set", "password", "3"], set_input = "{value}\n{value}\n",
            verify = ipmi("ann", "OPERATOR", "/dev/fd/{value-fd}") + ["mc", "info"],
            answers = ["applied: output ^Set User Password command successful", "accepted: output ^Device ID", "rejected: output RAKP 2 HMAC is invalid",
                       "PermissionDenied: output RAKP 2 HMAC is invalid|unauthorized name",
                       "Unreachable: output ^Error issuing Get Channel Authentication Capabilities"])

Entries of a KDBX file, one at a time, since each set writes the whole file:

    backend("command", label = "kdbx", concurrency = 1, secret = secret.env("KDBX_PASSWORD"),
            set = ["/usr/bin/keepassxc-cli", "edit", "-p", "--", "/srv/team.kdbx", "{account}"], set_input = "{secret}\n{value}\n{value}\n",
            answers = ["applied: output Successfully edited entry", "AccountNotFound: output ^Could not find entry with path",
                       "PermissionDenied: output Invalid credentials were provided"])`

// atOnce is how many tools may run at once.
const atOnce = 8

// Describe returns what an instance can do: with the settings for it.
func (*Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:       "command",
		Version:    "1.0.0",
		Summary:    "any program that takes a password on standard input or a descriptor; not proven without a verify of its own",
		Doc:        doc,
		Config:     fields(),
		Verbs:      []sdk.Verb{sdk.Set, sdk.Unlock},
		ReplaySafe: []sdk.Verb{sdk.Set},
		Abilities:  sdk.AbilitiesOf((*Instance)(nil)),
		MustChange: new(false),
		Limits:     sdk.Limits{Concurrency: atOnce},
		Paths:      []string{"run {set}"},
		Target:     []string{"set", "set_input", "env"},

		VerifyIsLogon: true,
	}
}

func fields() []sdk.Field {
	return []sdk.Field{
		definition.Setting(),
		{Name: "set", Type: sdk.List, Required: true, Doc: "the program that sets a password, by its absolute path, and its arguments"},
		{Name: "set_input", Type: sdk.String, Doc: "what set reads on its standard input"},
		{Name: "verify", Type: sdk.List, Doc: "the program that tries a password, and its arguments; without it nothing is proven"},
		{Name: "verify_input", Type: sdk.String, Doc: "what verify reads on its standard input"},
		{Name: "find", Type: sdk.List, Doc: "the program that tells of an account, and its arguments"},
		{Name: "find_input", Type: sdk.String, Doc: "what find reads on its standard input"},
		{Name: "find_output", Type: sdk.List, Doc: "patterns of what find prints, with named groups"},
		{Name: "list", Type: sdk.List, Doc: "the program that lists accounts, and its arguments"},
		{Name: "list_input", Type: sdk.String, Doc: "what list reads on its standard input"},
		{Name: "list_output", Type: sdk.String, Doc: "the pattern of a line of list, with the group account; without it a line is an account"},
		{Name: "unlock", Type: sdk.List, Doc: "the program that unlocks an account, and its arguments"},
		{Name: "unlock_input", Type: sdk.String, Doc: "what unlock reads on its standard input"},
		{Name: "check", Type: sdk.List, Doc: "a program that ends with exit 0 if the target is ready, and its arguments"},
		{Name: "check_input", Type: sdk.String, Doc: "what check reads on its standard input"},
		{Name: "answers", Type: sdk.List, Doc: "what exit codes and outputs mean: \"CODE: exit N\", \"CODE: output PATTERN\""},
		{Name: "env", Type: sdk.List, Doc: "the environment of all of them beyond PATH and LC_ALL: NAME=VALUE"},
		{Name: "secret", Type: sdk.Secret, Doc: "what {secret} and {secret-fd} stand for"},
		{Name: "accounts", Type: sdk.String, Doc: "the pattern that the whole of an account's name has to fit"},
		{Name: "min_length", Type: sdk.Int, Default: 1, Doc: "the fewest characters of a value"},
		{Name: "max_bytes", Type: sdk.Int, Default: 0, Doc: "the most bytes of a value that the tool keeps; 0 is no limit"},
		{Name: "forbid", Type: sdk.String, Doc: "characters that a value may not hold"},
	}
}

// Define returns the backend of a definition, whose settings make this one's.
func (b *Backend) Define(file, text string) (sdk.Backend, error) {
	return definition.Preset(b, file, text)
}

// Shipped returns nil: no definition comes with it.
func (*Backend) Shipped() fs.FS { return nil }

// Configure opens an instance. Its programs are met by Check and by the
// operations.
func (*Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	settings, err := newSettings(config)
	if err != nil {
		return nil, err
	}
	return &Instance{settings, newStrays()}, nil
}
