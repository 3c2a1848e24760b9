package msync

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"parley/domain"
	"parley/domain/message"
)

func draft(typ, body, ext string) *Draft {
	return &Draft{Chat: MessageBody_CHAT, From: "ann", To: "bob", Type: typ, Body: json.RawMessage(body), Ext: json.RawMessage(ext)}
}

func TestBodyFromJSONAndBack(t *testing.T) {
	tests := []struct {
		name, typ, body string
		want            string // the element of bodies, when it differs from the body
		kind            message.Kind
	}{
		{"text", "txt", `{"msg":"你好 👋 <b>"}`, "", message.Text},
		{"empty text", "txt", `{"msg":""}`, "", message.Text},
		{"image", "img", `{"url":"u","secret":"s","filename":"a.jpg","file_length":12,"size":{"width":640,"height":480}}`, "", message.Image},
		{"gif", "img", `{"url":"u","subType":"sub_gif"}`, "", message.Image},
		{"voice", "audio", `{"url":"u","filename":"a.amr","secret":"s","length":3}`, "", message.Voice},
		{"video", "video", `{"url":"u","secret":"s","length":3,"thumb":"t","thumb_secret":"ts"}`, "", message.Video},
		{
			"video without a thumbnail gets a frame of itself", "video", `{"url":"u","secret":"s"}`,
			`{"url":"u","secret":"s","thumb":"u?vframe=true","thumb_secret":"s"}`, message.Video,
		},
		{"file", "file", `{"url":"u","filename":"a.pdf","secret":"s","file_length":99}`, "", message.File},
		{"location", "loc", `{"lat":39.5,"lng":-116.25,"addr":"here","buildingName":"hall"}`, "", message.Location},
		{"location in strings", "loc", `{"lat":"39.5","lng":"-116.25"}`, `{"lat":39.5,"lng":-116.25}`, message.Location},
		{"command", "cmd", `{"action":"go"}`, "", message.Cmd},
		{"custom", "custom", `{"customEvent":"ev","customExts":{"a":"1","b":"2"}}`, "", message.Custom},
		{"combined", "txt", `{"msg":"old","subType":"sub_combine","title":"t","summary":"s","combineLevel":1,"url":"u"}`, "", message.Combine},
		{"unknown fields are dropped", "txt", `{"msg":"x","other":1}`, `{"msg":"x"}`, message.Text},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := BodyFromJSON(draft(tt.typ, tt.body, `{"k":1}`))
			require.NoError(t, err)
			e, err := ScanBody(raw)
			require.NoError(t, err)
			require.Equal(t, tt.kind, e.Kind())
			want := tt.body
			if tt.want != "" {
				want = tt.want
			}
			want = strings.Replace(want, "{", `{"type":"`+tt.typ+`",`, 1)
			got, err := PayloadJSON(raw, "", "")
			require.NoError(t, err)
			require.JSONEq(t, `{"from":"ann","to":"bob","type":"chat","bodies":[`+want+`],"ext":{"k":1},"meta":{}}`, string(got))
			for _, c := range got {
				require.GreaterOrEqual(t, c, byte(0x20), "compact")
			}
		})
	}
}

func TestGoldenBody(t *testing.T) {
	raw, err := BodyFromJSON(draft("txt", `{"msg":"hi"}`, `{"b":true}`))
	require.NoError(t, err)
	require.Equal(t, "\x08\x01"+"\x12\x05\x12\x03ann"+"\x1a\x05\x12\x03bob"+"\x22\x06\x08\x00\x12\x02hi"+"\x2a\x07\x0a\x01b\x10\x01\x18\x01", string(raw))
}

func TestSubTypeIsNeitherGainedNorLost(t *testing.T) {
	for _, tt := range []struct {
		body string
		has  bool
	}{{`{"msg":"x"}`, false}, {`{"msg":"x","subType":"sub_combine"}`, true}, {`{"msg":"x","subType":null}`, false}} {
		raw, err := BodyFromJSON(draft("txt", tt.body, ""))
		require.NoError(t, err)
		var m MessageBody
		require.NoError(t, proto.Unmarshal(raw, &m))
		require.Equal(t, tt.has, m.GetContents()[0].SubType != nil)
		require.NotNil(t, m.GetContents()[0].Type, "type 0 is written")
		got, err := PayloadJSON(raw, "", "")
		require.NoError(t, err)
		require.Equal(t, tt.has, strings.Contains(string(got), "subType"))
	}
}

func TestExtTypesFollowJavaScript(t *testing.T) {
	ext := `{"s":"v","t":true,"f":false,"i":7,"neg":-3,"whole":2.0,"exp":1e3,"d":1.5,"big":9007199254740993,"huge":1e300,` +
		`"o":{"a": [1, 2]},"arr":[ ],"nil":null,"s":"last"}`
	raw, err := BodyFromJSON(draft("txt", `{"msg":"x"}`, ext))
	require.NoError(t, err)
	var m MessageBody
	require.NoError(t, proto.Unmarshal(raw, &m))
	want := map[string]KeyValue_ValueType{
		"s": 7, "t": 1, "f": 1, "i": 2, "neg": 2, "whole": 2, "exp": 2, "d": 6, "big": 2, "huge": 6, "o": 8, "arr": 8, "nil": 8,
	}
	require.Len(t, m.GetExt(), len(want))
	for _, kv := range m.GetExt() {
		require.Equal(t, want[kv.GetKey()], kv.GetType(), kv.GetKey())
	}
	require.Equal(t, "s", m.GetExt()[0].GetKey())
	require.Equal(t, "last", m.GetExt()[0].GetStringValue())
	require.Equal(t, `{"a":[1,2]}`, m.GetExt()[10].GetStringValue())
	require.JSONEq(t, `{"s":"last","t":true,"f":false,"i":7,"neg":-3,"whole":2,"exp":1000,"d":1.5,"big":9007199254740993,"huge":1e300,
		"o":{"a":[1,2]},"arr":[],"nil":null}`, string(extJSON(m.GetExt())))
}

func TestExtOfOtherClientsReadsWell(t *testing.T) {
	kvs := []*KeyValue{
		{Key: proto.String("u"), Type: KeyValue_UINT.Enum(), Value: &KeyValue_VarintValue{VarintValue: -1}},
		{Key: proto.String("f"), Type: KeyValue_FLOAT.Enum(), Value: &KeyValue_FloatValue{FloatValue: 0.5}},
		{Key: proto.String("j"), Type: KeyValue_JSON_STRING.Enum(), Value: &KeyValue_StringValue{StringValue: "{"}},
		{Key: proto.String("none")},
	}
	require.Equal(t, `{"u":18446744073709551615,"f":0.5,"j":"{","none":null}`, string(extJSON(kvs)))
}

func TestBodyFromJSONRefuses(t *testing.T) {
	tests := []struct {
		name, typ, body, ext string
		code                 domain.Code
		reason               string
	}{
		{"no type", "", `{}`, "", domain.BadRequest, "type is not valid"},
		{"unknown type", "poem", `{}`, "", domain.BadRequest, "type is not valid"},
		{"no body", "txt", ``, "", domain.BadRequest, "body is not valid"},
		{"body is a string", "txt", `"x"`, "", domain.BadRequest, "body is not valid"},
		{"msg is missing", "txt", `{}`, "", domain.BadRequest, "body.msg is required"},
		{"msg is a number", "txt", `{"msg":5}`, "", domain.BadRequest, "body.msg is not valid"},
		{"url is missing", "img", `{}`, "", domain.BadRequest, "body.url is required"},
		{"lng is missing", "loc", `{"lat":1}`, "", domain.BadRequest, "body.lng is required"},
		{"lat is text", "loc", `{"lat":"north","lng":1}`, "", domain.BadRequest, "body is not valid"},
		{"event is missing", "custom", `{"customExts":{}}`, "", domain.BadRequest, "body.customEvent is required"},
		{"customExts is a list", "custom", `{"customEvent":"e","customExts":[]}`, "", domain.BadRequest, "body.customExts is not valid"},
		{"subType is unknown", "txt", `{"msg":"x","subType":"y"}`, "", domain.BadRequest, "body.subType is not valid"},
		{"ext is a list", "txt", `{"msg":"x"}`, `[1]`, domain.BadRequest, "ext is not valid"},
		{"ext has more after it", "txt", `{"msg":"x"}`, `{}}`, domain.BadRequest, "ext is not valid"},
		{"number out of range", "txt", `{"msg":"x"}`, `{"n":1e999}`, domain.BadRequest, "ext is not valid"},
		{"too large", "txt", `{"msg":"` + strings.Repeat("x", MaxJSONBytes) + `"}`, "", domain.TooLarge, "message is too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := BodyFromJSON(draft(tt.typ, tt.body, tt.ext))
			var de *domain.Error
			require.ErrorAs(t, err, &de)
			require.Equal(t, tt.code, de.Code)
			require.Equal(t, tt.reason, de.Reason)
		})
	}
}

func TestMessageObject(t *testing.T) {
	raw, err := BodyFromJSON(&Draft{Chat: MessageBody_GROUPCHAT, From: "ann", To: "g1", Type: "txt", Body: []byte(`{"msg":"hi"}`), GroupAck: true})
	require.NoError(t, err)
	h := testHeader()
	h.To, h.ToDomain = "g1", GroupDomain
	meta := AppendMeta(nil, h, raw, nil, nil)
	payload := `{"from":"ann","to":"g1","type":"groupchat","bodies":[{"type":"txt","msg":"hi"}],"ext":{},"meta":{},"msgConfig":{"allowGroupAck":true}}`
	got, err := MessageObject(meta, false)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"9223372036854775813","from":"ann","to":"g1","timestamp":1767225600123,"payload":`+payload+`}`, string(got))
	got, err = MessageObject(meta, true)
	require.NoError(t, err)
	var o struct{ Payload string }
	require.NoError(t, json.Unmarshal(got, &o))
	require.JSONEq(t, payload, o.Payload)
}

func TestPayloadJSONRefusesWhatIsNoMessage(t *testing.T) {
	_, err := PayloadJSON(marshal(t, &MessageBody{Type: MessageBody_RECALL.Enum()}), "", "")
	require.ErrorIs(t, err, ErrNotMessage)
	_, err = PayloadJSON(appendUint(nil, 1, 99), "", "")
	require.ErrorIs(t, err, ErrNotMessage)
	_, err = PayloadJSON([]byte{0xff}, "", "")
	require.ErrorIs(t, err, ErrMalformed)
}

func TestPayloadJSONOfAnUnknownContent(t *testing.T) {
	raw := appendBytes(nil, 4, appendUint(nil, 1, 77))
	got, err := PayloadJSON(raw, "ann", "bob")
	require.NoError(t, err)
	require.JSONEq(t, `{"from":"ann","to":"bob","type":"chat","bodies":[{}],"ext":{},"meta":{}}`, string(got))
}

func TestPayloadJSONKeepsMetaAndStream(t *testing.T) {
	raw := marshal(t, &MessageBody{
		Meta:   proto.String(`{"edit_msg": {"count": 1}}`),
		Stream: &MessageBody_Stream{StreamSeq: proto.Uint64(2), StreamStatus: MessageBody_Stream_STREAM_START.Enum()},
	})
	got, err := PayloadJSON(raw, "ann", "bob")
	require.NoError(t, err)
	require.Contains(t, string(got), `"meta":{"edit_msg":{"count":1}}`)
	require.Contains(t, string(got), `"stream":{"streamSeq":2,"streamStatus":0}`)
}

// jsonValue draws a JSON value that JavaScript and Go read alike.
func jsonValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 6+min(depth, 1)).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2, 3:
			return float64(rapid.Int64Range(-maxSafe, maxSafe).Draw(t, "int"))
		case 4:
			return rapid.Float64Range(-1e9, 1e9).Draw(t, "float")
		case 5, 6:
			return rapid.StringN(0, 8, 32).Draw(t, "string")
		default:
			return rapid.MapOfN(rapid.StringN(0, 4, 16), jsonValue(depth-1), 0, 3).Draw(t, "object")
		}
	})
}

func TestExtRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ext, err := json.Marshal(rapid.MapOfN(rapid.StringN(0, 8, 32), jsonValue(2), 0, 8).Draw(t, "ext"))
		require.NoError(t, err)
		raw, err := BodyFromJSON(draft("txt", `{"msg":"x"}`, string(ext)))
		require.NoError(t, err)
		_, err = ScanBody(raw)
		require.NoError(t, err)
		var m MessageBody
		require.NoError(t, proto.Unmarshal(raw, &m))
		require.JSONEq(t, string(ext), string(extJSON(m.GetExt())))
	})
}

func FuzzBodyFromJSON(f *testing.F) {
	f.Add("txt", `{"msg":"x"}`, `{"a":1,"b":{"c":[null]}}`)
	f.Add("loc", `{"lat":"1.5","lng":2}`, `{}`)
	f.Add("custom", `{"customEvent":"e","customExts":{"a":"b"}}`, ``)
	f.Fuzz(func(t *testing.T, typ, body, ext string) {
		raw, err := BodyFromJSON(draft(typ, body, ext))
		if err != nil {
			require.NotEqual(t, domain.Internal, domain.CodeOf(err))
			return
		}
		_, err = ScanBody(raw)
		require.NoError(t, err, "what REST makes, the gateway takes")
		got, err := PayloadJSON(raw, "", "")
		require.NoError(t, err)
		require.True(t, json.Valid(got))
	})
}

func FuzzPayloadJSON(f *testing.F) {
	f.Add(body(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := PayloadJSON(b, "a", "b"); err == nil {
			require.True(t, json.Valid(got))
		}
	})
}
