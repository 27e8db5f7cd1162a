package kendox

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// call is one call of a service.
type call struct {
	service, method string
	arguments       map[string]any // secret.Value is revealed on the way out
	readOnly        bool
	bulk            bool // the answer may be large
}

func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// do sends the call as the session given and returns its result; "null" for a
// call without one.
func (i *Instance) do(ctx context.Context, c call, connection secret.Value) (json.RawMessage, *rest.Failure) {
	client := i.client
	if c.bulk {
		client = i.bulk
	}
	body, secrets := c.body(connection)
	answer, f := client.Do(ctx, rest.Request{Method: http.MethodPost, Path: "/" + c.service + "/" + c.method, Body: body, Secrets: secrets, ReadOnly: c.readOnly})
	if f == nil {
		var result json.RawMessage
		if result, f = read(answer, c); f == nil {
			return result, nil
		}
		f.Err.Message = client.Scrub(ctx, f.Err.Message, secrets...)
	}
	return nil, f
}

// body encodes the arguments, and says which of them are secret. The session's
// id is one: who has it is the service account.
func (c call) body(connection secret.Value) ([]byte, []secret.Value) {
	var secrets []secret.Value
	plain := map[string]any{}
	if connection.Present() {
		plain["connectionId"] = connection.Reveal()
		secrets = append(secrets, connection)
	}
	for name, v := range c.arguments {
		if s, ok := v.(secret.Value); ok {
			secrets = append(secrets, s)
			v = s.Reveal()
		}
		plain[name] = v
	}
	body, err := json.Marshal(plain)
	if err != nil { // texts, numbers, booleans and null only
		panic("kendox: arguments of " + c.method + " cannot be encoded")
	}
	return body, secrets
}

// read takes the result out of a 2xx answer: {"<Method>Result": …}, or an empty
// object for a void method. Anything else is looked at as an error.
func read(answer rest.Answer, c call) (json.RawMessage, *rest.Failure) {
	var object map[string]json.RawMessage
	if err := answer.JSON(&object); err == nil && object != nil {
		if result, ok := object[c.method+"Result"]; ok {
			return result, nil
		}
		if len(object) == 0 {
			return json.RawMessage("null"), nil
		}
	}
	f := &rest.Failure{Outcome: outcome(c.readOnly), Err: sdk.Errorf(sdk.TargetError, "the answer is not what %s answers", c.method), Answer: answer}
	if e, ok := find(answer.Body); ok {
		e.describe(f)
		if c.readOnly {
			f.Outcome = sdk.Refused
		}
	}
	return nil, f
}

func outcome(readOnly bool) sdk.Outcome {
	if readOnly {
		return sdk.Refused
	}
	return sdk.Unknown
}

// decode reads a result into v.
func decode(result json.RawMessage, v any) *rest.Failure {
	if bytes.Equal(result, []byte("null")) || json.Unmarshal(result, v) != nil {
		return rest.Refusal(sdk.Errorf(sdk.TargetError, "the answer has another form than documented"))
	}
	return nil
}

// in sends the call as the instance's session, which is renewed once if it
// has ended.
func (i *Instance) in(ctx context.Context, c call) (json.RawMessage, *rest.Failure) {
	var result json.RawMessage
	f := i.session.Do(ctx, func(connection secret.Value) *rest.Failure {
		var f *rest.Failure
		result, f = i.do(ctx, c, connection)
		return f
	})
	return result, f
}
