// Package engine applies a frozen plan: waves, batches, concurrency, rates,
// retries, settling of unknown outcomes, reverting, resuming. It knows the
// ledger's records and the vocabulary of plugins; it knows nothing of
// Starlark, processes or terminals.
package engine
