// Package openiamtest is a simulator of the OpenIAM identity manager as far as
// passwords go: ProvisionControllerService, and the PasswordWebService,
// LoginDataWebService and AuthenticationService beside it, over SOAP 1.1.
//
// It is written from the protocol, not from the plugin, and shares no code
// with it. Where its facts come from:
//
//	[D] documented on OpenIAM's wiki (Developer Synchronizing Passwords); where
//	    the sources do otherwise there is an option, and a flag of simulate
//	    setPassword and resetPassword; securityDomain, principal,
//	    validateRequest, password, srcSystemId, requestorId; the four failure
//	    codes (Constants, CheckStatus, PolicyCode); "a reset returns the new
//	    password" (ReturnResets); a missing password is made, in both
//	    operations (BlankSets); no managed system in a request (HomeSystem);
//	    the namespace .../service/connector (Namespace)
//	[C] read from the community edition's source of December 2011
//	    (henrik242/openiam-idm-ce @b36f5ff), and tried with its own classes
//	    under the reference implementation of JAXB and JAX-WS: without Strict
//	    elements in any order, any left out, 1 for true, no SOAPAction; ?wsdl,
//	    not ?wsdl=; the order and namespaces of the elements, the status attribute, the wire
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
//	    the text of faults, Strict (the server configures no validation of the
//	    schema), the refusal of an element that the schema does not have, the
//	    binding and the names of types in ?wsdl, the WS-Security header and
//	    what refuses it, which statuses answer userStatus where
//	    Options.CheckStatus asks for that
//
// Options switch the behaviours in which documentation and source differ. The
// simulator keeps its state in memory, can be told to fail (Faults), and knows
// nothing of rekey.
package openiamtest
