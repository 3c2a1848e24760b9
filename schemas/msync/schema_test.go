package msync

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestRepeatedEnumsArePackedAsClientsPackThem(t *testing.T) {
	tests := []struct {
		name string
		msg  proto.Message
		want string
	}{
		{"offers of a handshake", &Provision{CompressType: []Provision_CompressType{0, 1}, EncryptType: []EncryptType{0}}, "2800" + "2801" + "3000"},
		{"transport compression", &Provision{ProtocolCompressType: []Provision_CompressType{2}}, "b20101" + "02"},
		{"encryption of a frame", &MSync{EncryptType: []EncryptType{0}}, "5800"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, hex.EncodeToString(marshal(t, tt.msg)))
		})
	}
}

func TestPresenceSurvivesARoundTrip(t *testing.T) {
	for name, raw := range map[string]string{
		"subType 0 is there":     "\x22\x05\x08\x00\xb0\x01\x00",
		"subType is not there":   "\x22\x02\x08\x00",
		"an empty content":       "\x22\x00",
		"defaults written out":   "\x08\x00\x30\x00\x3a\x02\x08\x00\x4a\x00",
		"fields of the future":   "\x22\x02\x08\x00\xa2\x06\x01x",
		"an unknown enumeration": "\x08\x63",
	} {
		var m MessageBody
		require.NoError(t, proto.Unmarshal([]byte(raw), &m), name)
		require.Equal(t, raw, string(marshal(t, &m)), name)
		_, err := ScanBody([]byte(raw))
		require.NoError(t, err, name)
	}
}
