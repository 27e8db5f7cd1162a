package host_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// failuresOfOthers are what went wrong in other tools that set passwords in bulk, as
// their issue threads, advisories and sources tell it. Each names the tests that
// would fail if it happened here; where rekey has no place for it to happen, why
// says so.
var failuresOfOthers = []ruled{
	// Lost passwords.
	{"results are kept in memory until the loop ends; a failure at user k loses those before it",
		"TestKilledAtAnyMomentEveryPasswordIsKnown TestBroadworksFailureLosesNoneBefore", ""},
	{"users are paired with generated values, and dropped in silence where there are fewer values",
		"TestAGeneratorThatMakesTooFewIsRefused TestAListThatBreaksIsAnError TestFaultsLoseNothing", "every planned user ends with one status, which the fault harness counts"},
	{"the password is set, then logged; the log fails and nobody notices",
		"TestABrokenLedgerSendsNothing TestWhatIsNotDurableIsNotSent", ""},
	{"a check that wrongly says no throws the only copy away",
		"TestCandidatesTellWhatMayBeCurrent TestOpenIAMValueThatIsNotAcceptedIsNotCalledDone", ""},
	{"side paths, the tool's own login for one, have no write-ahead record",
		"TestImportsRunOneWay TestLoginOfTheServiceAccountIsProtectedToo", "steps of the engine are the only way to a plugin's Apply, and a plugin changes its own login by step.handover alone, which is one"},
	{"the write-ahead record is in a transaction that is rolled back with what it protects",
		"TestKilledProcessLosesNothingItWasTold TestFaultsFindAProtectionThatIsOff", ""},
	{"one place for the password: after a crash it holds the new one or the old one, and nobody knows which is live",
		"TestAnEndAtAnyMomentLosesNoValue TestCandidatesTellWhatMayBeCurrent", "a ledger only grows, so each candidate has a record of its own"},
	{"reported before it is applied, or applied before it is reported: either order loses",
		"TestAKilledProcessIsResumedWithTheSameValue TestStatusAndAttemptsAreThoseOfTheLedger", ""},
	{"a failed change hides that the old password still works",
		"TestReportRowsOfAnUncertainUser TestAPasswordIsThereOnlyWhereItIsCertain TestStatusOfAUser", ""},
	{"a value that policy refuses is tried for ever, or one that may be live is given up",
		"TestARefusalByPolicyGetsAnotherValue TestASecondValueBesideAnUnknownOneStopsTheRun TestMinAgeIsNotAnsweredWithAnotherValue", ""},
	{"a target restored from a backup has its old passwords again",
		"TestNewestAppliedLooksThroughAllRuns TestCandidatesTellWhatMayBeCurrent", "no value is ever taken out of the ledger but by forget; reveal lists those that were replaced"},
	{"two controllers rotate one credential",
		"TestTwoRunsOnOnePasswordFileTearNothing TestSecondLockNamesTheProcess TestASecondUserOfAnAccountIsRefusedBeforeAnythingIsSent", "another tool's change is seen by a verify or by the change stamp, when an outcome is unknown; it cannot be prevented from here"},

	// Lockouts.
	{"probing with the wanted password counts as a bad logon, for each account, on each run",
		"TestWithoutRotateAUserIsGenerateSetAndVerify TestNoLogonIsTriedAfterThreeRefusedOnes TestWrongBindPasswordIsTriedOnce TestAfterThreeRefusedLoginsNoneIsTried", "without a rotate hook a user is verified only where that needs no logon attempt"},
	{"a password that has to be changed at the next logon is taken for a wrong one",
		"TestAnswersToALogon TestActiveDirectory", ""},
	{"whatever uses the password keeps the old one",
		"TestAHoldStopsBeforeTheNextWave TestSmartcloudCanaryWaitsForItsApproval", "consumers are told between waves, which pause, or hold until somebody approves"},
	{"the operator, a service account or everybody at once is reset by mistake",
		"TestKendoxProtectedAccountsAreLeftAlone TestLoginOfTheServiceAccountIsProtectedToo TestScripts", "--max-users and the question with its count are in life.txtar"},
	{"temporary passwords run out before anybody used them",
		"TestSmartcloudTemporaryPasswordsBecomePermanentAndKnown TestInitialiseMakesTemporaryPasswordsPermanent", "a script gives permanent ones; must_change is asked for by name"},

	// Wrong or equal values.
	{"one random password for everybody",
		"TestQuickstartGivesEveryAccountANewPasswordThatWorks TestEveryValueIsEquallyLikely TestGlobalsAreFrozen", "a value is generated in one user's rotate, which can hand nothing on to the next"},
	{"an import overwrites whom it should have left, with the text \"undefined\"",
		"TestAnOptionalSecretThatIsEmptyReachesTheEngine TestJSONLNamesWhatIsWrong TestCSVNamesWhatIsWrong", "an empty secret is a problem of its line, or InvalidOperation where the script calls it optional"},
	{"a generated value is accepted by its own system and breaks the next one",
		"TestEveryValueMeetsEveryPolicy TestContradictionsNameRulesAndOwners TestRecipeCheckHoldsTheScriptsRulesToo", ""},

	// Leaks.
	{"a list of passwords that everybody may read",
		"TestAFileAppearsWholeAndPrivate TestNobodyElseMayReadAnythingUnderAnyUmask TestTheUmaskDoesNotCount", ""},
	{"clear text in task objects and temporary files",
		"TestSealedValueIsInNoFile TestTemporaryFilesOfAPlanAreInTheStateDirectory TestEncodeKeepsSecretsSealed", ""},
	{"an error, or a debug log, shows the record it failed on",
		"TestNoVerbShowsAValue TestLoggersDoNotShowAValue TestNoPasswordLeavesButInTheColumnThatNamesIt", ""},
	{"a password is an argument, which every user of the machine sees",
		"TestNoPasswordLeavesButInTheColumnThatNamesIt", "no flag takes one; a parameter that a script makes one of is warned of"},
	{"a password is taken for part of a template, and breaks it or is changed by it",
		"TestValuesSurviveEveryFormat TestHostileNamesArriveAsTheyAre TestWritableIsWhatXMLCarries", ""},
	{"a link that works once is used up by a scanner of mails",
		"TestAnEncryptedReportOpensForItsRecipientsOnly", "rekey makes no links and sends no mails; a report is sealed to keys that its readers hold"},

	// Throttling and scale.
	{"without a call for many, one after another, for hours",
		"BenchmarkSlapd BenchmarkRun TestManyAtOnceShareOneSession TestBatchesHoldACredentialOnceAndAnswerAll", ""},
	{"a rate limit drops users, and nobody knows which",
		"TestWaitingAsAskedIsFreeUntilPatienceEnds TestSmartcloudThatIsBusyIsWaitedFor TestOverloadIsTold", ""},
	{"the longer the list, the more each user costs",
		"BenchmarkRun", "it compares 20,000 users with 200,000"},
	{"mails pile up, and arrive when their contents are stale",
		"TestScripts", "rekey sends no mails; life.txtar makes a report that was lost again, from the ledger"},

	// Encoding.
	{"unicodePwd not in quotes, not UTF-16LE, or in clear",
		"TestUnicodePwdIsQuotedUTF16LE TestServerThatWantsTLSRefusesTheLogonInClear TestActiveDirectory", ""},
	{"the CR of a Windows file becomes part of the password",
		"TestCSVReadsRows TestCSVNamesWhatIsWrong TestListNamesWhatIsWrong", ""},
	{"a byte order mark becomes part of the first name",
		"TestCSVReadsRows", ""},
	{"an empty password is accepted; of two lines for a user the last wins",
		"TestCSVNamesWhatIsWrong TestDuplicatesAreFoundWithTheirFirstLine TestASecondUserOfAnAccountIsRefusedBeforeAnythingIsSent", ""},
	{"a comma in a name, a leading zero, a sheet that was saved again",
		"TestCSVReadsRows TestCSVNamesWhatIsWrong TestCellsAreTyped TestAccountsAreFoundByLoginAndByDN", "a column is text unless the script gives it a type, and a line with another number of columns is refused"},
	{"a spreadsheet runs a password as a formula, or the cure changes the password",
		"TestFormulasAreCountedAndNotChanged TestEveryValueMeetsEveryPolicy", ""},
	{"a hash cuts long values, two spellings of a letter differ, a PIN loses its zeros",
		"TestBcryptRefusesWhatItWouldCutOff TestKendoxEncodingIsProvenBeforeAnythingIsChanged TestAPinHasDigitsOnlyAndNoTrivialRun TestValuesSurviveEveryFormat", "generated values are ASCII; given ones are sent as they are"},

	// Bookkeeping.
	{"the state shown is that of a change which has not happened yet",
		"TestStatusAndAttemptsAreThoseOfTheLedger TestStateOfARun", ""},
	{"the old password still works after the change",
		"TestRunningNginxTakesTheNewValueAtOnce", "a script that wants the proof asks step.try_verify with the old value; it costs a bad logon"},
	{"back-off computes to nothing, and refusals are repeated at once",
		"TestWaitsDoubleToAMinute TestRetryAfterIsSecondsOrADate", ""},
	{"a marker of an unfinished rotation is never cleared, and blocks the next",
		"TestFaultsLoseNothing TestKilledPlanLeavesNothing TestForgetThatDiedBeforeTheEndIsCompletedByTheNextLock TestUnfrozenDraftIsNoRun", "an unfinished run is resumed, or left for a new one with --new"},
	{"the target wants the old password for a change, and is not given it",
		"TestChangeIsTheOwners TestEachVerbIsItsOwnCall", ""},
	{"a change that has not reached every replica yet is taken for a failure",
		"TestAWaitThatTheTargetAsksForIsFreeOfAttempts TestVerdicts", "an instance speaks to the one server of its url, for the set and for its verify"},
}

// failuresOutside are what clients, servers and files of other people's making
// found (issue 9, B).
var failuresOutside = []ruled{
	{"B.1: ?wsdl= is asked for ?wsdl, and its 404 taken for a service that is not there",
		"TestCheck TestCheckOfWhatIsNoService TestARawQueryIsSentAsItIs TestTheDescriptionHasOneAddress", ""},
	{"B.2: a field that only feeds a warning has another type, and nobody can log in",
		"TestTheSessionIsReadWhateverItsFieldsAre TestRulesAreReadWhateverTheirFieldsAre TestFieldsThatDecideNothingAreReadInAnyForm TestLooseFieldsNeverFailAnAnswer", ""},
	{"B.3: a service that only a look-up needs is missing, and every user fails for it",
		"TestOpenIAMScriptWithoutTheLookUpService TestWithoutTheLookUpServiceOnlyTheLookUpIsMissing TestOpenIAMResetScript", ""},
	{"B.4: an empty variable of the shell means everybody",
		"TestShippedScriptsTakeNoEmptyValueForEverything TestBroadworksNobodyIsNobody", ""},
	{"B.6: more values are made than there are users", "TestGeneratorsAreAskedForNoMoreValuesThanUsersAreLeft", ""},
	{"B.7: rules that may not be read fail every user", "TestRulesThatMayNotBeReadFailNobody", ""},
	{"B.8: the wanted passwords stand in a column that nobody reads, and others are made",
		"TestSmartcloudScriptTakesFinalPasswords TestShippedScriptsPassOverNoColumnOfPasswords TestKendoxScriptTakesHashes TestCSVMayLackColumns", ""},
	{"B.9: a simulator takes what its own plugin sends, and nothing that others do",
		"TestRequestFormsOfClients TestAClientCanBeMadeFromTheAddress TestBackendKeepsTheContract TestEveryOptionHasAFlag", ""},
}

// TestEachFailureOfOtherToolsIsRuledOut: the tables name tests that there are.
func TestEachFailureOfOtherToolsIsRuledOut(t *testing.T) {
	have := testsOfTheModule(t)
	if len(failuresOfOthers) != 43 {
		t.Errorf("%d failures, want 43", len(failuresOfOthers))
	}
	for _, f := range slices.Concat(failuresOfOthers, failuresOutside, failuresAtTheEdges, failuresOfGreen) {
		names := strings.Fields(f.tests)
		if len(names) == 0 {
			t.Errorf("%q: no test", f.what)
		}
		for _, n := range names {
			if !have[n] {
				t.Errorf("%q: there is no %s", f.what, n)
			}
		}
	}
}

// testsOfTheModule are the names of all test functions and benchmarks.
func testsOfTheModule(t *testing.T) map[string]bool {
	t.Helper()
	have := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				have[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}
