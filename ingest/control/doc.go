// Package control keeps what the whole cluster must know and seldom changes: the slot map, the apps, the anchors and the numbers of nodes.
//
// It lives in the control partition, a compacted log without a fence: per key the last record counts, so a value is always whole. A value
// is JSON with a format number "v", so that people and other tools can read it:
//
//	slotmap              {"v":1,"version":…,"chats":[4096 partitions],"rooms":[4096 partitions]}
//	app/<org#app>        {"v":1,"id":…,"uuid":…,"client_id":…,"secret_hash":…,…}
//	anchor/<partition>   {"v":1,"partition":…,"offset":…,"term":…,"index":…,"prev":…,"t":…}
//	node/<name>          {"v":1,"name":…,"number":…}
//
// What must hold:
//
//   - A read sees a whole snapshot; snapshots are immutable.
//   - A change is told only after it has been read back from the log.
//   - The slot map with the highest version counts, the last among equals.
//   - An anchor never moves back: the highest offset counts.
//   - A node keeps its number for ever, and no two have the same: the first record that claims a free one holds it; claims that came too late are
//     void. No node of one name writes another number after the one that counts, so that compaction changes nothing.
//   - An app is never removed: deleting one leaves its record, and its id is not given out again, because streams are named by the app's id
//     and a new app of the same name must not see what the old one left.
package control
