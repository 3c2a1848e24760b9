package lease

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"parley/domain"
)

func sampleUser() *user {
	rooms := []*room{
		{id: domain.RoomStream(app, "281"), owner: "alice"},
		{id: domain.RoomStream(app, "282")},
	}
	u := &user{key: userKey{app, "bob"}, incarnation: 3}
	u.leases = []*lease{
		{user: u, room: rooms[0], ext: "{\"level\":3}", joined: 1772366400000000, idle: 1772366460000000, stays: true, devices: []device{
			{resource: "webim_1", seen: 77, cut: 1772366460000000}, {resource: "ios_2", cut: 1772366450000000},
		}},
		{user: u, room: rooms[1], joined: 1772366400000001, devices: []device{{resource: "webim_1"}}},
		{user: u, room: rooms[1], joined: 1772366400000002, idle: 1772366400000002, devices: []device{{cut: 1772366400000002}}},
	}
	return u
}

// The bytes of a row and the bucket of a user never change.
func TestGolden(t *testing.T) {
	golden, err := os.ReadFile("testdata/row1.hex")
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(golden)), hex.EncodeToString(encodeUser(sampleUser(), "0")))
	require.Equal(t, []int{92, 171, 178}, []int{Bucket("org#app", "bob"), Bucket("org#app", "alice"), Bucket("", "")})
}

func TestDecode(t *testing.T) {
	cell := encodeUser(sampleUser(), "n1")
	u, err := decodeUser(cell)
	require.NoError(t, err)
	require.Equal(t, "n1", u.node)
	require.Equal(t, domain.UserID("alice"), u.leases[0].owner)
	devices := sampleUser().leases[0].devices
	for i := range devices {
		devices[i].since = u.leases[0].joined
	}
	require.Equal(t, devices, u.leases[0].devices)
	require.True(t, u.leases[0].stays && !u.leases[0].anyone() && !u.leases[1].stays && u.leases[2].anyone())
	for i := range cell {
		_, err := decodeUser(cell[:i])
		require.Error(t, err, "%d of %d bytes", i, len(cell))
	}
	_, err = decodeUser(append(bytes.Clone(cell), 0))
	require.ErrorIs(t, err, errLong)
	_, err = decodeUser(append([]byte{9}, cell[1:]...))
	require.ErrorIs(t, err, errFormat)
}

// What can be read is written as the same again.
func FuzzDecode(f *testing.F) {
	f.Add(encodeUser(sampleUser(), "0"))
	f.Add([]byte{rowFormat})
	f.Fuzz(func(t *testing.T, cell []byte) {
		st, err := decodeUser(cell)
		if err != nil {
			return
		}
		u := &user{key: st.key, incarnation: st.incarnation}
		for _, le := range st.leases {
			le.room = &room{id: le.id, owner: le.owner}
			u.leases = append(u.leases, &le.lease)
		}
		again, err := decodeUser(encodeUser(u, st.node))
		if err != nil {
			t.Fatalf("read %x, written it cannot be read: %v", cell, err)
		}
		for i := range again.leases {
			again.leases[i].room = nil
			st.leases[i].room = nil
		}
		require.Equal(t, st, again)
	})
}
