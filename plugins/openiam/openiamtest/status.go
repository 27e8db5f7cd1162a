package openiamtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// StatusRow is one identity as the status page shows it: no value, no length.
type StatusRow struct {
	Domain      string    `json:"domain"`
	Principal   string    `json:"principal"`
	System      string    `json:"managedSystemId"`
	User        string    `json:"userId"`
	Status      string    `json:"status"`
	ChangeCount int       `json:"passwordChangeCount"`
	MustChange  bool      `json:"mustChange"`
	Locked      bool      `json:"locked"`
	Changes     int       `json:"changes"`
	Passed      bool      `json:"systemHasIt"` // the managed system has the value that OpenIAM has
	Changed     time.Time `json:"changed"`
}

// Status is what the server has been asked and what became of it.
type Status struct {
	Calls      map[string]int `json:"calls"`
	Identities []StatusRow    `json:"identities"`
}

// Status returns the state without secrets, identities in a fixed order.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Calls: maps.Clone(s.calls), Identities: []StatusRow{}}
	for _, i := range s.identities {
		row := StatusRow{Domain: i.Domain, Principal: i.Principal, System: i.System, User: i.UserID, Status: "missing",
			ChangeCount: i.ChangeCount, MustChange: i.MustChange, Locked: i.Locked, Changes: len(i.Values) - 1,
			Passed: i.System == "0" || i.Passed == i.Password, Changed: i.Changed}
		if u := s.users[i.UserID]; u != nil {
			row.Status = strings.TrimSpace(u.Status + " " + u.SecondaryStatus)
		}
		st.Identities = append(st.Identities, row)
	}
	slices.SortFunc(st.Identities, func(a, b StatusRow) int {
		return strings.Compare(a.Domain+"\x00"+a.Principal+"\x00"+a.System, b.Domain+"\x00"+b.Principal+"\x00"+b.System)
	})
	return st
}

func (s *Server) serveStatus(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Status()) }
func (s *Server) serveAudit(w http.ResponseWriter, _ *http.Request)  { writeJSON(w, s.Audit()) }

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}

// wsdl describes a service: target namespace, operations, and the fields of
// PasswordSync that tell the older schema from the newer.
func (s *Server) wsdl(namespace string, ops map[string]operation) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:tns="%[1]s" targetNamespace="%[1]s">
<wsdl:types><xs:schema elementFormDefault="unqualified" targetNamespace="%[1]s"><xs:complexType name="PasswordSync"><xs:sequence>
`, escape(namespace))
	for _, name := range s.sequence() {
		fmt.Fprintf(&b, "<xs:element minOccurs=\"0\" name=\"%s\"/>\n", name)
	}
	b.WriteString("</xs:sequence></xs:complexType></xs:schema></wsdl:types>\n<wsdl:portType name=\"Port\">\n")
	for _, name := range slices.Sorted(maps.Keys(ops)) {
		fmt.Fprintf(&b, "<wsdl:operation name=\"%s\"/>\n", name)
	}
	b.WriteString("</wsdl:portType>\n</wsdl:definitions>\n")
	return b.String()
}
