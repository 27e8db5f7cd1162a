// Package broadworkstest is a simulator of the Odin REST interface over
// BroadWorks: logins and tokens, users, their services and their three
// credentials, the rules that hold for them and the generators that obey these.
// It keeps state and refuses what the real system refuses. It is for tests and
// trials; it knows nothing of the broadworks backend and was written from the
// notes on the protocol alone.
//
// The interface's reference (doc.odinapi.net) is public, and was not read
// itself. Read from code of clients [C] (Jordan-Prescott/odins_spear @810cbc8
// and @770416c, parkbenchsolutions/odin-reports), documented by them [D], or seen in the web interface
// and in samples [O]:
//
//   - POST /auth/token with username and password answers a token; PUT
//     /auth/token and PUT /auth/session renew it (Options.Refresh chooses). [C]
//     402 is a right password due for a change first; PUT /auth/password
//     changes it. [O]
//   - GET /password/generate, /passcode/generate and /sip-password/generate make
//     values; with limit=N the first two answer a list. /password/generate
//     without provider and group goes by the system's rules, as a client's bulk
//     script for SIP needs. [C]
//   - PUT /users/authentication (SIP), /users/portal-passcode (voicemail) and
//     /users/passwords (web) set; a read never shows a secret. [C, O]
//   - SIP needs the service "Authentication", the passcode "Voice Messaging
//     User". [O]
//   - GET /users lists a group, or without groupId a whole enterprise, with
//     filters v, v*, *v*. [C] GET /service-providers?serviceProviderId= and
//     GET /groups?serviceProviderId=&groupId= answer one object with
//     isEnterprise and defaultDomain; without the name, lists. [D, O]
//   - passwordExpiresDays is a number, and a string where it is negative, which
//     never and expired are: "-2147483648", "-107". [O] (Options.Expires)
//   - A login is JSON, or a form: public scripts send both. [C]
//   - Passcodes have 4 to 6 digits: what a client takes before it sends one [C];
//     the schema's own range is wider (Options.Rules).
//   - Rules: of a group for web passwords, of group, provider or system for
//     passcodes by useRuleLevel, of provider or system for SIP by
//     useServiceProviderSettings; their fields and ranges are those of the
//     BroadWorks schema. A run of equal, ascending or descending digits fails
//     when it is as long as the configured number, or longer. [O]
//   - Errors are JSON with error, status and details. Every answer is JSON, also
//     of calls that return nothing: clients parse it. [C]
//
// Inferred, and therefore options where another answer is as likely:
//
//   - A broken rule and a missing service are 400, an unknown user is 404, a
//     dead token 401, a call above one's rights 403. The texts are made up, but
//     for the form "[Error nnnn] text" of BroadWorks.
//   - Options.Strict takes JSON only that says it is; that the real one takes no
//     more is not known.
//   - Rules may be hidden from a login (Options.NoRules).
//   - Tokens live for Options.TokenLife; a dead one cannot be renewed.
//   - A service may come by a service pack: /users/services then shows the pack
//     as assigned, /users/services/assigned shows those in force
//     (Options.PacksHidden: it does not).
//   - After maxFailedLoginAttempts a web login answers 401 until a new password
//     is set; a new passcode lifts isLoginDisabled.
//   - The system's rules for passcodes are at /system/passcode-rules, the
//     provider's for SIP at /service-providers/sip-authentication-password-rules.
//   - PUT /users/passwords answers {}.
//   - GET /users answers an array, or with Options.Paged the envelope of the
//     paged interface, read on with offset.
//
// Beside the interface, GET /simulator tells the numbers of users and requests,
// without names and without secrets.
package broadworkstest
