package openiamtest

import (
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
