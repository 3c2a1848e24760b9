package conversation

// RoomCreated says that a room was made. The first entry of its stream.
type RoomCreated struct {
	By       Doer
	Owner    Person
	Settings RoomSettings
}

// RoomChanged says which settings changed, and to what. An entry for all.
type RoomChanged struct {
	By     Doer
	Change RoomChange
}

// RoomTransferred says that Owner owns the room, and Old no more. An entry for all.
type RoomTransferred struct {
	By    Doer
	Old   Person
	Owner Person
}

// RoomDestroyed says that the room has ended. The last entry of its stream, for all.
type RoomDestroyed struct {
	By   Doer
	Name string
}

// UsersAllowed says that users are on the room's allow list. An entry for them.
type UsersAllowed struct {
	By    Doer
	Users []Person
}

// UsersDisallowed says that users are no more on the room's allow list. An entry for them.
type UsersDisallowed struct {
	By    Doer
	Users []Person
}

// EventName implements domain.Body.
func (RoomCreated) EventName() string     { return "RoomCreated" }
func (RoomChanged) EventName() string     { return "RoomChanged" }
func (RoomTransferred) EventName() string { return "RoomTransferred" }
func (RoomDestroyed) EventName() string   { return "RoomDestroyed" }
func (UsersAllowed) EventName() string    { return "UsersAllowed" }
func (UsersDisallowed) EventName() string { return "UsersDisallowed" }

// IsEntry implements domain.Entry.
func (RoomCreated) IsEntry() bool     { return true }
func (RoomChanged) IsEntry() bool     { return true }
func (RoomTransferred) IsEntry() bool { return true }
func (RoomDestroyed) IsEntry() bool   { return true }
func (UsersAllowed) IsEntry() bool    { return true }
func (UsersDisallowed) IsEntry() bool { return true }

func (RoomCreated) isEvent()     {}
func (RoomChanged) isEvent()     {}
func (RoomTransferred) isEvent() {}
func (RoomDestroyed) isEvent()   {}
func (UsersAllowed) isEvent()    {}
func (UsersDisallowed) isEvent() {}
