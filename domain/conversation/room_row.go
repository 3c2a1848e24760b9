package conversation

import (
	"slices"

	"parley/domain"
)

// RoomHead is the head row of a room. A room has no rows of its viewers; besides the head there are only the Sends of those who speak.
type RoomHead struct {
	Head

	Created  domain.T
	Modified domain.T // of the last change of settings or of the owner
	Settings RoomSettings
	Owner    Person
	Allowed  []Person // the allow list, in the order of coming on it, at most MaxAllowed
}

// MaxAllowed is the most users on a room's allow list: it stands in the head.
const MaxAllowed = 1000

// RowName implements domain.Row.
func (*RoomHead) RowName() string { return "RoomHead" }

// Open tells whether the room exists: it was made and has not ended. h may be nil.
func (h *RoomHead) Open() bool { return h != nil && h.Created != 0 && h.Closed == 0 }

// Allows tells whether a user is on the allow list. h may be nil.
func (h *RoomHead) Allows(p Person) bool { return h != nil && slices.Contains(h.Allowed, p) }
