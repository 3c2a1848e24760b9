package gateway

import (
	"parley/delivery/room"
	"parley/domain"
)

var _ room.Viewer = (*session)(nil)

// User implements room.Viewer.
func (s *session) User() domain.UserID { return s.key.User }

// Resource implements room.Viewer.
func (s *session) Resource() domain.Resource { return s.info.Resource }

// Show implements room.Viewer: the frame's bytes go to the socket as they are, shared with all who view the room. What is shown so is counted
// by package room. A client that does not read is closed.
func (s *session) Show(f *room.Frame) { s.out.share(f.Wire(), f.Behind()) }
