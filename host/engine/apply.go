package engine

import "context"

// Apply applies a frozen plan from where the ledger stands to its end, or to a
// hold, a stop or an interruption. ctx cancels: operations in flight then
// stay unknown. An error means that the ledger could not be read or written.
func Apply(ctx context.Context, job Job) (Ending, error) {
	run := newRun(ctx, job)
	defer run.owners.close()
	if err := run.ownersFromLedger(); err != nil {
		return Ending{}, err
	}
	stopProbes := run.start()
	waves := &scheduler{run: run}
	waves.batcher = newBatcher(run, run.batchLimit(), waves.serveOn)
	err := waves.apply()
	waves.batcher.close()
	if run.hard.Err() != nil {
		run.interrupt() // what watches the context may be slower than a run that ends by it
	}
	stopProbes()
	var waited []Wait
	for _, backend := range run.Backends {
		dispatcher := run.dispatchers[backend.Label]
		dispatcher.names.asks.Wait()
		dispatcher.close()
		if wait := dispatcher.waits.all(backend.Label, run.Clock.Now()); wait.Times > 0 {
			waited = append(waited, wait)
		}
	}
	if werr := run.committer.close(); err == nil {
		err = werr
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.fatal != nil {
		err = run.fatal
	}
	run.ending.Waits = waited
	return run.ending, err
}
