package kendoxtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// enter finds the session of a call and restarts its idle time.
func (s *Server) enter(a arguments) (*session, *exception) {
	id := a.text("connectionId")
	s.sweep()
	n := s.sessions[strings.ToLower(id)]
	if n == nil {
		return nil, raise(codeConnection, "The connection id %s isn't valid or has expired", id)
	}
	n.used = s.now()
	return n, nil
}

// admit is enter for calls that need a confirmed second factor.
func (s *Server) admit(a arguments) (*session, *exception) {
	n, e := s.enter(a)
	if e == nil && !n.verified {
		e = raise(codeVerify, "Verification code is needed: Verification code not yet verified")
	}
	return n, e
}

func (s *Server) logon(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.o.Tenant != "" && !strings.EqualFold(a.text("tenantName"), s.o.Tenant) {
		return nil, raise(codeTenant, "Unknown tenant %s", a.text("tenantName"))
	}
	u := s.byLogin(a.text("userName"))
	if u == nil || u.Inactive || u.Obsolete || u.NoInternalPassword || a.text("passwordHashed") != u.Hash {
		return nil, raise(codeLogon, "Cannot log in user %s", a.text("userName"))
	}
	s.sweep()
	if s.o.Licences > 0 && len(s.sessions) >= s.o.Licences {
		return nil, raise(codeLicence, "No licence left")
	}
	if s.o.Sessions > 0 && s.sessionsOf(u) >= s.o.Sessions {
		return nil, raise(codeSessions, "The user %s has too many sessions", u.Login)
	}
	id := newID()
	s.sessions[id] = &session{user: u, used: s.now(), verified: !u.SecondFactor}
	return s.result(id), nil
}

func (s *Server) sessionsOf(u *User) int {
	n := 0
	for _, open := range s.sessions {
		if open.user == u {
			n++
		}
	}
	return n
}

func (s *Server) result(id string) map[string]any {
	n := s.sessions[id]
	kind := "None"
	if !n.verified {
		kind = "Mail"
	}
	return map[string]any{"ConnectionId": id, "ConnectionTimeoutSeconds": int(s.o.Idle.Seconds()), "OwnUserId": n.user.ID,
		"IsApplicationLicence": false, "IsConcurrentLicence": true, "IsNamedLicence": false, "IsReadOnlyLicence": false,
		"IsVerificationCodeNeeded": !n.verified, "PossibleTwoWayAuthenticationType": kind, "TwoWayAuthenticationTargetMail": "",
		"JWTToken": "jwt-of-" + id, "AbsenceInfo": map[string]any{}}
}

func (s *Server) logoff(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, e := s.enter(a); e != nil {
		return nil, e
	}
	delete(s.sessions, strings.ToLower(a.text("connectionId")))
	return nil, nil
}

func (s *Server) getLogonResult(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, e := s.enter(a); e != nil {
		return nil, e
	}
	return s.result(strings.ToLower(a.text("connectionId"))), nil
}

func (s *Server) verifyCode(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, e := s.enter(a)
	switch {
	case e != nil:
		return nil, e
	case n.verified:
		return nil, raise(codeNoCode, "Verification code is not needed")
	case a.text("verificationCode") != s.o.Code:
		return nil, raise(codeWrongCode, "Verification code is wrong")
	}
	n.verified = true
	return nil, nil
}

func (s *Server) setUserPasswordHashed(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, e := s.target(a)
	if e != nil {
		return nil, e
	}
	hash := a.text("newPasswordHashed")
	if !s.o.Loose && !isHash(hash) {
		return nil, raise(codeNotSet, "The password could not be set")
	}
	s.take(u, hash)
	return nil, nil
}

func (s *Server) setUserPassword(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, e := s.target(a)
	if e != nil {
		return nil, e
	}
	password := a.text("newPassword")
	if code := s.o.Rules.broken(password); code != 0 {
		return nil, raise(code, "%s", map[int]string{codeTooShort: "The password is too short", codeLetter: "The password must contain a character",
			codeSpecial: "The password must contain a special character", codeMixed: "The password must contain upper and lower characters",
			codeDigit: "The password must contain a digit"}[code])
	}
	if password == "" {
		return nil, raise(codeNotSet, "The password could not be set")
	}
	s.take(u, s.Hash(password))
	return nil, nil
}

// target finds the user that a password call is about, if the caller may.
func (s *Server) target(a arguments) (*User, *exception) {
	n, e := s.admit(a)
	if e != nil {
		return nil, e
	}
	for _, right := range []struct{ name, id string }{{"Access to users and user groups", RightUsers},
		{"Access to security edit access right", RightSecurity}, {"Reset user password", RightPassword}} {
		if !slices.ContainsFunc(n.user.Rights, func(id string) bool { return sameID(id, right.id) }) {
			return nil, raise(codeRights, "Not enough rights (%s, %s)", right.name, right.id)
		}
	}
	if sameID(a.text("userId"), DCIAdmin) && !sameID(n.user.ID, DCIAdmin) {
		return nil, raise(codeAdmin, "Only the DCIAdmin user can set the password for the DCIAdmin user")
	}
	u := s.users[strings.ToLower(a.text("userId"))]
	if u == nil || u.Obsolete {
		return nil, raise(codeUser, "User %s not found", a.text("userId"))
	}
	if s.checks != 0 && s.checked != "" {
		s.checks--
		return nil, raise(codeCheckedOut, "The administrative context users is already checked out by user %s", s.checked)
	}
	return u, nil
}

func (s *Server) getUserAdminAccessRights(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, e := s.admit(a)
	if e != nil {
		return nil, e
	}
	u := n.user
	if id := a.text("userId"); id != "" {
		if u = s.users[strings.ToLower(id)]; u == nil {
			return nil, raise(codeUser, "User %s not found", id)
		}
	}
	return append([]string{"01002010-38a7-11d8-a902-0050bf427e8f"}, u.Rights...), nil
}

func (s *Server) getUserStore(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, e := s.admit(a)
	if e != nil {
		return nil, e
	}
	users := []any{}
	for _, u := range s.sorted() {
		users = append(users, u.contract())
	}
	return map[string]any{"Users": users, "Groups": []any{}, "OwnUserId": n.user.ID, "SessionCount": s.changed}, nil
}

func (u *User) contract() map[string]any {
	return map[string]any{"Id": u.ID, "LoginName": u.Login, "DisplayName": u.Name, "Domain": u.Domain, "Email": u.Mail, "PhoneNumber": "",
		"Language": "en", "Active": !u.Inactive, "Obsolete": u.Obsolete, "NamedUser": false, "ApplicationUser": false,
		"LoginWithInternalPassword": !u.NoInternalPassword, "LoginWithWindowsUser": u.NoInternalPassword, "LoginWithCertificate": false,
		"LoginWithoutPassword": false, "HasEmailNotification": false, "CanChangeLanguage": true, "CanChangeOptions": true, "CanExecuteDefaultSearch": true}
}

func (s *Server) getAllUsersSimple(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, e := s.admit(a); e != nil {
		return nil, e
	}
	filter, _ := a["userFilter"].(map[string]any)
	deleted, _ := filter["RemoveDeletedUsers"].(bool)
	inactive, given := filter["RemoveInactiveUsers"].(bool)
	active, others := []any{}, []any{}
	for _, u := range s.sorted() {
		simple := map[string]any{"Id": u.ID, "LoginName": u.Login, "DisplayName": u.Name, "ExternalUser": false, "HiddenInUI": false}
		switch {
		case u.Obsolete && deleted, u.Inactive && (inactive || !given):
		case u.Obsolete || u.Inactive:
			others = append(others, simple)
		default:
			active = append(active, simple)
		}
	}
	return map[string]any{"ActiveUsers": active, "InactiveAndObsoleteUsers": others, "SessionCount": s.changed}, nil
}

func (s *Server) getUserSimple(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, e := s.admit(a); e != nil {
		return nil, e
	}
	u := s.users[strings.ToLower(a.text("userId"))]
	if u == nil {
		return nil, raise(codeUser, "User %s not found", a.text("userId"))
	}
	return map[string]any{"Id": u.ID, "LoginName": u.Login, "DisplayName": u.Name}, nil
}

func (s *Server) getOwnUser(a arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, e := s.admit(a)
	if e != nil {
		return nil, e
	}
	own := n.user.contract()
	own["UserMustChangePassword"] = n.user.MustChange
	return own, nil
}

// StatusRow is one user as the status page shows it: no value and no hash.
type StatusRow struct {
	ID      string `json:"id"`
	Login   string `json:"login"`
	Active  bool   `json:"active"`
	Changes int    `json:"changes"`
}

// Status is what the server has been asked and what became of it.
type Status struct {
	Calls    map[string]int `json:"calls"`
	Sessions int            `json:"sessions"`
	Users    []StatusRow    `json:"users"`
}

// Status returns the state without secrets, users in a fixed order.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	st := Status{Calls: maps.Clone(s.calls), Sessions: len(s.sessions)}
	for _, u := range s.sorted() {
		st.Users = append(st.Users, StatusRow{u.ID, u.Login, !u.Inactive && !u.Obsolete, len(u.Hashes) - 1})
	}
	return st
}

func (s *Server) serveStatus(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(s.Status())
}
