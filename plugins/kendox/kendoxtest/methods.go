package kendoxtest

import (
	"slices"
	"strings"
)

// infoShare is the documented methods: each has its arguments checked and answers with
// what the reference says.
type infoShare struct{ *Server }

// enter finds the session of a call and restarts its idle time.
func (s infoShare) enter(arguments arguments) (*session, *exception) {
	id := arguments.text("connectionId")
	s.sweep()
	session := s.sessions[strings.ToLower(id)]
	if session == nil {
		return nil, raise(codeConnection, "The connection id %s isn't valid or has expired", id)
	}
	session.used = s.now()
	return session, nil
}

// admit is enter for calls that need a confirmed second factor.
func (s infoShare) admit(arguments arguments) (*session, *exception) {
	session, exception := s.enter(arguments)
	if exception == nil && !session.verified {
		exception = raise(codeVerify, "Verification code is needed: Verification code not yet verified")
	}
	return session, exception
}

func (s infoShare) logon(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.o.Tenant != "" && !strings.EqualFold(arguments.text("tenantName"), s.o.Tenant) {
		return nil, raise(codeTenant, "Unknown tenant %s", arguments.text("tenantName"))
	}
	user := directory(s).byLogin(arguments.text("userName"))
	if user == nil || user.Inactive || user.Obsolete || user.NoInternalPassword || arguments.text("passwordHashed") != user.Hash {
		return nil, raise(codeLogon, "Cannot log in user %s", arguments.text("userName"))
	}
	s.sweep()
	if s.o.Licences > 0 && len(s.sessions) >= s.o.Licences {
		return nil, raise(codeLicence, "No licence left")
	}
	if s.o.Sessions > 0 && s.sessionsOf(user) >= s.o.Sessions {
		return nil, raise(codeSessions, "The user %s has too many sessions", user.Login)
	}
	id := newID()
	s.sessions[id] = &session{user: user, used: s.now(), verified: !user.SecondFactor}
	return s.result(id), nil
}

func (s infoShare) sessionsOf(user *User) int {
	count := 0
	for _, open := range s.sessions {
		if open.user == user {
			count++
		}
	}
	return count
}

func (s infoShare) result(id string) map[string]any {
	session := s.sessions[id]
	kind := "None"
	if !session.verified {
		kind = "Mail"
	}
	return map[string]any{"ConnectionId": id, "ConnectionTimeoutSeconds": int(s.o.Idle.Seconds()), "OwnUserId": session.user.ID,
		"IsApplicationLicence": false, "IsConcurrentLicence": true, "IsNamedLicence": false, "IsReadOnlyLicence": false,
		"IsVerificationCodeNeeded": !session.verified, "PossibleTwoWayAuthenticationType": kind, "TwoWayAuthenticationTargetMail": "",
		"JWTToken": "jwt-of-" + id, "AbsenceInfo": map[string]any{}}
}

func (s infoShare) logoff(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exception := s.enter(arguments); exception != nil {
		return nil, exception
	}
	delete(s.sessions, strings.ToLower(arguments.text("connectionId")))
	return nil, nil
}

func (s infoShare) getLogonResult(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exception := s.enter(arguments); exception != nil {
		return nil, exception
	}
	return s.result(strings.ToLower(arguments.text("connectionId"))), nil
}

func (s infoShare) verifyCode(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, exception := s.enter(arguments)
	switch {
	case exception != nil:
		return nil, exception
	case session.verified:
		return nil, raise(codeNoCode, "Verification code is not needed")
	case arguments.text("verificationCode") != s.o.Code:
		return nil, raise(codeWrongCode, "Verification code is wrong")
	}
	session.verified = true
	return nil, nil
}

func (s infoShare) setUserPasswordHashed(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, exception := s.target(arguments)
	if exception != nil {
		return nil, exception
	}
	hash := arguments.text("newPasswordHashed")
	if !s.o.Loose && !isHash(hash) {
		return nil, raise(codeNotSet, "The password could not be set")
	}
	directory(s).take(user, hash)
	return nil, nil
}

func (s infoShare) setUserPassword(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, exception := s.target(arguments)
	if exception != nil {
		return nil, exception
	}
	password := arguments.text("newPassword")
	if code := s.o.Rules.broken(password); code != 0 {
		return nil, raise(code, "%s", map[int]string{codeTooShort: "The password is too short", codeLetter: "The password must contain a character",
			codeSpecial: "The password must contain a special character", codeMixed: "The password must contain upper and lower characters",
			codeDigit: "The password must contain a digit"}[code])
	}
	if password == "" {
		return nil, raise(codeNotSet, "The password could not be set")
	}
	directory(s).take(user, s.Hash(password))
	return nil, nil
}

// target finds the user that a password call is about, if the caller may.
func (s infoShare) target(arguments arguments) (*User, *exception) {
	session, exception := s.admit(arguments)
	if exception != nil {
		return nil, exception
	}
	for _, right := range []struct{ name, id string }{{"Access to users and user groups", RightUsers},
		{"Access to security edit access right", RightSecurity}, {"Reset user password", RightPassword}} {
		if !slices.ContainsFunc(session.user.Rights, func(id string) bool { return sameID(id, right.id) }) {
			return nil, raise(codeRights, "Not enough rights (%s, %s)", right.name, right.id)
		}
	}
	if sameID(arguments.text("userId"), DCIAdmin) && !sameID(session.user.ID, DCIAdmin) {
		return nil, raise(codeAdmin, "Only the DCIAdmin user can set the password for the DCIAdmin user")
	}
	user := s.users[strings.ToLower(arguments.text("userId"))]
	if user == nil || user.Obsolete {
		return nil, raise(codeUser, "User %s not found", arguments.text("userId"))
	}
	if s.checks != 0 && s.checked != "" {
		s.checks--
		return nil, raise(codeCheckedOut, "The administrative context users is already checked out by user %s", s.checked)
	}
	return user, nil
}

func (s infoShare) getUserAdminAccessRights(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, exception := s.admit(arguments)
	if exception != nil {
		return nil, exception
	}
	user := session.user
	if id := arguments.text("userId"); id != "" {
		if user = s.users[strings.ToLower(id)]; user == nil {
			return nil, raise(codeUser, "User %s not found", id)
		}
	}
	return append([]string{"01002010-38a7-11d8-a902-0050bf427e8f"}, user.Rights...), nil
}

func (s infoShare) getUserStore(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, exception := s.admit(arguments)
	if exception != nil {
		return nil, exception
	}
	users := []any{}
	for _, user := range directory(s).sorted() {
		users = append(users, user.contract())
	}
	return map[string]any{"Users": users, "Groups": []any{}, "OwnUserId": session.user.ID, "SessionCount": s.changed}, nil
}

func (s infoShare) getAllUsersSimple(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exception := s.admit(arguments); exception != nil {
		return nil, exception
	}
	filter, _ := arguments["userFilter"].(map[string]any)
	deleted, _ := filter["RemoveDeletedUsers"].(bool)
	inactive, given := filter["RemoveInactiveUsers"].(bool)
	active, others := []any{}, []any{}
	for _, user := range directory(s).sorted() {
		simple := map[string]any{"Id": user.ID, "LoginName": user.Login, "DisplayName": user.Name, "ExternalUser": false, "HiddenInUI": false}
		switch {
		case user.Obsolete && deleted, user.Inactive && (inactive || !given):
		case user.Obsolete || user.Inactive:
			others = append(others, simple)
		default:
			active = append(active, simple)
		}
	}
	return map[string]any{"ActiveUsers": active, "InactiveAndObsoleteUsers": others, "SessionCount": s.changed}, nil
}

func (s infoShare) getUserSimple(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exception := s.admit(arguments); exception != nil {
		return nil, exception
	}
	user := s.users[strings.ToLower(arguments.text("userId"))]
	if user == nil {
		return nil, raise(codeUser, "User %s not found", arguments.text("userId"))
	}
	return map[string]any{"Id": user.ID, "LoginName": user.Login, "DisplayName": user.Name}, nil
}

func (s infoShare) getOwnUser(arguments arguments) (any, *exception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, exception := s.admit(arguments)
	if exception != nil {
		return nil, exception
	}
	own := session.user.contract()
	own["UserMustChangePassword"] = session.user.MustChange
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
