package ldapwire

// Object identifiers of what this package uses.
const (
	OIDStartTLS       = "1.3.6.1.4.1.1466.20037"
	OIDPasswordModify = "1.3.6.1.4.1.4203.1.11.1"
	OIDWhoAmI         = "1.3.6.1.4.1.4203.1.11.3"
	OIDPPolicy        = "1.3.6.1.4.1.42.2.27.8.5.1"
	OIDPaging         = "1.2.840.113556.1.4.319"
	OIDActiveDir      = "1.2.840.113556.1.4.800"
	OIDReadOnlyDir    = "1.2.840.113556.1.4.1920" // of a controller without most secrets
)

// Control is one control of a request or a response.
type Control struct {
	OID   string
	Value []byte
}

// AskPolicy is the control that most requests carry: tell more about policies.
func AskPolicy() Control { return Control{OID: OIDPPolicy} }

// encodeControls makes them all optional: a server that does not know one
// goes on without.
func encodeControls(list []Control) []byte {
	var parts [][]byte
	for _, control := range list {
		sequence := [][]byte{Text(TagOctets, control.OID)}
		if control.Value != nil {
			sequence = append(sequence, Encode(TagOctets, control.Value))
		}
		parts = append(parts, Encode(TagSequence, sequence...))
	}
	return Encode(TagControls, parts...)
}

// BindRequest is a simple bind.
func BindRequest(dn, password string) []byte {
	return Encode(TagBindRequest, Int(TagInteger, 3), Text(TagOctets, dn), Text(0x80, password))
}

// ExternalBind is a bind as whom the transport says: SASL EXTERNAL.
func ExternalBind() []byte {
	return Encode(TagBindRequest, Int(TagInteger, 3), Text(TagOctets, ""), Encode(0xa3, Text(TagOctets, "EXTERNAL"), Text(TagOctets, "")))
}

// ExtendedRequest is one with or, if value is nil, without a value.
func ExtendedRequest(oid string, value []byte) []byte {
	if value == nil {
		return Encode(TagExtendedRequest, Text(0x80, oid))
	}
	return Encode(TagExtendedRequest, Text(0x80, oid), Encode(0x81, value))
}

// PasswordModify is RFC 3062; an empty old or new value is left out.
func PasswordModify(dn, old, value string) []byte {
	parts := [][]byte{Text(0x80, dn)}
	if old != "" {
		parts = append(parts, Text(0x81, old))
	}
	if value != "" {
		parts = append(parts, Text(0x82, value))
	}
	return ExtendedRequest(OIDPasswordModify, Encode(TagSequence, parts...))
}

// The kinds of a modification, RFC 4511 section 4.6.
const (
	ModAdd     = 0
	ModDelete  = 1
	ModReplace = 2
)

// Modification is one of a modify request.
type Modification struct {
	Kind   int
	Name   string
	Values []string
}

// Replace gives an attribute these values only. Without values it removes the
// attribute, also where an entry has none.
func Replace(name string, values ...string) Modification {
	return Modification{Kind: ModReplace, Name: name, Values: values}
}

// Add adds values to an attribute.
func Add(name string, values ...string) Modification {
	return Modification{Kind: ModAdd, Name: name, Values: values}
}

// Delete takes values from an attribute, or all if none is named. The server
// refuses it where the attribute lacks one.
func Delete(name string, values ...string) Modification {
	return Modification{Kind: ModDelete, Name: name, Values: values}
}

// ModifyRequest is one request that does all of mods or nothing.
func ModifyRequest(dn string, mods ...Modification) []byte {
	var list [][]byte
	for _, modification := range mods {
		var values [][]byte
		for _, value := range modification.Values {
			values = append(values, Text(TagOctets, value))
		}
		list = append(list, Encode(TagSequence, Int(TagEnumerated, modification.Kind),
			Encode(TagSequence, Text(TagOctets, modification.Name), Encode(TagSet, values...))))
	}
	return Encode(TagModifyRequest, Text(TagOctets, dn), Encode(TagSequence, list...))
}

// The scopes of a search.
const (
	ScopeBase    = 0
	ScopeSubtree = 2
)

// Search is what a search request asks. The filter is BER, never text: no
// account's name can become a part of it.
type Search struct {
	Base       string
	Scope      int
	Limit      int // 0: the server's
	Seconds    int // that it may take; 0: the server's
	Filter     []byte
	Attributes []string
}

// Request is the request that asks it. Aliases are not followed.
func (s Search) Request() []byte {
	var names [][]byte
	for _, text := range s.Attributes {
		names = append(names, Text(TagOctets, text))
	}
	return Encode(TagSearchRequest, Text(TagOctets, s.Base), Int(TagEnumerated, s.Scope), Int(TagEnumerated, 0),
		Int(TagInteger, s.Limit), Int(TagInteger, s.Seconds), Bool(TagBoolean, false), s.Filter, Encode(TagSequence, names...))
}

// FilterPresent selects entries that have the attribute.
func FilterPresent(name string) []byte { return Text(0x87, name) }

// FilterEqual selects entries of which the attribute has the value.
func FilterEqual(name, value string) []byte {
	return Encode(0xa3, Text(TagOctets, name), Text(TagOctets, value))
}

// FilterAnd selects entries that all parts select.
func FilterAnd(parts ...[]byte) []byte { return Encode(0xa0, parts...) }

// FilterOr selects entries that any part selects.
func FilterOr(parts ...[]byte) []byte { return Encode(0xa1, parts...) }

// Page asks for the next so many entries of a search behind cookie, which is
// empty for the first (RFC 2696).
func Page(size int, cookie []byte) Control {
	return Control{OID: OIDPaging, Value: Encode(TagSequence, Int(TagInteger, size), Encode(TagOctets, cookie))}
}

// FilterNot selects entries that part does not, where that can be told.
func FilterNot(part []byte) []byte { return Encode(0xa2, part) }

// Frame is a request with its number and controls, as it goes on the wire.
func Frame(id int, op []byte, controls ...Control) []byte {
	if len(controls) == 0 {
		return Encode(TagSequence, Int(TagInteger, id), op)
	}
	return Encode(TagSequence, Int(TagInteger, id), op, encodeControls(controls))
}

// UnbindRequest says goodbye; it has no answer.
func UnbindRequest() []byte { return Encode(TagUnbindRequest) }
