package control

import (
	"context"
	"fmt"

	"parley/domain"
)

// Default numbers of partitions of an embedded log.
const (
	DefaultChats = 16
	DefaultRooms = 4
)

// SlotMap says which partition holds a slot. It is fixed for a version.
type SlotMap struct {
	Format  int                            `json:"v"`
	Version uint64                         `json:"version"`
	Chats   [domain.Slots]domain.Partition `json:"chats"` // of users, direct conversations, groups and threads: 0–2047
	Rooms   [domain.Slots]domain.Partition `json:"rooms"` // of rooms: 2048–3071
}

// NewSlotMap returns version 1 of a map that deals the slots out in turn.
func NewSlotMap(chats, rooms int) (*SlotMap, error) {
	if chats < 1 || chats > int(domain.FirstRooms) || rooms < 1 || rooms > int(domain.FirstNode-domain.FirstRooms) {
		return nil, fmt.Errorf("slot map: %d chats and %d rooms partitions; 1 to %d and 1 to %d are possible",
			chats, rooms, domain.FirstRooms, domain.FirstNode-domain.FirstRooms)
	}
	m := &SlotMap{Format: format, Version: 1}
	for i := range m.Chats {
		m.Chats[i] = domain.FirstChats + domain.Partition(i%chats)
		m.Rooms[i] = domain.FirstRooms + domain.Partition(i%rooms)
	}
	return m, nil
}

// Partition returns the partition that holds the stream. ok is false when the id is not canonical.
func (m *SlotMap) Partition(id domain.StreamID) (p domain.Partition, ok bool) {
	st, ok := id.Parse()
	if !ok {
		return 0, false
	}
	if st.Kind == domain.KindRoom {
		return m.Rooms[id.Slot()], true
	}
	return m.Chats[id.Slot()], true
}

// Partitions returns every partition that the map names, chats first, in order.
func (m *SlotMap) Partitions() []domain.Partition {
	var named [domain.FirstNode]bool
	for i := range m.Chats {
		named[m.Chats[i]], named[m.Rooms[i]] = true, true
	}
	var out []domain.Partition
	for p, ok := range named {
		if ok {
			out = append(out, domain.Partition(p))
		}
	}
	return out
}

func (m *SlotMap) validate() error {
	if m.Version == 0 {
		return fmt.Errorf("slot map without version")
	}
	for i := range m.Chats {
		if m.Chats[i] >= domain.FirstRooms || !m.Rooms[i].IsRooms() {
			return fmt.Errorf("slot map %d: slot %d lies on partitions %d and %d", m.Version, i, m.Chats[i], m.Rooms[i])
		}
	}
	return nil
}

// SlotMap returns the map in force, nil before the first.
func (c *Control) SlotMap() *SlotMap { return c.current.Load().slots }

// EnsureSlotMap returns the map in force. A cluster that has none yet gets one with so many partitions: from then on the stored map counts.
func (c *Control) EnsureSlotMap(ctx context.Context, chats, rooms int) (*SlotMap, error) {
	c.edit.Lock()
	defer c.edit.Unlock()
	if m := c.SlotMap(); m != nil {
		return m, nil
	}
	m, err := NewSlotMap(chats, rooms)
	if err != nil {
		return nil, err
	}
	value, err := encode(slotMapKey, m)
	if err != nil {
		return nil, err
	}
	if err := c.put(ctx, slotMapKey, value); err != nil {
		return nil, err
	}
	return c.SlotMap(), nil
}
