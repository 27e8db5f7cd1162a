package serve

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// ApplyStream does operations as their frames come.
func (s *service) ApplyStream(stream grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame]) error {
	frame, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	i, err := s.instance(frame.GetInstance())
	if err != nil {
		return err
	}
	out := newOutbox(stream, i.pool)
	defer context.AfterFunc(stream.Context(), func() { i.watch.caller(stream.Context()) })()
	for err == nil {
		s.accept(i, frame, stream, out)
		frame, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		out.open.Wait()
		return out.close()
	}
	_ = out.close()
	return err
}

func (s *service) accept(i *instance, frame *pb.OperationFrame, stream grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame], out *outbox) {
	jobs := make([]*job, 0, len(frame.GetOperations()))
	out.open.Add(len(frame.GetOperations()))
	for _, n := range frame.GetOperations() {
		op := wire.DecodeOperation(n.GetOperation())
		s.redact.Note(op.Value, op.Old)
		number := n.GetNumber()
		j := i.streamJob(stream.Context(), op, func(r sdk.Receipt) {
			r.Value = secret.Value{} // only a reset has one
			out.add(&pb.Answer{Number: number, Receipt: s.encode(r)})
			out.open.Done()
		})
		if j != nil {
			j.shared = true
			jobs = append(jobs, j)
		}
	}
	i.submit(jobs)
}

// The holding of answers, so that frames are not crumbs.
const (
	holdAnswers = 32
	holdTime    = 5 * time.Millisecond
)

// outbox collects the answers of a stream and sends them: when there are 32,
// when nothing waits for a worker, or after 5 ms.
type outbox struct {
	stream grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame]
	pool   *pool
	open   sync.WaitGroup // operations not yet answered

	mu    sync.Mutex
	held  []*pb.Answer
	timer *time.Timer
	wake  chan struct{}
	end   chan struct{}
	ended chan struct{}
	err   error
}

func newOutbox(stream grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame], p *pool) *outbox {
	o := &outbox{stream: stream, pool: p, wake: make(chan struct{}, 1), end: make(chan struct{}), ended: make(chan struct{})}
	o.timer = time.AfterFunc(time.Hour, o.signal)
	o.timer.Stop()
	go o.run()
	return o
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) add(a *pb.Answer) {
	o.mu.Lock()
	o.held = append(o.held, a)
	n := len(o.held)
	o.mu.Unlock()
	switch {
	case n >= holdAnswers || o.pool.waiting.Load() == 0:
		o.signal()
	case n == 1:
		o.timer.Reset(holdTime)
	}
}

func (o *outbox) run() {
	defer close(o.ended)
	for {
		select {
		case <-o.wake:
			o.send()
		case <-o.end:
			o.send()
			return
		}
	}
}

func (o *outbox) send() {
	o.mu.Lock()
	held := o.held
	o.held = make([]*pb.Answer, 0, holdAnswers*2)
	o.mu.Unlock()
	for len(held) > 0 && o.err == nil {
		n := min(len(held), wire.FrameOperations)
		o.err = o.stream.Send(&pb.AnswerFrame{Answers: held[:n]})
		held = held[n:]
	}
}

// close sends what is held. Later answers are dropped: nobody reads them.
func (o *outbox) close() error {
	close(o.end)
	<-o.ended
	o.timer.Stop()
	return o.err
}
