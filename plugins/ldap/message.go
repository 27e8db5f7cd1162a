package ldap

import (
	"slices"
	"strings"
)

// Object identifiers of what this package uses.
const (
	oidStartTLS       = "1.3.6.1.4.1.1466.20037"
	oidPasswordModify = "1.3.6.1.4.1.4203.1.11.1"
	oidWhoAmI         = "1.3.6.1.4.1.4203.1.11.3"
	oidPPolicy        = "1.3.6.1.4.1.42.2.27.8.5.1"
	oidPaging         = "1.2.840.113556.1.4.319"
	oidActiveDir      = "1.2.840.113556.1.4.800"
)

// control is one control of a request or a response.
type control struct {
	oid   string
	value []byte
}

// The one control that most requests carry: tell more about policies.
var askPPolicy = encodeControls([]control{{oid: oidPPolicy}})

// encodeControls makes them all optional: a server that does not know one
// goes on without.
func encodeControls(list []control) []byte {
	var parts [][]byte
	for _, control := range list {
		sequence := [][]byte{berText(tagOctets, control.oid)}
		if control.value != nil {
			sequence = append(sequence, ber(tagOctets, control.value))
		}
		parts = append(parts, ber(tagSequence, sequence...))
	}
	return ber(tagControls, parts...)
}

// bindRequest is a simple bind.
func bindRequest(dn, password string) []byte {
	return ber(tagBindRequest, berInt(tagInteger, 3), berText(tagOctets, dn), berText(0x80, password))
}

// externalBind is a bind as whom the transport says: SASL EXTERNAL.
func externalBind() []byte {
	return ber(tagBindRequest, berInt(tagInteger, 3), berText(tagOctets, ""), ber(0xa3, berText(tagOctets, "EXTERNAL"), berText(tagOctets, "")))
}

// extendedRequest is one with or, if value is nil, without a value.
func extendedRequest(oid string, value []byte) []byte {
	if value == nil {
		return ber(tagExtendedRequest, berText(0x80, oid))
	}
	return ber(tagExtendedRequest, berText(0x80, oid), ber(0x81, value))
}

// passwordModify is RFC 3062; an empty old or new value is left out.
func passwordModify(dn, old, value string) []byte {
	parts := [][]byte{berText(0x80, dn)}
	if old != "" {
		parts = append(parts, berText(0x81, old))
	}
	if value != "" {
		parts = append(parts, berText(0x82, value))
	}
	return extendedRequest(oidPasswordModify, ber(tagSequence, parts...))
}

// The kinds of a modification, RFC 4511 section 4.6.
const (
	modAdd     = 0
	modDelete  = 1
	modReplace = 2
)

// modification is one of a modify request. No values with modReplace removes
// the attribute, also where there is none.
type modification struct {
	kind   int
	name   string
	values []string
}

func modifyRequest(dn string, mods ...modification) []byte {
	var list [][]byte
	for _, modification := range mods {
		var values [][]byte
		for _, value := range modification.values {
			values = append(values, berText(tagOctets, value))
		}
		list = append(list, ber(tagSequence, berInt(tagEnumerated, modification.kind),
			ber(tagSequence, berText(tagOctets, modification.name), ber(tagSet, values...))))
	}
	return ber(tagModifyRequest, berText(tagOctets, dn), ber(tagSequence, list...))
}

// The scopes of a search.
const (
	scopeBase    = 0
	scopeSubtree = 2
)

// search is what a search request asks. The filter is BER, never text: no
// account's name can become a part of it.
type search struct {
	base       string
	scope      int
	limit      int // 0: the server's
	seconds    int // that it may take; 0: the server's
	filter     []byte
	attributes []string
}

func (s search) request() []byte {
	var names [][]byte
	for _, text := range s.attributes {
		names = append(names, berText(tagOctets, text))
	}
	return ber(tagSearchRequest, berText(tagOctets, s.base), berInt(tagEnumerated, s.scope), berInt(tagEnumerated, 0),
		berInt(tagInteger, s.limit), berInt(tagInteger, s.seconds), berBool(tagBoolean, false), s.filter, ber(tagSequence, names...))
}

// Filters, RFC 4511 section 4.5.1.
func filterPresent(name string) []byte { return berText(0x87, name) }
func filterEqual(name, value string) []byte {
	return ber(0xa3, berText(tagOctets, name), berText(tagOctets, value))
}
func filterAnd(parts ...[]byte) []byte { return ber(0xa0, parts...) }
func filterOr(parts ...[]byte) []byte  { return ber(0xa1, parts...) }

// message is one decoded response.
type message struct {
	id       int
	op       element
	controls []control
}

// control returns the value of a control, and whether there is one.
func (m message) control(oid string) ([]byte, bool) {
	count := slices.IndexFunc(m.controls, func(c control) bool { return c.oid == oid })
	if count < 0 {
		return nil, false
	}
	return m.controls[count].value, true
}

// decodeMessage takes the body of a message's sequence apart.
func decodeMessage(element element) (message, error) {
	parts, err := elements(element.body, 2)
	if err != nil || element.tag != tagSequence || parts[0].tag != tagInteger {
		return message{}, errMalformed
	}
	id, err := parts[0].number()
	if err != nil {
		return message{}, err
	}
	made := message{id: id, op: parts[1]}
	if len(parts) > 2 && parts[2].tag == tagControls {
		made.controls, err = decodeControls(parts[2].body)
	}
	return made, err
}

func decodeControls(data []byte) ([]control, error) {
	list, err := elements(data, 0)
	if err != nil {
		return nil, err
	}
	var controls []control
	for _, element := range list {
		parts, err := elements(element.body, 1)
		if err != nil {
			return nil, err
		}
		made := control{oid: string(parts[0].body)}
		if last := parts[len(parts)-1]; len(parts) > 1 && last.tag == tagOctets {
			made.value = last.body
		}
		controls = append(controls, made)
	}
	return controls, nil
}

// result is the LDAPResult of a response.
type result struct {
	code     int
	text     string // the server's diagnostic message
	referral string // the first one
	password string // that the server made, of a password modify
	policy   ppolicy
}

// result takes the LDAPResult out of a response of any kind.
func (m message) result() (result, error) {
	parts, err := elements(m.op.body, 3)
	if err != nil {
		return result{}, err
	}
	code, err := parts[0].number()
	if err != nil {
		return result{}, err
	}
	made := result{code: code, text: readable(string(parts[2].body))}
	for _, element := range parts[3:] {
		switch element.tag {
		case 0xa3:
			if uris, err := elements(element.body, 1); err == nil {
				made.referral = readable(string(uris[0].body))
			}
		case 0x8b:
			made.password = madePassword(element.body)
		}
	}
	if value, ok := m.control(oidPPolicy); ok {
		made.policy = decodePPolicy(value)
	}
	return made, nil
}

// madePassword reads PasswdModifyResponseValue.
func madePassword(value []byte) string {
	sequence, _, err := next(value)
	if err != nil {
		return ""
	}
	parts, err := elements(sequence.body, 1)
	if err != nil || parts[0].tag != 0x80 {
		return ""
	}
	return string(parts[0].body)
}

// readable cuts what a server says to one line without control characters:
// Active Directory ends its with a NUL.
func readable(text string) string {
	const most = 300
	text = strings.ToValidUTF8(text, "?")
	text = strings.Map(func(letter rune) rune {
		if letter < ' ' || letter == 0x7f {
			return ' '
		}
		return letter
	}, text)
	if list := []rune(text); len(list) > most {
		text = string(list[:most]) + "…"
	}
	return strings.TrimSpace(text)
}

// The errors of the policy control, draft-behera-ldap-password-policy. none is
// ours: the control says nothing of an error.
const (
	ppNone              = -1
	ppExpired           = 0
	ppLocked            = 1
	ppChangeAfterReset  = 2
	ppModNotAllowed     = 3
	ppMustSupplyOld     = 4
	ppQuality           = 5
	ppTooShort          = 6
	ppTooYoung          = 7
	ppInHistory         = 8
	ppTooLong           = 9
	policyWarningExpiry = 0x80
	policyWarningGrace  = 0x81
)

// ppolicy is the answer of a policy control.
type ppolicy struct {
	answered bool
	err      int  // one of the above, valid if answered
	expires  int  // seconds until the value expires; 0: it does not say
	onGrace  bool // the value has expired, and this was one of the logons that are left
	grace    int  // how many more there are, valid if onGrace
}

// code is the error of the control, ppNone if there was no control.
func (p ppolicy) code() int {
	if !p.answered {
		return ppNone
	}
	return p.err
}

func decodePPolicy(value []byte) ppolicy {
	made := ppolicy{answered: true, err: ppNone}
	sequence, _, err := next(value)
	if err != nil {
		return made
	}
	parts, err := elements(sequence.body, 0)
	if err != nil {
		return made
	}
	for _, element := range parts {
		switch element.tag {
		case 0x81:
			if count, err := element.number(); err == nil {
				made.err = count
			}
		case 0xa0:
			made.warn(element.body)
		}
	}
	return made
}

// warn reads the warning of a policy control.
func (p *ppolicy) warn(body []byte) {
	element, _, err := next(body)
	if err != nil {
		return
	}
	count, err := element.number()
	switch {
	case err != nil:
	case element.tag == policyWarningExpiry:
		p.expires = count
	case element.tag == policyWarningGrace:
		p.onGrace, p.grace = true, count
	}
}

// entry is one result of a search. Names are kept as the server spelled them
// and compared ignoring case.
type entry struct {
	dn         string
	attributes []attribute
}

type attribute struct {
	name   string
	values []string
}

func decodeEntry(op element) (entry, error) {
	parts, err := elements(op.body, 2)
	if err != nil {
		return entry{}, err
	}
	list, err := elements(parts[1].body, 0)
	if err != nil {
		return entry{}, err
	}
	made := entry{dn: string(parts[0].body)}
	for _, element := range list {
		pair, err := elements(element.body, 2)
		if err != nil {
			return entry{}, err
		}
		values, err := elements(pair[1].body, 0)
		if err != nil {
			return entry{}, err
		}
		one := attribute{name: string(pair[0].body)}
		for _, element := range values {
			one.values = append(one.values, string(element.body))
		}
		made.attributes = append(made.attributes, one)
	}
	return made, nil
}

// all returns the values of an attribute, nil if it has none.
func (e entry) all(name string) []string {
	for _, attribute := range e.attributes {
		if strings.EqualFold(attribute.name, name) {
			return attribute.values
		}
	}
	return nil
}

// first returns the first value of an attribute, "" if it has none.
func (e entry) first(name string) string {
	if list := e.all(name); len(list) > 0 {
		return list[0]
	}
	return ""
}
