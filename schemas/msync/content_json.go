package msync

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/proto"
)

// contentJSON is one content as REST writes it: the body of a send, and an element of bodies in a message object. A nil field is absent,
// in both forms.
type contentJSON struct {
	Type         string    `json:"type,omitempty"`
	Msg          *string   `json:"msg,omitempty"`
	URL          *string   `json:"url,omitempty"`
	Secret       *string   `json:"secret,omitempty"`
	Filename     *string   `json:"filename,omitempty"`
	FileLength   *number   `json:"file_length,omitempty"`
	Length       *number   `json:"length,omitempty"` // seconds
	Size         *sizeJSON `json:"size,omitempty"`
	Thumb        *string   `json:"thumb,omitempty"`
	ThumbSecret  *string   `json:"thumb_secret,omitempty"`
	Addr         *string   `json:"addr,omitempty"`
	Lat          *number   `json:"lat,omitempty"`
	Lng          *number   `json:"lng,omitempty"`
	BuildingName *string   `json:"buildingName,omitempty"`
	Action       *string   `json:"action,omitempty"`
	CustomEvent  *string   `json:"customEvent,omitempty"`
	CustomExts   object    `json:"customExts,omitempty"`
	SubType      *string   `json:"subType,omitempty"`
	Title        *string   `json:"title,omitempty"`
	Summary      *string   `json:"summary,omitempty"`
	CombineLevel *number   `json:"combineLevel,omitempty"`
}

type sizeJSON struct {
	Width  *number `json:"width,omitempty"`
	Height *number `json:"height,omitempty"`
}

// object is JSON kept as it is; nil is absent.
type object = json.RawMessage

// number is a JSON number, or a string that holds one: callers of the vendor's REST API write latitude and longitude either way.
type number float64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return fmt.Errorf("want a number, got %d bytes of something else", len(b))
	}
	*n = number(f)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsInf(float64(n), 0) || math.IsNaN(float64(n)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

func (n *number) float() *float64 { return (*float64)(n) }

// int32 returns the whole part, held in the range of the wire's field.
func (n *number) int32() *int32 {
	if n == nil {
		return nil
	}
	return proto.Int32(int32(max(math.MinInt32, min(math.MaxInt32, math.Trunc(float64(*n))))))
}

func numberOf(v *int32) *number {
	if v == nil {
		return nil
	}
	n := number(*v)
	return &n
}

// contentTypes are the names of content types in REST.
var contentTypes = map[string]MessageBody_Content_Type{
	"txt": MessageBody_Content_TEXT, "img": MessageBody_Content_IMAGE, "video": MessageBody_Content_VIDEO,
	"loc": MessageBody_Content_LOCATION, "audio": MessageBody_Content_VOICE, "file": MessageBody_Content_FILE,
	"cmd": MessageBody_Content_COMMAND, "custom": MessageBody_Content_CUSTOM, "combine": MessageBody_Content_COMBINE,
}

// subTypes are the names of subtypes in REST.
var subTypes = map[string]MessageBody_Content_SubType{
	"sub_combine": MessageBody_Content_SUB_COMBINE, "sub_gif": MessageBody_Content_SUB_GIF, "sub_stream": MessageBody_Content_SUB_STREAM,
}

var (
	contentNames = reversed(contentTypes)
	subNames     = reversed(subTypes)
)

func reversed[K, V comparable](m map[K]V) map[V]K {
	r := make(map[V]K, len(m))
	for k, v := range m {
		r[v] = k
	}
	return r
}

// content returns the wire form, with the fields that the SDKs write for the type.
func (c *contentJSON) content() *MessageBody_Content {
	w := &MessageBody_Content{
		Type: contentTypes[c.Type].Enum(), Text: c.Msg, Latitude: c.Lat.float(), Longitude: c.Lng.float(), Address: c.Addr,
		BuildingName: c.BuildingName, DisplayName: c.Filename, RemotePath: c.URL, SecretKey: c.Secret, FileLength: c.FileLength.int32(),
		Duration: c.Length.int32(), Action: c.Action, ThumbnailRemotePath: c.Thumb, ThumbnailSecretKey: c.ThumbSecret,
		CustomEvent: c.CustomEvent, Title: c.Title, Summary: c.Summary, CombineLevel: c.CombineLevel.int32(),
	}
	if c.Size != nil {
		w.Size = &MessageBody_Content_Size{Width: c.Size.Width.float(), Height: c.Size.Height.float()}
	}
	if c.SubType != nil {
		w.SubType = subTypes[*c.SubType].Enum()
	}
	c.thumbnail(w)
	return w
}

// thumbnail fills what the SDKs add by themselves.
func (c *contentJSON) thumbnail(w *MessageBody_Content) {
	switch {
	case c.Type == "img":
		w.ThumbnailDisplayName = c.Filename
	case c.Type == "video" && c.Thumb == nil && c.URL != nil:
		w.ThumbnailRemotePath = proto.String(*c.URL + "?vframe=true")
		w.ThumbnailSecretKey = c.Secret
	}
}

// contentOf returns the REST form of a content. An unknown type has no name and is left out.
func contentOf(w *MessageBody_Content) contentJSON {
	c := contentJSON{
		Type: contentNames[w.GetType()], Msg: w.Text, Lat: (*number)(w.Latitude), Lng: (*number)(w.Longitude), Addr: w.Address,
		BuildingName: w.BuildingName, Filename: w.DisplayName, URL: w.RemotePath, Secret: w.SecretKey, FileLength: numberOf(w.FileLength),
		Length: numberOf(w.Duration), Action: w.Action, Thumb: w.ThumbnailRemotePath, ThumbSecret: w.ThumbnailSecretKey,
		CustomEvent: w.CustomEvent, Title: w.Title, Summary: w.Summary, CombineLevel: numberOf(w.CombineLevel),
	}
	if w.Type == nil && hasUnknown(w) {
		c.Type = ""
	}
	if w.Size != nil {
		c.Size = &sizeJSON{Width: (*number)(w.Size.Width), Height: (*number)(w.Size.Height)}
	}
	if w.SubType != nil {
		if name, ok := subNames[w.GetSubType()]; ok {
			c.SubType = &name
		}
	}
	if len(w.CustomExts) > 0 {
		c.CustomExts = extJSON(w.CustomExts)
	}
	return c
}

// hasUnknown tells whether a decoded message holds fields that this schema does not know; values of closed enumerations are among them.
func hasUnknown(m proto.Message) bool { return len(m.ProtoReflect().GetUnknown()) > 0 }
