package msync

import (
	"encoding/json"
	"strconv"
)

// messageJSON is a message object inside REST answers. The id is a string: it does not fit a JavaScript number.
type messageJSON struct {
	ID        string          `json:"id"`
	From      string          `json:"from"`
	To        string          `json:"to"`
	Timestamp uint64          `json:"timestamp"` // ms
	Payload   json.RawMessage `json:"payload"`
}

// MessageObject returns an encoded Meta as the message object of REST. Conversation lists and pins want the payload as a JSON text in a
// string (asText); thread answers and events as an object.
func MessageObject(meta []byte, asText bool) (json.RawMessage, error) {
	m, err := DecodeMeta(meta)
	if err != nil {
		return nil, err
	}
	from, to := string(m.From.Name), string(m.To.Name)
	payload, err := PayloadJSON(m.Payload, from, to)
	if err != nil {
		return nil, err
	}
	if asText {
		payload = appendJSON(nil, string(payload))
	}
	return json.Marshal(&messageJSON{
		ID: strconv.FormatUint(m.ID, 10), From: from, To: to, Timestamp: m.Timestamp, Payload: payload,
	})
}
