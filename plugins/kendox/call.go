package kendox

import (
	"bytes"
	"encoding/json"
	"maps"
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

func sorted(table map[string]any) []string { return slices.Sorted(maps.Keys(table)) }

// body encodes the arguments, and says which of them are secret. The session's
// id is one: who has it is the service account.
func (c call) body(connection secret.Value) ([]byte, []secret.Value) {
	var secrets []secret.Value
	plain := map[string]any{}
	if connection.Present() {
		plain["connectionId"] = connection.Reveal()
		secrets = append(secrets, connection)
	}
	for name, value := range c.arguments {
		if s, ok := value.(secret.Value); ok {
			secrets = append(secrets, s)
			value = s.Reveal()
		}
		plain[name] = value
	}
	body, err := json.Marshal(plain)
	if err != nil { // texts, numbers, booleans and null only
		panic("kendox: arguments of " + c.method + " cannot be encoded")
	}
	return body, secrets
}

// read takes the result out of a 2xx answer: {"<Method>Result": …}, or an empty
// object for a void method. Anything else is looked at as an error.
func read(answer rest.Answer, call call) (json.RawMessage, *rest.Failure) {
	var object map[string]json.RawMessage
	if err := answer.JSON(&object); err == nil && object != nil {
		if result, ok := object[call.method+"Result"]; ok {
			return result, nil
		}
		if len(object) == 0 {
			return json.RawMessage("null"), nil
		}
	}
	failure := &rest.Failure{Outcome: outcome(call.readOnly), Err: sdk.Errorf(sdk.TargetError, "the answer is not what %s answers", call.method), Answer: answer}
	if exception, ok := find(answer.Body); ok {
		exception.describe(failure)
		if call.readOnly {
			failure.Outcome = sdk.Refused
		}
	}
	return nil, failure
}

func outcome(readOnly bool) sdk.Outcome {
	if readOnly {
		return sdk.Refused
	}
	return sdk.Unknown
}

// decode reads a result into value.
func decode(result json.RawMessage, value any) *rest.Failure {
	if bytes.Equal(result, []byte("null")) || json.Unmarshal(result, value) != nil {
		return rest.Refusal(sdk.Errorf(sdk.TargetError, "the answer has another form than documented"))
	}
	return nil
}
