package gateway

import "parley/schemas/table"

// Delivery's own tables. They are rows, not events: a rebuild of the read models leaves them alone.
var (
	// Cursors: what a device has acknowledged and been shown of a conversation. The write timestamp is the seq: a late write cannot move a
	// cursor back.
	Cursors = &table.Table{
		ID: 40, Name: "cursors",
		Partition: []table.Field{{Name: "app", Type: table.String}, {Name: "user", Type: table.String}, {Name: "incarnation", Type: table.Uint64}},
		Cluster:   []table.Field{{Name: "resource", Type: table.String}, {Name: "stream", Type: table.String}},
		Cells:     []table.Field{{Name: "acked", Type: table.Uint64}, {Name: "pushed", Type: table.Uint64}},
	}
	// Devices: the devices of a user. first_login is written once, with write timestamp 1; the others with the time in µs.
	Devices = &table.Table{
		ID: 41, Name: "devices",
		Partition: []table.Field{{Name: "app", Type: table.String}, {Name: "user", Type: table.String}, {Name: "incarnation", Type: table.Uint64}},
		Cluster:   []table.Field{{Name: "resource", Type: table.String}},
		Cells: []table.Field{
			{Name: "first_login", Type: table.Uint64}, // µs since 1970
			{Name: "keys", Type: table.Uint64},        // the key counter; see device.nextKey
			{Name: "platform", Type: table.String},
			{Name: "device_uuid", Type: table.String},
			{Name: "device_name", Type: table.String},
		},
	}
)

// Columns.
const (
	cursorAcked = iota
	cursorPushed
)

const (
	deviceFirstLogin = iota
	deviceKeys
	devicePlatform
	deviceUUID
	deviceName
)
