package host_test

// ruled is one failure, and the tests that rule it out.
type ruled struct {
	what  string
	tests string // names, separated by spaces
	why   string
}

// failuresAtTheEdges are what was found at the edges of rekey itself, by number
// (issue 8).
var failuresAtTheEdges = []ruled{
	{"1: a cancelled call is recorded as an answer", "TestACancellationIsNeverAnAnswer TestFaultsACancellationIsNoAnswer TestFaultsFindACancellationThatIsAnAnswer", ""},
	{"2: the ledger is removed, replaced, cut or flipped under a run that goes on",
		"TestLedgerThatVanishesUnderARunStopsIt TestHarmToTheFilesIsNoticedBeforeAnythingIsSent TestFlippedByteIsNoticedOrHarmless TestSentLastNamesTheLastGroupAndTheUnanswered TestTamperedStateIsNoticedByEveryCommand", ""},
	{"3: a copy of a run's database is no copy",
		"TestCopyOfTheDatabaseAloneIsACopy TestRunIsOneWholeFileWhenNobodyHasItOpen TestReaderFoldsInWhatAKilledProcessLeft TestBackupIsAStateDirectory TestBackupIsWholeWhileRunsGoOn", ""},
	{"4: an older or copied ledger is applied",
		"TestOlderAndOtherLedgersAreRefused TestRunThatWasMovedSaysSo TestCheckpointIsComparedWithTheLog TestMarkNeverLeadsAndSurvivesATornWrite TestStateDirectoryIsNamedOnce", ""},
	{"5: a typo makes an identity, and anybody may read one", "TestScripts TestFilesOfKeysAreReadAsSshReadsIts TestASecretFile", "testdata/script/identities.txtar has the verbs"},
	{"6: a piped list is on the disk in clear", "TestNoPasswordIsInABlockOfTheDisk TestASealedFileIsNoOthers TestASealedFileIsWhatWasWritten TestASpoolHasABound", ""},
	{"7: an output lands on what the run needs",
		"TestNoOptionWritesOverWhatRekeyNeeds TestAnOutputThatIsNotOursNeedsOverwrite TestTwoOutputsOfARunAreTwoFiles TestADeviceIsNotReplaced", ""},
	{"8: a lost attempt arrives after another value",
		"TestWhatArrivesLateMakesNoClaimUntrue TestAnAttemptOfAnEarlierProcessIsWaitedFor TestALostChangeMattersOnlyToTheValueItChangesFrom TestALostResetIsOvertakenByNoValue TestFaultsHeldRequestsMakeNoClaimUntrue TestFaultsSlapdRandomRoundsMakeNoClaimUntrue", ""},
	{"9: a later refusal speaks for a lost attempt", "TestARefusalAfterALostAttemptSaysNothingOfThatOne TestFaultsTheHistoryIsReadRight", ""},
	{"10: \"already applied\" is believed of what was never sent", "TestAlreadyAppliedIsBelievedOnlyAfterALostAttempt", ""},
	{"11: --accept-change moves users that have started",
		"TestAcceptedChangesNeverMoveUsersThatHaveStarted TestATargetIsOnRecordWhereItsValuesAre TestNewestAppliedGoesByTheTargetThatWasAccepted TestUsedIsWhereAUserHasOrMayHaveAValue", ""},
	{"12: an audit that leaves something out is intact",
		"TestTailWithoutASignedHead TestKeyInTheLogIsCompared TestEverySealedValueIsOpened TestRecordThatWasChangedIsNamedAtTheEnd FuzzBundle", ""},
	{"13: a value that a plugin says back is shown",
		"TestNoTextOfTheContractSaysAValueBack TestTheHostTrustsNoPluginToScrub TestEveryPieceOfEightCharactersIsScrubbed TestWhatIsNoRuleAndNoStatusIsAWordOfTheContract TestTheOracleCanFail", ""},
	{"14: a plugin that somebody else could replace is started",
		"TestAPluginThatSomebodyElseCouldReplaceIsNotStarted TestWhoMayPutAnotherFileThere TestLinksAreFollowedAsTheKernelDoes TestAScriptThatIsReplacedWhileItStartsIsSentNothing TestAnotherProgramOfTheSameVersionIsRefusedUntilItIsAccepted TestWhatAPluginMayUseIsShownAndPinned", ""},
	{"15: a crash reads as \"nothing was changed\"", "TestSIGQUITIsOneLine TestAPanicNamesItsUser TestWhatBuiltinsMakeIsBounded TestWhatDoublesIsBounded", ""},
	{"16: an input without an end holds the command", "TestEndlessInputsEnd TestStandardInputEndsWithASignal TestAPipeThatNobodyWritesToEnds TestAFileThatGrowsOrIsTooLargeEnds", ""},
	{"17: reading needs a disk that can be written", "TestReadingWorksOnAnyDisk TestDamagedNeighbourIsNamedAndKeepsNobody TestEveryCommandNoticesThatItsResultsAreLost TestReadingNeedsNothingBesideTheRuns", ""},
	{"18: what is not seen, or is obeyed by a terminal, passes", "TestAScriptHasNoHiddenCharacters TestAKeyHasNoHiddenCharacters TestATerminalObeysNothing TestASecretInATextOfAReportIsAnError", ""},
}

// failuresOfGreen are green ends that were not true, healthy runs that failed and
// words that misled, by number (issue 9, A, B.5, B.10 and C).
var failuresOfGreen = []ruled{
	{"A: a green end that is not true, of whatever kind", "TestGreenIsTrue", ""},
	{"A.1: two names of one account are done, and one password is dead",
		"TestTwoNamesOfAnAccountHaveOneOwner TestAllNamesOfAnEntryAreOne TestNoTwoRowsShareAnAccount TestNoTwoLabelsShareALine TestAResumeKnowsWhoseTheAccountsAre TestFoldMakesNamesOfOneUserEqual", ""},
	{"A.2: a rotate that changes nothing is done", "TestStatusByRecords TestStatusOfAUser TestAPathWithoutAChangeIsWarnedOf TestShippedScriptsHaveNoPathWithoutAChange", ""},
	{"A.3: a resume walks past the threshold", "TestThresholdsHoldOverAResume TestAThresholdCounts TestARetryThatHelpsGoesOn", ""},
	{"A.4: a wrong row shows when all passwords are changed", "TestReportRowsAreTriedAtPlan TestAReportThatCannotBeWrittenEndsWith7", ""},
	{"A.5: a verify that cannot tell fails everybody; stamps are never asked", "TestAVerifyThatCannotTellIsNoRefusal TestAChangeStampSettlesALostAnswer", ""},
	{"A.6: a backend that is down fails every user", "TestACircuitHoldsWithoutCheck TestAnAttemptIsFreeWhileAllWait TestWhatIsWaitedForIsSaidOnce", ""},
	{"A.7: values that the host can see are wrong are set",
		"TestPlainPasswordsAreWarnedOf TestPasswordsOfAnyColumnAreLookedAt TestAPasswordIsLookedAtWhereverItStands TestAPasswordThatMayBeNoneIsWarnedOf TestOneValueForSeveralUsersIsWarnedOf TestValuesThatCannotBeMeantAreNamed TestAHeaderInTheMiddleIsNoUser TestHalfALetterIsNoName TestAListOfPasswordsIsNotReplacedByAWorseOne TestAHashIsOfItsForm TestKendoxScriptTakesHashes", ""},
	{"A.8: when a run ended is when its report is printed", "TestFactsOfARunAreFacts TestASpanIsWhenARunWasApplied", ""},
	{"A.9: a file that is no password file is harmed, and a slow hash fails users", "TestAFileThatIsNotOursIsFoundAndLeftAlone TestFilesThatAreOursStayOurs TestAFileThatCannotBeReplacedIsFoundByCheck TestASlowHashFailsNobody", ""},
	{"A.10: nothing says what a set leaves behind", "TestCheckSaysWhatASetLeavesBehind TestCheckCountsTheGraceLoginsOfBindDN TestAValueThatPointsToAnotherSystemIsKept TestAccountsListsNoAliasesAndSaysFederated TestSeveralValuesOfAnAttributeAreAList", ""},
	{"A.11: a revert that cannot revert says nothing", "TestARevertThatCannotSaysSo", ""},
	{"A.12: nobody is a success, and every user may fail", "TestNobodyIsNoSilentSuccess TestLikeFailuresInARowStopARun", ""},
	{"B.5: a wrong kind of a generated value fails every user", "TestTheKindOfGenerateIsChecked TestTheKindOfAGeneratedValueIsChecked TestAMissingKindIsADefectOfTheScript", ""},
	{"B.10: hclog is there and not used", "TestTheLogIsHclogs TestStandardErrorIsOfOneFormat TestAPluginsLinesAreHclogs TestSlogSpeaksHclog", ""},
	{"C.1: a reader that goes away ends a run", "TestARunOutlivesWhoReadsIt TestASignalThatIsIgnoredStaysIgnored", ""},
	{"C.2: a message misleads", "TestWhatKeepsFromTheServerIsToldInTheWordsOfTheSettings TestEveryKindOfCertificateHasAdviceOfItsOwn TestFilesThatAreNoListAreNamed TestTheLineOfExcelIsSkipped TestMessagesOfAFirstWeek TestAScriptThatIsGoneIsNotCalledAnother TestAFilterThatSelectsNobodySaysSo TestPolicyOfTheServerIsTold TestNextSaysWhatToDoByCode TestWordsOfAFewNumbers TestOpenIAMRefusalGivesTheDirectoryItsPasswordBack TestAProxyOfTheEnvironmentThatIsNotUsedIsSaid",
		"the 28 messages by their rows: 1, 2 and 26 the first of these; 23 TestAllNamesOfAnEntryAreOne; 24 TestPolicyOfTheServerIsTold; 17 and 27 have tests of their own; all others TestMessagesOfAFirstWeek"},
	{"C.3: an option is ignored, a path is not what it reads", "TestOutWantsAFormat TestADashIsStandardOutput TestExpand TestAScriptInTheHomeDirectoryIsFound TestWhatIsWrongWithALedgerIsSaidInWords TestAReportOfNobodyHasTheColumnsOfItsRow TestEveryCommandNoticesThatItsResultsAreLost", ""},
	{"C.4: the examples leave lists of passwords to be committed", "TestListsOfTheREADMEAreIgnored", ""},
}
