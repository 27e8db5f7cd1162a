package wire

import (
	"slices"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/internal/scrub"
)

// Redactor scrubs the secrets that passed through an adapter from every text
// of the contract. The zero Redactor is ready for use by many goroutines.
type Redactor struct{ scrub.Redactor }

// Error returns a copy with scrubbed texts, each on one line; nil for nil.
func (r *Redactor) Error(e *sdk.Error) *sdk.Error {
	if e == nil {
		return nil
	}
	c := *e
	c.Code, c.Message, c.Native = r.code(e.Code), r.line(e.Message), r.line(e.Native)
	c.Violations = slices.Clone(e.Violations)
	for i := range c.Violations {
		v := &c.Violations[i]
		v.Native, v.Message = r.line(v.Native), r.line(v.Message)
	}
	return &c
}

// code returns Internal for what is no code but a text. One that is not known
// may be of a newer contract.
func (r *Redactor) code(c sdk.Code) sdk.Code {
	if slices.Contains(sdk.Codes(), c) || r.Scrub(string(c)) == string(c) {
		return c
	}
	return sdk.Internal
}

// Receipt returns the receipt with scrubbed texts, each on one line.
func (r *Redactor) Receipt(x sdk.Receipt) sdk.Receipt {
	x.Err, x.Ref, x.Stamp = r.Error(x.Err), r.line(x.Ref), r.line(x.Stamp)
	return x
}

// Finding returns the finding with scrubbed texts, each on one line.
func (r *Redactor) Finding(f sdk.Finding) sdk.Finding {
	f.Code = r.code(f.Code)
	f.Message, f.Fix = r.line(f.Message), r.line(f.Fix)
	return f
}

// Account returns the account that was asked for with scrubbed texts: its name
// as it was asked for stays wherever it stands. Attributes are left alone: see
// Attributes.
func (r *Redactor) Account(a sdk.Account, asked string) sdk.Account {
	for _, text := range [...]*string{&a.Account, &a.ID, &a.Login, &a.Name, &a.Mail, &a.Stamp} {
		*text = r.ScrubName(*text, asked)
	}
	a.Kinds = r.names(a.Kinds)
	return a
}

// Attributes returns a copy of an account's attributes, scrubbed but for the
// values of those that are secrets themselves: half of one would be another.
func (r *Redactor) Attributes(of map[string]string, secrets []string) map[string]string {
	if len(of) == 0 {
		return of
	}
	out := make(map[string]string, len(of))
	for name, text := range of {
		if !slices.Contains(secrets, name) {
			text = r.Scrub(text)
		}
		out[r.ScrubName(name, "")] = text
	}
	return out
}

// Lists is Attributes of those with several values.
func (r *Redactor) Lists(of map[string][]string, secrets []string) map[string][]string {
	if len(of) == 0 {
		return of
	}
	out := make(map[string][]string, len(of))
	for name, list := range of {
		list = slices.Clone(list)
		for i := range list {
			if !slices.Contains(secrets, name) {
				list[i] = r.Scrub(list[i])
			}
		}
		out[r.ScrubName(name, "")] = list
	}
	return out
}

// Policy returns the policy with scrubbed texts. Sets of characters that look
// like a secret are sorted: they mean the same.
func (r *Redactor) Policy(p sdk.Policy) sdk.Policy {
	for _, characters := range [...]*string{&p.Alphabet, &p.AllowedSymbols, &p.Forbid, &p.ForbidFirst} {
		if r.ScrubName(*characters, "") != *characters {
			*characters = sortedCharacters(*characters)
		}
	}
	p.ForbidWords = slices.Clone(p.ForbidWords)
	for i, word := range p.ForbidWords {
		p.ForbidWords[i] = r.Scrub(word)
	}
	p.Note = r.line(p.Note)
	return p
}

func sortedCharacters(s string) string {
	all := []rune(s)
	slices.Sort(all)
	return string(slices.Compact(all))
}

// Description returns the description with scrubbed texts. Its names keep short
// secrets that happen to be words.
func (r *Redactor) Description(d sdk.Description) sdk.Description {
	for _, name := range [...]*string{&d.Name, &d.Version} {
		*name = r.ScrubName(*name, "")
	}
	d.Summary, d.Doc = r.Scrub(d.Summary), r.Scrub(d.Doc)
	d.Config, d.Options = r.fields(d.Config), r.fields(d.Options)
	d.Kinds = slices.Clone(d.Kinds)
	for i, k := range d.Kinds {
		d.Kinds[i] = sdk.Kind{Name: r.ScrubName(k.Name, ""), Doc: r.Scrub(k.Doc)}
	}
	d.HashFormats, d.Egress, d.Paths = r.names(d.HashFormats), r.names(d.Egress), r.names(d.Paths)
	d.Verbs, d.ReplaySafe, d.Abilities = scrubNames(r, d.Verbs), scrubNames(r, d.ReplaySafe), scrubNames(r, d.Abilities)
	d.Recover = sdk.Recovery(r.ScrubName(string(d.Recover), ""))
	return d
}

func (r *Redactor) fields(of []sdk.Field) []sdk.Field {
	of = slices.Clone(of)
	for i, f := range of {
		of[i].Name, of[i].Type = r.ScrubName(f.Name, ""), sdk.FieldType(r.ScrubName(string(f.Type), ""))
		of[i].Doc, of[i].Choices, of[i].Conflicts = r.Scrub(f.Doc), r.names(f.Choices), r.names(f.Conflicts)
		switch v := f.Default.(type) {
		case string:
			of[i].Default = r.ScrubName(v, "")
		case []string:
			of[i].Default = r.names(v)
		}
	}
	return of
}

func (r *Redactor) names(of []string) []string { return scrubNames(r, of) }

func scrubNames[T ~string](r *Redactor, of []T) []T {
	of = slices.Clone(of)
	for i, name := range of {
		of[i] = T(r.ScrubName(string(name), ""))
	}
	return of
}

// Abilities returns what an instance can do, scrubbed.
func (r *Redactor) Abilities(of []sdk.Ability) []sdk.Ability { return scrubNames(r, of) }

// line scrubs first: a secret may have line ends.
func (r *Redactor) line(text string) string { return Line(r.Scrub(text)) }
