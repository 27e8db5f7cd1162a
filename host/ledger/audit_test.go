package ledger

// audited verifies a run and demands that nothing is wrong.
func audited(t bench, s *Store, id, checkpoint string) Audit {
	t.Helper()
	a, err := s.Verify(id, checkpoint)
	must(t, err)
	if !a.OK {
		t.Fatalf("Verify(%s) found %v", id, a.Problems)
	}
	return a
}
