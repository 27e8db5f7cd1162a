package engine

import "context"

// Apply applies a frozen plan from where the ledger stands to its end, or to a
// hold, a stop or an interruption. ctx cancels: operations in flight then
// stay unknown. An error means that the ledger could not be read or written.
func Apply(ctx context.Context, job Job) (Ending, error) {
	r := newRun(ctx, job)
	defer r.owners.close()
	if err := r.ownersFromLedger(); err != nil {
		return Ending{}, err
	}
	stopProbes := r.start()
	waves := &scheduler{run: r}
	waves.batcher = newBatcher(r, r.batchLimit(), waves.serveOn)
	err := waves.apply()
	waves.batcher.close()
	if r.hard.Err() != nil {
		r.interrupt() // what watches the context may be slower than a run that ends by it
	}
	stopProbes()
	for _, d := range r.dispatchers {
		d.names.asks.Wait()
		d.close()
	}
	if werr := r.committer.close(); err == nil {
		err = werr
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fatal != nil {
		err = r.fatal
	}
	return r.ending, err
}
