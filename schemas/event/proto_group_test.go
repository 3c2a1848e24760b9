package event_test

import (
	"parley/domain"
	"parley/domain/conversation"
	"parley/domain/user"
	"parley/schemas/event/eventpb"
)

func protoPerson(p conversation.Person) *eventpb.Person {
	return &eventpb.Person{User: string(p.User), Incarnation: uint32(p.Incarnation)}
}

func protoPersons(persons []conversation.Person) (out []*eventpb.Person) {
	for _, p := range persons {
		out = append(out, protoPerson(p))
	}
	return out
}

func protoDoer(d conversation.Doer) *eventpb.Doer {
	if d == (conversation.Doer{}) {
		return nil
	}
	return &eventpb.Doer{User: string(d.User), Resource: string(d.Resource)}
}

func protoUsers(users []domain.UserID) (out []string) {
	for _, u := range users {
		out = append(out, string(u))
	}
	return out
}

// protoGroupBody fills pb with the body of an event of groups, or a notice.
func protoGroupBody(pb *eventpb.Event, body domain.Body) {
	switch b := body.(type) {
	case conversation.MessageRecalled:
		pb.Body = &eventpb.Event_MessageRecalled{MessageRecalled: &eventpb.MessageRecalled{
			Message: uint64(b.Message), MessageSeq: uint64(b.MessageSeq), From: string(b.From), By: string(b.By),
			ByResource: string(b.ByResource), To: string(b.To), Audience: protoUsers(b.Audience), ClientId: b.ClientID, Hash: b.Hash,
			Ext: b.Ext, Body: b.Body,
		}}
	case conversation.GroupCreated:
		s := b.Settings
		pb.Body = &eventpb.Event_GroupCreated{GroupCreated: &eventpb.GroupCreated{
			By: protoDoer(b.By), Owner: protoPerson(b.Owner), Settings: &eventpb.GroupSettings{
				Name: s.Name, Description: s.Description, Avatar: s.Avatar, Custom: s.Custom, Public: s.Public, Approval: s.Approval,
				MemberInvites: s.MemberInvites, InviteConfirm: s.InviteConfirm, MaxUsers: s.MaxUsers,
			},
		}}
	case conversation.MembersAdded:
		m := &eventpb.MembersAdded{
			By: protoDoer(b.By), How: eventpb.JoinHow(b.How), From: uint64(b.From), HistoryFrom: uint64(b.HistoryFrom), N: b.N,
			Count: b.Count, Name: b.Name,
		}
		for _, j := range b.Members {
			joiner := &eventpb.Joiner{User: string(j.User), Incarnation: uint32(j.Incarnation)}
			for _, s := range j.Earlier {
				joiner.Earlier = append(joiner.Earlier, &eventpb.Span{From: uint64(s.From), Until: uint64(s.Until)})
			}
			m.Members = append(m.Members, joiner)
		}
		pb.Body = &eventpb.Event_MembersAdded{MembersAdded: m}
	case conversation.MembersRemoved:
		pb.Body = &eventpb.Event_MembersRemoved{MembersRemoved: &eventpb.MembersRemoved{
			Users: protoUsers(b.Users), By: protoDoer(b.By), How: eventpb.LeaveHow(b.How), Count: b.Count,
		}}
	case conversation.GroupDestroyed:
		pb.Body = &eventpb.Event_GroupDestroyed{GroupDestroyed: &eventpb.GroupDestroyed{By: protoDoer(b.By), Name: b.Name}}
	case conversation.GroupChanged:
		c := b.Change
		pb.Body = &eventpb.Event_GroupChanged{GroupChanged: &eventpb.GroupChanged{By: protoDoer(b.By), Change: &eventpb.GroupChange{
			Name: c.Name, Description: c.Description, Avatar: c.Avatar, Custom: c.Custom, Public: c.Public, Approval: c.Approval,
			MemberInvites: c.MemberInvites, InviteConfirm: c.InviteConfirm, MaxUsers: c.MaxUsers,
		}}}
	case conversation.OwnerChanged:
		pb.Body = &eventpb.Event_OwnerChanged{OwnerChanged: &eventpb.OwnerChanged{
			By: protoDoer(b.By), Old: string(b.Old), Owner: string(b.Owner),
		}}
	case conversation.AdminAdded:
		pb.Body = &eventpb.Event_AdminAdded{AdminAdded: &eventpb.AdminAdded{By: protoDoer(b.By), User: string(b.User)}}
	case conversation.AdminRemoved:
		pb.Body = &eventpb.Event_AdminRemoved{AdminRemoved: &eventpb.AdminRemoved{By: protoDoer(b.By), User: string(b.User)}}
	case conversation.JoinRequested:
		pb.Body = &eventpb.Event_JoinRequested{JoinRequested: &eventpb.JoinRequested{
			User: protoPerson(b.User), Reason: b.Reason, Audience: protoUsers(b.Audience),
		}}
	case conversation.JoinAnswered:
		pb.Body = &eventpb.Event_JoinAnswered{JoinAnswered: &eventpb.JoinAnswered{
			User: protoPerson(b.User), By: protoDoer(b.By), Accepted: b.Accepted, Reason: b.Reason, Name: b.Name,
		}}
	case conversation.UsersInvited:
		pb.Body = &eventpb.Event_UsersInvited{UsersInvited: &eventpb.UsersInvited{
			Users: protoPersons(b.Users), By: protoDoer(b.By), Reason: b.Reason, Name: b.Name,
		}}
	case conversation.InvitationAnswered:
		pb.Body = &eventpb.Event_InvitationAnswered{InvitationAnswered: &eventpb.InvitationAnswered{
			User: string(b.User), Resource: string(b.Resource), Inviter: string(b.Inviter), Accepted: b.Accepted, Reason: b.Reason,
		}}
	case conversation.ShieldSet:
		pb.Body = &eventpb.Event_ShieldSet{ShieldSet: &eventpb.ShieldSet{User: string(b.User), On: b.On}}
	case user.Noticed:
		pb.Body = &eventpb.Event_Noticed{Noticed: &eventpb.Noticed{
			Kind: eventpb.NoticeKind(b.Kind), Incarnation: uint32(b.Incarnation), Group: b.Group, Name: b.Name, By: string(b.By),
			Reason: b.Reason, Cause: protoCauses([]domain.Cause{b.Cause})[0],
		}}
	}
}
