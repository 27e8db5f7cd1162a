package wire

import (
	"fmt"
	"time"
	"unicode/utf8"

	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
)

// EncodeValue encodes a string, an int, an int64, a bool, a time.Duration or a
// []string; nil is absent. Other types are an error, and so is text outside
// UTF-8.
func EncodeValue(v any) (*pb.Value, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("%q is not UTF-8", v)
		}
		return &pb.Value{Kind: &pb.Value_Text{Text: v}}, nil
	case int:
		return &pb.Value{Kind: &pb.Value_Number{Number: int64(v)}}, nil
	case int64:
		return &pb.Value{Kind: &pb.Value_Number{Number: v}}, nil
	case bool:
		return &pb.Value{Kind: &pb.Value_Flag{Flag: v}}, nil
	case time.Duration:
		return &pb.Value{Kind: &pb.Value_DurationNs{DurationNs: int64(v)}}, nil
	case []string:
		for _, text := range v {
			if !utf8.ValidString(text) {
				return nil, fmt.Errorf("%q is not UTF-8", text)
			}
		}
		return &pb.Value{Kind: &pb.Value_List{List: &pb.TextList{Items: v}}}, nil
	default:
		return nil, fmt.Errorf("a value of type %T cannot be sent", v)
	}
}

// DecodeValue returns a string, an int64, a bool, a time.Duration, a []string
// or nil.
func DecodeValue(value *pb.Value) any {
	switch k := value.GetKind().(type) {
	case *pb.Value_Text:
		return k.Text
	case *pb.Value_Number:
		return k.Number
	case *pb.Value_Flag:
		return k.Flag
	case *pb.Value_DurationNs:
		return time.Duration(k.DurationNs)
	case *pb.Value_List:
		return k.List.GetItems()
	default:
		return nil
	}
}

// EncodeValues encodes a map of values; the error names the key.
func EncodeValues(table map[string]any) (map[string]*pb.Value, error) {
	if len(table) == 0 {
		return nil, nil
	}
	out := make(map[string]*pb.Value, len(table))
	for name, value := range table {
		e, err := EncodeValue(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if e != nil {
			out[name] = e
		}
	}
	return out, nil
}

// DecodeValues returns nil for an empty map.
func DecodeValues(table map[string]*pb.Value) map[string]any {
	if len(table) == 0 {
		return nil
	}
	out := make(map[string]any, len(table))
	for name, value := range table {
		if item := DecodeValue(value); item != nil {
			out[name] = item
		}
	}
	return out
}

// EncodeSecrets leaves absent values out.
func EncodeSecrets(table map[string]secret.Value) map[string]*pb.Secret {
	out := make(map[string]*pb.Secret, len(table))
	for name, value := range table {
		if s := EncodeSecret(value); s != nil {
			out[name] = s
		}
	}
	return out
}

// EncodeSecretList leaves absent values out.
func EncodeSecretList(list []secret.Value) []*pb.Secret {
	var out []*pb.Secret
	for _, value := range list {
		if s := EncodeSecret(value); s != nil {
			out = append(out, s)
		}
	}
	return out
}

// DecodeSecretList returns nil for an empty list.
func DecodeSecretList(list []*pb.Secret) []secret.Value {
	var out []secret.Value
	for _, s := range list {
		out = append(out, DecodeSecret(s))
	}
	return out
}

// DecodeSecrets never returns nil.
func DecodeSecrets(table map[string]*pb.Secret) map[string]secret.Value {
	out := make(map[string]secret.Value, len(table))
	for name, s := range table {
		out[name] = DecodeSecret(s)
	}
	return out
}
