package ldapwire

import "strings"

// Entry is one result of a search. Names are kept as the server spelled them
// and compared ignoring case.
type Entry struct {
	DN         string
	Attributes []Attribute
}

// Attribute is one attribute of an entry.
type Attribute struct {
	Name   string
	Values []string
}

// DecodeEntry reads an answer that is an entry.
func DecodeEntry(op Element) (Entry, error) {
	parts, err := Elements(op.Body, 2)
	if err != nil {
		return Entry{}, err
	}
	list, err := Elements(parts[1].Body, 0)
	if err != nil {
		return Entry{}, err
	}
	made := Entry{DN: string(parts[0].Body)}
	for _, element := range list {
		pair, err := Elements(element.Body, 2)
		if err != nil {
			return Entry{}, err
		}
		values, err := Elements(pair[1].Body, 0)
		if err != nil {
			return Entry{}, err
		}
		one := Attribute{Name: string(pair[0].Body)}
		for _, element := range values {
			one.Values = append(one.Values, string(element.Body))
		}
		made.Attributes = append(made.Attributes, one)
	}
	return made, nil
}

// All returns the values of an attribute, nil if it has none.
func (e Entry) All(name string) []string {
	for _, attribute := range e.Attributes {
		if strings.EqualFold(attribute.Name, name) {
			return attribute.Values
		}
	}
	return nil
}

// First returns the first value of an attribute, "" if it has none.
func (e Entry) First(name string) string {
	if list := e.All(name); len(list) > 0 {
		return list[0]
	}
	return ""
}
