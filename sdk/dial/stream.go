package dial

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// stream is the stream of one instance: the open operations, and to whom their answers
// go.
type stream struct {
	instance *Instance
	rpc      grpc.BidiStreamingClient[pb.OperationFrame, pb.AnswerFrame]

	sending sync.Mutex // one frame at a time

	mu     sync.Mutex
	next   uint64            // of frame
	frames map[uint64]*frame // with unanswered operations
	broken *sdk.Error        // once it is: why
	gone   chan struct{}     // closed when the receiver has ended
}

// frame is up to 64 operations that were sent together. Operation n of frame f
// has the number f<<6 | n.
type frame struct {
	open   uint64 // a bit for each unanswered operation
	asks   uint64 // and for each verify
	sent   bool
	due    time.Time // when all its answers should be there
	answer func(n int, r sdk.Receipt)
}

// openStream opens the stream of an instance and receives its answers.
func openStream(instance *Instance) (*stream, error) {
	rpc, err := instance.client.rpc.ApplyStream(instance.ctx)
	if err == nil {
		err = rpc.Send(&pb.OperationFrame{Instance: instance.name})
	}
	if err != nil {
		return nil, instance.client.failed(instance.ctx, "stream", err)
	}
	made := &stream{instance: instance, rpc: rpc, frames: map[uint64]*frame{}, gone: make(chan struct{})}
	instance.wg.Go(made.receive)
	return made, nil
}

// submit sends one frame, or more if its operations are large.
func (s *stream) submit(ops []sdk.Operation, answer func(count int, receipt sdk.Receipt)) {
	var operationFrame pb.OperationFrame
	var places []int
	size := 0
	for index, op := range ops {
		operation, err := wire.EncodeOperation(op)
		if err != nil {
			answer(index, sdk.Refuse(sdk.Errorf(sdk.InvalidOperation, "%s", err)))
			continue
		}
		s.instance.client.redact.Note(op.Value, op.Old)
		if more := wire.OperationSize(operation); size+more > wire.MaxMessage/2 && len(places) > 0 {
			s.send(&operationFrame, places, answer)
			operationFrame, places, size = pb.OperationFrame{}, nil, 0
		}
		size += wire.OperationSize(operation)
		operationFrame.Operations = append(operationFrame.Operations, &pb.NumberedOperation{Operation: operation})
		places = append(places, index)
	}
	if len(places) > 0 {
		s.send(&operationFrame, places, answer)
	}
}

func (s *stream) send(operationFrame *pb.OperationFrame, places []int, answer func(count int, receipt sdk.Receipt)) {
	number := len(places)
	entry := &frame{open: 1<<number - 1, answer: func(count int, receipt sdk.Receipt) { answer(places[count], receipt) }}
	for i, op := range operationFrame.Operations {
		if op.Operation.Verb == string(sdk.Verify) {
			entry.asks |= 1 << i
		}
	}
	id, sent, refused := s.hand(operationFrame, entry, number)
	if refused != nil {
		entry.rest(sdk.Refuse(refused))
		return
	}
	s.handed(id, entry, sent)
}

// hand gives the frame its number and hands it to the connection.
func (s *stream) hand(operationFrame *pb.OperationFrame, entry *frame, count int) (id uint64, sent bool, refused *sdk.Error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	id, refused = s.enter(entry, count)
	if refused != nil {
		return 0, false, refused
	}
	for i, op := range operationFrame.Operations {
		op.Number = id<<6 | uint64(i)
	}
	return id, s.rpc.Send(operationFrame) == nil, nil
}

// enter gives the frame its number.
func (s *stream) enter(entry *frame, count int) (id uint64, refused *sdk.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken != nil:
		return 0, sdk.Errorf(sdk.Unreachable, "not sent: %s", s.broken.Message)
	case s.instance.hasEnded(): // its process is gone, which the stream has not noticed
		return 0, sdk.Errorf(sdk.Unreachable, "not sent: the plugin is gone")
	}
	s.next++
	s.frames[s.next] = entry
	s.instance.load.begin(count)
	owed, _ := s.instance.load.state()
	entry.due = time.Now().Add(s.instance.rounds(owed))
	return s.next, nil
}

// late reports whether the answers of a frame were due before the given time.
func (s *stream) late(then time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, frame := range s.frames {
		if frame.due.Before(then) {
			return true
		}
	}
	return false
}

// handed notes whether a frame went to the connection. One that did not is
// refused; one that did on a stream that broke meanwhile is lost.
func (s *stream) handed(id uint64, entry *frame, ok bool) {
	s.mu.Lock()
	entry.sent = ok
	broken := s.broken
	if !ok || broken != nil {
		delete(s.frames, id)
	}
	s.mu.Unlock()
	switch {
	case !ok:
		<-s.gone // the receiver knows why
		s.instance.load.dropped(entry.rest(sdk.Refuse(sdk.Errorf(sdk.Unreachable, "not sent: %s", s.why().Message))))
	case broken != nil:
		s.instance.load.dropped(entry.rest(sdk.Lost(broken)))
	}
}

func (s *stream) why() *sdk.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// rest answers the open operations and returns their number. The frame is no
// longer in the table.
func (f *frame) rest(receipt sdk.Receipt) (count int) {
	for i := 0; f.open != 0; i++ {
		if bit := uint64(1) << i; f.open&bit != 0 {
			f.open &^= bit
			f.answer(i, receipt)
			count++
		}
	}
	return count
}

// receive hands out answers until the stream ends, then answers the rest.
func (s *stream) receive() {
	var err error
	for {
		var answerFrame *pb.AnswerFrame
		if answerFrame, err = s.rpc.Recv(); err != nil {
			break
		}
		for _, answer := range answerFrame.GetAnswers() {
			s.answer(answer)
		}
	}
	s.breakWith(sdk.Errorf(sdk.ConnectionLost, "%s", s.reason(err)))
}

// reason is why the stream ended. A closed one needs no asking what
// became of the plugin, which takes a moment.
func (s *stream) reason(err error) string {
	if s.instance.isClosed() {
		return errClosed.Error() + " before it answered"
	}
	return s.instance.client.reason(err)
}

func (s *stream) answer(answer *pb.Answer) {
	entry, count := s.settle(answer.GetNumber())
	if entry == nil {
		return
	}
	receipt := s.instance.client.receipt(answer.GetReceipt())
	receipt.Value = secret.Value{} // only a reset has one
	if entry.asks>>count&1 == 0 {
		receipt.Verdict = sdk.CannotTell
	}
	s.instance.load.answered(1)
	entry.answer(count, receipt)
}

// settle takes an operation off the table. An unexpected answer, or
// the second to the same operation, is dropped.
func (s *stream) settle(number uint64) (*frame, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, bit := number>>6, uint64(1)<<(number&63)
	entry := s.frames[id]
	if entry == nil || entry.open&bit == 0 {
		if s.instance.client.options.Breaches.Note(OddAnswers) {
			s.instance.client.log.Warn("the plugin answers unasked, or twice", "instance", s.instance.config.Label)
		}
		return nil, 0
	}
	entry.open &^= bit
	if entry.open == 0 {
		delete(s.frames, id)
	}
	return entry, int(number & 63)
}

func (s *stream) breakWith(failure *sdk.Error) {
	s.mu.Lock()
	s.broken = failure
	var lost []*frame
	for id, frame := range s.frames {
		if frame.sent {
			delete(s.frames, id)
			lost = append(lost, frame)
		}
	}
	s.mu.Unlock()
	close(s.gone)
	for _, frame := range lost {
		s.instance.load.dropped(frame.rest(sdk.Lost(failure)))
	}
	s.instance.end()
}

// close tells the plugin that nothing more will come and waits for the answers
// under way.
func (s *stream) close(ctx context.Context) {
	s.sending.Lock()
	_ = s.rpc.CloseSend()
	s.sending.Unlock()
	select {
	case <-s.gone:
	case <-ctx.Done():
	}
}
