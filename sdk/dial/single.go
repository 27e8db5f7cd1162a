package dial

import (
	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
)

// single sends operations one a call, as many at once as the instance's concurrency.
type single struct {
	instance *Instance
	slots    chan struct{}
}

func newSingle(instance *Instance) *single {
	return &single{instance: instance, slots: make(chan struct{}, instance.config.Concurrency)}
}

// submitAll sends the operations at the places, nil for all, one a call.
func (s *single) submitAll(ops []sdk.Operation, places []int, answer func(count int, receipt sdk.Receipt)) {
	if places == nil {
		for index := range ops {
			s.submit(ops[index], func(receipt sdk.Receipt) { answer(index, receipt) })
		}
	}
	for _, count := range places {
		s.submit(ops[count], func(receipt sdk.Receipt) { answer(count, receipt) })
	}
}

// submit sends one when a slot is free.
func (s *single) submit(op sdk.Operation, answer func(sdk.Receipt)) {
	select {
	case s.slots <- struct{}{}:
	case <-s.instance.done:
	}
	started := s.instance.run(func() {
		defer func() { <-s.slots }()
		answer(s.call(op))
	})
	if !started {
		answer(sdk.Refuse(sdk.Errorf(sdk.Unreachable, "not sent: %s", s.instance.client.reason(errClosed))))
	}
}

// call makes one call of what others take in frames.
func (s *single) call(op sdk.Operation) sdk.Receipt {
	if op.Verb == sdk.Verify {
		verdict, err := s.instance.Verify(s.instance.ctx, op.Account, op.Kind, op.Value)
		if err != nil {
			return sdk.Refuse(sdk.AsError(err, sdk.Internal))
		}
		return sdk.Receipt{Outcome: sdk.Applied, Verdict: verdict}
	}
	receipt := s.instance.operation(s.instance.ctx, pb.Backend_Apply_FullMethodName, op)
	receipt.Value = secret.Value{} // only a reset has one
	return receipt
}
