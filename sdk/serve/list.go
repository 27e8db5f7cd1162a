package serve

import (
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
)

// pieces sends a list in messages of up to 64 accounts, a quarter of a message
// or a second.
type pieces struct {
	to     grpc.ServerStreamingServer[pb.ListResponse]
	redact *wire.Redactor
	piece  pb.ListResponse
	size   int
	last   time.Time
	err    error // of sending: the reader is gone
}

// yield scrubs all but the attributes: which of them are secrets themselves the
// host knows.
func (p *pieces) yield(account sdk.Account) error {
	if p.err != nil {
		return p.err
	}
	e := wire.EncodeAccount(p.redact.Account(account, ""))
	p.piece.Accounts = append(p.piece.Accounts, e)
	p.size += proto.Size(e)
	if len(p.piece.Accounts) < wire.FrameOperations && p.size < wire.MaxMessage/4 && time.Since(p.last) < time.Second {
		return nil
	}
	return p.flush()
}

func (p *pieces) flush() error {
	if len(p.piece.Accounts) == 0 && p.piece.Error == nil {
		return nil
	}
	p.err = p.to.Send(&p.piece)
	p.piece.Reset()
	p.size, p.last = 0, time.Now()
	return p.err
}

// stack returns where a panic came from, without the frames of its recovery.
func stack() string {
	text := string(debug.Stack())
	if _, after, ok := strings.Cut(text, "panic("); ok {
		return after
	}
	return text
}
