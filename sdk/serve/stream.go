package serve

import (
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// inbox takes the frames of a stream apart and has their operations done.
type inbox struct {
	service  *service
	instance *instance
	stream   grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame]
	out      *outbox
}

func (i inbox) accept(frame *pb.OperationFrame) {
	jobs := make([]*job, 0, len(frame.GetOperations()))
	i.out.open.Add(len(frame.GetOperations()))
	for _, numberedOperation := range frame.GetOperations() {
		op := wire.DecodeOperation(numberedOperation.GetOperation())
		i.service.redact.Note(op.Value, op.Old)
		number := numberedOperation.GetNumber()
		job := i.instance.streamJob(i.stream.Context(), op, func(receipt sdk.Receipt) {
			receipt.Value = secret.Value{} // only a reset has one
			i.out.add(&pb.Answer{Number: number, Receipt: i.service.encode(receipt)})
			i.out.open.Done()
		})
		if job != nil {
			job.shared = true
			jobs = append(jobs, job)
		}
	}
	i.instance.submit(jobs)
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

func newOutbox(stream grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame], pool *pool) *outbox {
	made := &outbox{stream: stream, pool: pool, wake: make(chan struct{}, 1), end: make(chan struct{}), ended: make(chan struct{})}
	made.timer = time.AfterFunc(time.Hour, made.signal)
	made.timer.Stop()
	go made.run()
	return made
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) add(answer *pb.Answer) {
	o.mu.Lock()
	o.held = append(o.held, answer)
	count := len(o.held)
	o.mu.Unlock()
	switch {
	case count >= holdAnswers || o.pool.waiting.Load() == 0:
		o.signal()
	case count == 1:
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
		count := min(len(held), wire.FrameOperations)
		o.err = o.stream.Send(&pb.AnswerFrame{Answers: held[:count]})
		held = held[count:]
	}
}

// close sends the held answers. Later ones are dropped: the reader is gone.
func (o *outbox) close() error {
	close(o.end)
	<-o.ended
	o.timer.Stop()
	return o.err
}
