// Package smartcloudtest is a simulator of the BSS administration interface of
// IBM SmartCloud (Connections Cloud): subscribers, their states and their
// passwords, over HTTP on the loopback. It keeps state and refuses what the
// real system refuses. It is for tests and trials; it knows nothing of the
// smartcloud backend and was written from the notes on the protocol alone.
//
// Documented by IBM [D], or read from code of IBM's clients and tests [C]:
//
//   - Basic authentication on every request; no session. [C]
//   - POST /api/bss/service/authentication/{setOneTimePassword, changePassword,
//     setUserPassword?bypassPolicy=, resetPassword?loginName=}, answered 204
//     without a body. [C]
//   - An empty LoginName, or an absent OldPassword or ConfirmPassword of a
//     change, is 400 with a BSSResponse: ResponseCode as a string, a message,
//     severity Error, a user action and a message id. Two spellings. [C]
//   - A one-time password is checked against the policy and works for one
//     login. [D] A change takes it as the old password and is called with the
//     administrator's credentials. [C]
//   - setUserPassword wants an ACTIVE account and, without bypassPolicy, a value
//     that meets the policy. [D] The one-time call and the change also work
//     while the account is PENDING. [C]
//   - The policy: 8 characters, 4 letters, 1 other character, no blanks, no
//     character more than twice in a row, not one of the last 8, neither user name
//     nor e-mail in it. [D]
//   - Subscribers are listed in pages, found by e-mail, by organisation and by
//     id, added, and moved between states by x-operation. [C]
//   - A Person has Created and Modified (month/day/year hours:minutes:seconds),
//     Deleted and Owner; a customer resource beside the subscriber's tells an
//     organisation, by id, by name, or all. [C]
//   - Every error is the JSON envelope, of unknown paths too; a final slash and a
//     CustomerId as a string are taken. [C: public clients send both]
//   - Roles are asked and given by getRoleList, assignRole, unassignRole. [C]
//
// The clients are OpenNTF/SocialSDK @c9c02d4 and cathaldi/smartcloud-administrator
// @1c724bb.
//
// Inferred, and therefore options where another answer is as likely:
//
//   - An unknown login is 404; a wrong old password, a confirmation that
//     differs and a broken policy are 400; a state that forbids is 409. The
//     wording of messages and all message ids are made up.
//   - Setting the present value again counts as one of the last 8
//     (Options.RepeatAllowed).
//   - A change makes a PENDING account ACTIVE, as a first login by its owner
//     does (Options.StayPending).
//   - Federated accounts have no password here: 409.
//   - Overload is 503: requests have weights, and above a budget in a period
//     all are refused (Options.Budget). The numbers of the real one are unknown.
//   - Any account may read its own profile with its own password, others not:
//     401 for a wrong password, 403 for another one's profile. This stands for
//     a logon. With a one-time password it works once.
//   - Options.Strict refuses what the documents do not list; that the real one
//     does is not known. A blank after the address of a reset, as a public client
//     sends it, is ignored, with Strict taken for another address.
//   - State changes take effect at once; the real ones are asynchronous.
//
// Beside the interface, GET /simulator tells the numbers of accounts and
// requests, without logins and without secrets.
package smartcloudtest
