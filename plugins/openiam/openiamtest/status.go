package openiamtest

import (
	"encoding/json"
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
