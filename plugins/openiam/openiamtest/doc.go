// Package openiamtest is a simulator of the OpenIAM identity manager as far as
// passwords go: ProvisionControllerService, and the PasswordWebService,
// LoginDataWebService and AuthenticationService beside it, over SOAP 1.1.
//
// It is written from the protocol, not from the plugin, and shares no code
// with it. Where its facts come from:
//
//	[D] documented on OpenIAM's wiki
//	    setPassword and resetPassword, the fields of PasswordSync, the four
//	    documented failure codes, "a reset returns the new password"
//	[C] read from the community edition's source of December 2011
//	    the order and namespaces of the elements, the status attribute, the wire
//	    names of the codes with their typing errors, the key of an identity
//	    (domain, principal, managed system), the policy rules in the order of
//	    their numbers and their odd character classes (digits are ASCII, symbols
//	    are ! to / and : to @ only, lengths count UTF-16 units), the history that
//	    only setPassword writes, the change counter that PASSWORD_CHANGE_ALLOWED
//	    is compared with, what a reset clears, expiry and grace, the
//	    synchronisation from the default system 0 to the user's other identities,
//	    connectors whose failure is not reported, a reset that keeps its value to
//	    itself, faults where the source dereferences null, the lock after three
//	    wrong logons, the audit rows (srcSystemId is not among them)
//	inferred
//	    the text of faults, the refusal of a request that does not fit the schema
//	    (a server without validation takes more), the WS-Security header and
//	    what refuses it, which statuses answer userStatus where
//	    Options.CheckStatus asks for that
//
// Options switch the behaviours in which documentation and source differ. The
// simulator keeps its state in memory, can be told to fail (Fault), and knows
// nothing of rekey.
package openiamtest
