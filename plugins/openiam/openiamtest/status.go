package openiamtest

import (
	"maps"
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
	for _, identity := range s.identities {
		row := StatusRow{Domain: identity.Domain, Principal: identity.Principal, System: identity.System, User: identity.UserID, Status: "missing",
			ChangeCount: identity.ChangeCount, MustChange: identity.MustChange, Locked: identity.Locked, Changes: len(identity.Values) - 1,
			Passed: identity.System == "0" || identity.Passed == identity.Password, Changed: identity.Changed}
		if user := s.users[identity.UserID]; user != nil {
			row.Status = strings.TrimSpace(user.Status + " " + user.SecondaryStatus)
		}
		st.Identities = append(st.Identities, row)
	}
	slices.SortFunc(st.Identities, func(statusRow, b StatusRow) int {
		return strings.Compare(statusRow.Domain+"\x00"+statusRow.Principal+"\x00"+statusRow.System, b.Domain+"\x00"+b.Principal+"\x00"+b.System)
	})
	return st
}
