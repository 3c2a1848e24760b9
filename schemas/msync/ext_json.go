package msync

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/proto"
)

// keyValues reads a JSON object as the SDKs encode one: object and array as JSON text, string, bool, integer as varint, any other number
// as double. Keys keep their order; a key that comes twice keeps its first place and last value, as in JavaScript.
func keyValues(text []byte) ([]*KeyValue, error) {
	if !json.Valid(text) {
		return nil, fmt.Errorf("want a JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("want a JSON object")
	}
	var kvs []*KeyValue
	at := map[string]int{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("read a key: %w", err)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("read a value: %w", err)
		}
		kv, err := keyValue(key.(string), raw)
		if err != nil {
			return nil, err
		}
		if i, ok := at[key.(string)]; ok {
			kvs[i] = kv
			continue
		}
		if len(kvs) == MaxExtEntries {
			return nil, fmt.Errorf("more than %d keys", MaxExtEntries)
		}
		at[key.(string)] = len(kvs)
		kvs = append(kvs, kv)
	}
	return kvs, nil
}

func keyValue(key string, raw json.RawMessage) (*KeyValue, error) {
	kv := &KeyValue{Key: proto.String(key)}
	switch raw[0] {
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		kv.Type, kv.Value = KeyValue_STRING.Enum(), &KeyValue_StringValue{StringValue: s}
	case 't', 'f':
		v := int64(boolByte(raw[0] == 't'))
		kv.Type, kv.Value = KeyValue_BOOL.Enum(), &KeyValue_VarintValue{VarintValue: v}
	case '{', '[', 'n':
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return nil, err
		}
		kv.Type, kv.Value = KeyValue_JSON_STRING.Enum(), &KeyValue_StringValue{StringValue: b.String()}
	default:
		return kv, kv.setNumber(string(raw))
	}
	return kv, nil
}

// maxSafe is the largest integer up to which a double holds every integer.
const maxSafe = 1 << 53

func (kv *KeyValue) setNumber(text string) error {
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		kv.Type, kv.Value = KeyValue_INT.Enum(), &KeyValue_VarintValue{VarintValue: v}
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("number out of range")
	}
	if f == math.Trunc(f) && math.Abs(f) <= maxSafe {
		kv.Type, kv.Value = KeyValue_INT.Enum(), &KeyValue_VarintValue{VarintValue: int64(f)}
		return nil
	}
	kv.Type, kv.Value = KeyValue_DOUBLE.Enum(), &KeyValue_DoubleValue{DoubleValue: f}
	return nil
}

// extJSON writes entries as the JSON object that the SDKs show to apps.
func extJSON(kvs []*KeyValue) json.RawMessage {
	b := []byte{'{'}
	for i, kv := range kvs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, kv.GetKey())
		b = append(b, ':')
		b = kv.appendValue(b)
	}
	return append(b, '}')
}

func (kv *KeyValue) appendValue(b []byte) []byte {
	switch v := kv.GetValue().(type) {
	case *KeyValue_VarintValue:
		if kv.GetType() == KeyValue_BOOL {
			return strconv.AppendBool(b, v.VarintValue != 0)
		}
		if kv.GetType() == KeyValue_UINT {
			return strconv.AppendUint(b, uint64(v.VarintValue), 10)
		}
		return strconv.AppendInt(b, v.VarintValue, 10)
	case *KeyValue_FloatValue:
		return appendJSON(b, number(v.FloatValue))
	case *KeyValue_DoubleValue:
		return appendJSON(b, number(v.DoubleValue))
	case *KeyValue_StringValue:
		if kv.GetType() == KeyValue_JSON_STRING && json.Valid([]byte(v.StringValue)) {
			return appendCompact(b, v.StringValue)
		}
		return appendJSON(b, v.StringValue)
	default:
		return append(b, "null"...)
	}
}

// appendJSON appends a string or number.
func appendJSON[T string | number](b []byte, v T) []byte {
	t, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, t...)
}

func appendCompact(b []byte, text string) []byte {
	var buf bytes.Buffer
	if json.Compact(&buf, []byte(text)) != nil {
		return append(b, "null"...)
	}
	return append(b, buf.Bytes()...)
}
