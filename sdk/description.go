package sdk

import (
	"slices"
	"time"

	"github.com/rekey-host/rekey/sdk/secret"
)

// Description is what a backend says of itself, offline and without secrets.
type Description struct {
	Name    string // of the executable rekey-backend-NAME, and in scripts
	Version string
	Summary string // one line
	Doc     string // for `rekey backends NAME`: quirks, inferred facts, examples

	Config      []Field   // settings of an instance
	Options     []Field   // of an operation
	Kinds       []Kind    // empty: there is one credential, whose kind is ""
	HashFormats []string  // hashed values that Set takes
	Verbs       []Verb    // of Set, Change, Handover and AskedVerbs, those it can do
	ReplaySafe  []Verb    // the verbs that may be sent again with the same value
	Abilities   []Ability // use AbilitiesOf
	Recover     Recovery  // how a lost change is settled
	Limits      Limits    //
	Egress      []string  // where it connects: "{url}", "api.example.com:443"
	Paths       []string  // opened files: "{ca_file}", "/etc/krb5.conf"; "write {path}": replaced ones; "run {set}": started programs

	// Target names the settings that say which system an instance reaches and
	// whom its account names mean there: "url", "base_dn". Under a label that
	// users have begun with they never change. Without it all settings
	// but secrets do; who logs in, how values are hashed and how long to wait are
	// then among them.
	Target []string

	// MustChange says whether a Set can ask that the owner has to change the value
	// at the next logon. False: it is never asked to. Nil says nothing, as a plugin
	// from before it could be said: what cannot be done is then refused by Apply.
	MustChange *bool

	// VerifyIsLogon says that a Verify counts as a logon attempt.
	VerifyIsLogon bool
}

// Kind is one credential of an account.
type Kind struct {
	Name string
	Doc  string
}

// Recovery is how the outcome of a lost change can be settled beyond evidence
// and replay.
type Recovery string

// The recoveries. With SetThenChange the host finishes a lost change with an
// administrative set of the same new value, or, where the target refuses that
// set as Unsupported or AccountStatus, with a set of a sealed bridge value
// (MustChange true) and a change from the bridge to the same new value.
const (
	NoRecovery    Recovery = ""
	SetThenChange Recovery = "set-then-change"
)

// Limits are the load that an instance bears. Zero means without limit.
type Limits struct {
	Concurrency int           // operations at once
	PerSecond   float64       // operations a second
	Batch       int           // operations in one ApplyBatch
	Timeout     time.Duration // a sensible deadline of one operation; 0: the host's
}

// FieldType is the type of a setting.
type FieldType string

// The field types. Path is a file name that the host makes absolute before
// the plugin sees it.
const (
	String   FieldType = "string"
	Int      FieldType = "int"
	Bool     FieldType = "bool"
	Duration FieldType = "duration"
	Choice   FieldType = "choice"
	List     FieldType = "list" // of strings
	Path     FieldType = "path"
	URL      FieldType = "url"
	Secret   FieldType = "secret"
)

// Field is one setting of an instance, or one option of an operation.
type Field struct {
	Name      string
	Type      FieldType
	Required  bool
	Default   any      // string, int, bool, time.Duration or []string
	Choices   []string // of a Choice
	Doc       string
	Conflicts []string // fields that may not be given together with it
}

// Ability is one of the optional interfaces of an Instance.
type Ability string

// The abilities.
const (
	CanFind     Ability = "find"
	CanList     Ability = "list"
	CanPolicy   Ability = "policy"
	CanVerify   Ability = "verify"
	CanCheck    Ability = "check"
	CanGenerate Ability = "generate"
	CanBatch    Ability = "batch"
	CanResolve  Ability = "resolve"
)

// AbilitiesOf returns the abilities of an instance's type, in the order of
// their declaration, but for those that a Partial lacks. A typed nil pointer
// will do, so that Describe can call it.
func AbilitiesOf(instance Instance) []Ability {
	var can, lacks []Ability
	if partial, ok := instance.(Partial); ok {
		lacks = partial.Lacks()
	}
	add := func(ok bool, ability Ability) {
		if ok && !slices.Contains(lacks, ability) {
			can = append(can, ability)
		}
	}
	_, ok := instance.(Finder)
	add(ok, CanFind)
	_, ok = instance.(Lister)
	add(ok, CanList)
	_, ok = instance.(PolicyReader)
	add(ok, CanPolicy)
	_, ok = instance.(Verifier)
	add(ok, CanVerify)
	_, ok = instance.(Checker)
	add(ok, CanCheck)
	_, ok = instance.(Generator)
	add(ok, CanGenerate)
	for _, row := range asked {
		add(row.of(instance) != nil, row.ability)
	}
	_, ok = instance.(BatchApplier)
	add(ok, CanBatch)
	_, ok = instance.(Resolver)
	add(ok, CanResolve)
	return can
}

// Can reports whether the description lists the ability.
func (d Description) Can(ability Ability) bool {
	for _, have := range d.Abilities {
		if have == ability {
			return true
		}
	}
	return false
}

// Reaches returns of an instance's settings those that say which system it
// reaches and whom its account names mean there.
func (d Description) Reaches(values map[string]any) map[string]any {
	out := map[string]any{}
	for _, field := range d.Config {
		value, given := values[field.Name]
		if given && field.Type != Secret && (len(d.Target) == 0 || slices.Contains(d.Target, field.Name)) {
			out[field.Name] = value
		}
	}
	return out
}

// Does reports whether the description lists the verb.
func (d Description) Does(verb Verb) bool { return hasVerb(d.Verbs, verb) }

// CanReplay reports whether the verb may be sent again with the same value.
func (d Description) CanReplay(verb Verb) bool { return hasVerb(d.ReplaySafe, verb) }

// HasKind reports whether kind is declared; "" is where no kinds are.
func (d Description) HasKind(kind string) bool {
	for _, k := range d.Kinds {
		if k.Name == kind {
			return true
		}
	}
	return len(d.Kinds) == 0 && kind == ""
}

func hasVerb(list []Verb, verb Verb) bool {
	for _, have := range list {
		if have == verb {
			return true
		}
	}
	return false
}

// take converts a value to what a plugin expects of the type.
func (t FieldType) take(value any) (any, error) {
	switch t {
	case Int:
		return takeInt(value)
	case Bool:
		if yes, ok := value.(bool); ok {
			return yes, nil
		}
		return nil, wanted(value, "True or False")
	case Duration:
		return takeDuration(value)
	case List:
		return takeList(value)
	case Secret:
		if text, ok := value.(string); ok {
			return secret.New(text), nil
		}
		if s, ok := value.(secret.Value); ok {
			return s, nil
		}
		return nil, wanted(value, "a secret")
	default:
		if text, ok := value.(string); ok {
			return text, nil
		}
		return nil, wanted(value, "a string")
	}
}
