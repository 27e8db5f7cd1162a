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
func (r *Redactor) Error(failure *sdk.Error) *sdk.Error {
	if failure == nil {
		return nil
	}
	c := *failure
	c.Code, c.Message, c.Native = r.code(failure.Code), r.line(failure.Message), r.line(failure.Native)
	c.Violations = slices.Clone(failure.Violations)
	for i := range c.Violations {
		violation := &c.Violations[i]
		violation.Native, violation.Message = r.line(violation.Native), r.line(violation.Message)
	}
	return &c
}

// code returns Internal for a text. An unknown code
// may be of a newer contract.
func (r *Redactor) code(code sdk.Code) sdk.Code {
	if slices.Contains(sdk.Codes(), code) || r.Scrub(string(code)) == string(code) {
		return code
	}
	return sdk.Internal
}

// Receipt returns the receipt with scrubbed texts, each on one line.
func (r *Redactor) Receipt(receipt sdk.Receipt) sdk.Receipt {
	receipt.Err, receipt.Ref, receipt.Stamp = r.Error(receipt.Err), r.line(receipt.Ref), r.line(receipt.Stamp)
	return receipt
}

// Finding returns the finding with scrubbed texts, each on one line.
func (r *Redactor) Finding(finding sdk.Finding) sdk.Finding {
	finding.Code = r.code(finding.Code)
	finding.Message, finding.Fix = r.line(finding.Message), r.line(finding.Fix)
	return finding
}

// Account returns the requested account with scrubbed texts: its name
// as it was asked for stays wherever it stands. Attributes are left alone: see
// Attributes.
func (r *Redactor) Account(account sdk.Account, asked string) sdk.Account {
	for _, text := range [...]*string{&account.Account, &account.ID, &account.Login, &account.Name, &account.Mail, &account.Stamp} {
		*text = r.ScrubName(*text, asked)
	}
	account.Kinds = r.names(account.Kinds)
	return account
}

// Attributes returns a copy of an account's attributes, scrubbed but for the
// values of secret ones: half of one would be another.
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
func (r *Redactor) Policy(policy sdk.Policy) sdk.Policy {
	for _, characters := range [...]*string{&policy.Alphabet, &policy.AllowedSymbols, &policy.Forbid, &policy.ForbidFirst} {
		if r.ScrubName(*characters, "") != *characters {
			*characters = sortedCharacters(*characters)
		}
	}
	policy.ForbidWords = slices.Clone(policy.ForbidWords)
	for i, word := range policy.ForbidWords {
		policy.ForbidWords[i] = r.Scrub(word)
	}
	policy.Note = r.line(policy.Note)
	return policy
}

func sortedCharacters(text string) string {
	all := []rune(text)
	slices.Sort(all)
	return string(slices.Compact(all))
}

// Description returns the description with scrubbed texts. Its names keep short
// secrets that happen to be words.
func (r *Redactor) Description(description sdk.Description) sdk.Description {
	for _, name := range [...]*string{&description.Name, &description.Version} {
		*name = r.ScrubName(*name, "")
	}
	description.Summary, description.Doc = r.Scrub(description.Summary), r.Scrub(description.Doc)
	description.Config, description.Options = r.fields(description.Config), r.fields(description.Options)
	description.Kinds = slices.Clone(description.Kinds)
	for i, kind := range description.Kinds {
		description.Kinds[i] = sdk.Kind{Name: r.ScrubName(kind.Name, ""), Doc: r.Scrub(kind.Doc)}
	}
	description.HashFormats, description.Egress, description.Paths = r.names(description.HashFormats), r.names(description.Egress), r.names(description.Paths)
	description.Verbs, description.ReplaySafe, description.Abilities = scrubNames(r, description.Verbs), scrubNames(r, description.ReplaySafe), scrubNames(r, description.Abilities)
	description.Recover = sdk.Recovery(r.ScrubName(string(description.Recover), ""))
	return description
}

func (r *Redactor) fields(of []sdk.Field) []sdk.Field {
	of = slices.Clone(of)
	for i, field := range of {
		of[i].Name, of[i].Type = r.ScrubName(field.Name, ""), sdk.FieldType(r.ScrubName(string(field.Type), ""))
		of[i].Doc, of[i].Choices, of[i].Conflicts = r.Scrub(field.Doc), r.names(field.Choices), r.names(field.Conflicts)
		switch v := field.Default.(type) {
		case string:
			of[i].Default = r.ScrubName(v, "")
		case []string:
			of[i].Default = r.names(v)
		}
	}
	return of
}

func (r *Redactor) names(of []string) []string { return scrubNames(r, of) }

func scrubNames[T ~string](redactor *Redactor, of []T) []T {
	of = slices.Clone(of)
	for i, name := range of {
		of[i] = T(redactor.ScrubName(string(name), ""))
	}
	return of
}

// Abilities returns what an instance can do, scrubbed.
func (r *Redactor) Abilities(of []sdk.Ability) []sdk.Ability { return scrubNames(r, of) }

// line scrubs first: a secret may have line ends.
func (r *Redactor) line(text string) string { return Line(r.Scrub(text)) }
