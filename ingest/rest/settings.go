package rest

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"runtime"
	"slices"
	"time"

	"golang.org/x/crypto/bcrypt"

	"parley/domain/conversation"
)

// Settings are the limits of the API. The zero value of a field is not a default: start from DefaultSettings.
type Settings struct {
	Rate              float64            `mapstructure:"rate"`                // calls a second of one app and API on this node
	Burst             int                `mapstructure:"burst"`               // calls at once of one app and API
	Rates             map[string]float64 `mapstructure:"rates"`               // other rates for some APIs, by the API's name
	MessagesPerMinute int                `mapstructure:"messages_per_minute"` // messages of one app sent over REST, all recipients counted
	AppTokenTTL       time.Duration      `mapstructure:"app_token_ttl"`       // when the caller does not say; 0: never expires
	UserTokenTTL      time.Duration      `mapstructure:"user_token_ttl"`      // when the caller does not say; 0: never expires
	MaxBody           int64              `mapstructure:"max_body"`            // bytes of a request's body
	Timeout           time.Duration      `mapstructure:"timeout"`             // for answering a request
	WaitAtMost        time.Duration      `mapstructure:"wait_at_most"`        // for read models after a change; then it is answered all the same
	RetryFor          time.Duration      `mapstructure:"retry_for"`           // asking again for what an owner that moved did not answer
	Origins           []string           `mapstructure:"origins"`             // browsers' origins that may call; "*" lets all in
	BcryptCost        int                `mapstructure:"bcrypt_cost"`         // of hashing passwords; one more is twice as slow
	HashConcurrency   int                `mapstructure:"hash_concurrency"`    // passwords hashed at the same time
	HashQueue         int                `mapstructure:"hash_queue"`          // calls that may wait for that; more are refused as busy
	BulkUsers         int                `mapstructure:"bulk_users"`          // users registered by one call
	UsersPage         int                `mapstructure:"users_page"`          // users listed or deleted by one call
	StatusBatch       int                `mapstructure:"status_batch"`        // users whose status one call may ask for
	Recipients        int                `mapstructure:"recipients"`          // recipients of one send
	HistoryPage       int                `mapstructure:"history_page"`        // messages of a page of history
	ConversationsPage int                `mapstructure:"conversations_page"`  // conversations of a page
	Conversations     int                `mapstructure:"conversations"`       // conversations that a user's list shows

	GroupMessagesPerMinute int  `mapstructure:"group_messages_per_minute"` // messages of one app to groups over REST, all groups counted
	GroupRecipients        int  `mapstructure:"group_recipients"`          // groups of one send
	GroupUsers             int  `mapstructure:"group_users"`               // the most members that a group may be set to have
	GroupDetails           int  `mapstructure:"group_details"`             // groups of one call that shows them in full
	GroupsPage             int  `mapstructure:"groups_page"`               // groups of a page of a list
	JoinedGroups           int  `mapstructure:"joined_groups"`             // groups that a user may be in
	BulkMembers            int  `mapstructure:"bulk_members"`              // users added, invited or removed by one call
	MembersPage            int  `mapstructure:"members_page"`              // members of a page
	Affiliations           int  `mapstructure:"affiliations"`              // members that one call shows with the details of groups
	RecallBatch            int  `mapstructure:"recall_batch"`              // messages recalled by one call
	GroupHistory           bool `mapstructure:"group_history"`             // new members of a group read what was before they joined

	RoomMessagesPerSecond int `mapstructure:"room_messages_per_second"` // messages of one app to rooms over REST, all rooms counted
	RoomRecipients        int `mapstructure:"room_recipients"`          // rooms of one send
	RoomDetails           int `mapstructure:"room_details"`             // rooms of one call that shows them in full
	RoomsPage             int `mapstructure:"rooms_page"`               // rooms of a page of a list
}

// DefaultSettings are the defaults: the limits of the SDKs' documentation where it names one.
func DefaultSettings() Settings {
	return Settings{
		Rate: 100, Burst: 100, MessagesPerMinute: 6000,
		AppTokenTTL: 60 * 24 * time.Hour, UserTokenTTL: 60 * 24 * time.Hour,
		MaxBody: 256 << 10, Timeout: 30 * time.Second, WaitAtMost: 500 * time.Millisecond, RetryFor: 5 * time.Second,
		BcryptCost: bcrypt.DefaultCost, HashConcurrency: max(1, runtime.GOMAXPROCS(0)-1), HashQueue: 256,
		BulkUsers: 60, UsersPage: 100, StatusBatch: 100, Recipients: 600,
		HistoryPage: 50, ConversationsPage: 50, Conversations: 100,
		GroupMessagesPerMinute: 1200, GroupRecipients: 3, GroupUsers: 100_000, GroupDetails: 100, GroupsPage: 1000, JoinedGroups: 10_000,
		BulkMembers: 60, MembersPage: 1000, Affiliations: 10_000, RecallBatch: 30, GroupHistory: true,
		RoomMessagesPerSecond: 100, RoomRecipients: 10, RoomDetails: 100, RoomsPage: 1000,
	}
}

// Validate reports every setting that cannot be, by its name in configuration files.
func (s *Settings) Validate() error {
	errs := s.counts()
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("rest."+format, args...)) }
	if s.Rate <= 0 {
		bad("rate is %g, must be above 0", s.Rate)
	}
	for name, rate := range s.Rates {
		if !slices.ContainsFunc(routes, func(r route) bool { return r.bucket == name }) {
			bad("rates.%s is not the name of an API", name)
		} else if rate <= 0 {
			bad("rates.%s is %g, must be above 0", name, rate)
		}
	}
	if s.AppTokenTTL < 0 || s.AppTokenTTL > maxTTL {
		bad("app_token_ttl is %s, must be between 0 and %s", s.AppTokenTTL, maxTTL)
	}
	if s.UserTokenTTL < 0 || s.UserTokenTTL > maxTTL {
		bad("user_token_ttl is %s, must be between 0 and %s", s.UserTokenTTL, maxTTL)
	}
	if s.Timeout < time.Second {
		bad("timeout is %s, must be at least 1s", s.Timeout)
	}
	if s.WaitAtMost <= 0 || s.WaitAtMost > s.Timeout {
		bad("wait_at_most is %s, must be above 0 and at most rest.timeout", s.WaitAtMost)
	}
	if s.RetryFor <= 0 || s.RetryFor > s.Timeout {
		bad("retry_for is %s, must be above 0 and at most rest.timeout", s.RetryFor)
	}
	if s.BcryptCost < bcrypt.MinCost || s.BcryptCost > 16 {
		bad("bcrypt_cost is %d, must be between %d and 16", s.BcryptCost, bcrypt.MinCost)
	}
	if s.BulkMembers > conversation.MaxBulk {
		bad("bulk_members is %d, must be at most %d", s.BulkMembers, conversation.MaxBulk)
	}
	if s.GroupUsers > math.MaxInt32 {
		bad("group_users is %d, must be at most %d", s.GroupUsers, math.MaxInt32)
	}
	for _, o := range s.Origins {
		if u, err := url.Parse(o); o != "*" && (err != nil || u.Scheme == "" || u.Host == "") {
			bad("origins: %q is not an origin such as https://example.org", o)
		}
	}
	return errors.Join(errs...)
}

// counts reports the whole numbers that are too small.
func (s *Settings) counts() (errs []error) {
	for _, c := range []struct {
		name     string
		v, least int
	}{
		{"burst", s.Burst, 1},
		{"messages_per_minute", s.MessagesPerMinute, 1},
		{"max_body", int(s.MaxBody), 8 << 10},
		{"hash_concurrency", s.HashConcurrency, 1},
		{"hash_queue", s.HashQueue, 1},
		{"bulk_users", s.BulkUsers, 1},
		{"users_page", s.UsersPage, 1},
		{"status_batch", s.StatusBatch, 1},
		{"recipients", s.Recipients, 1},
		{"history_page", s.HistoryPage, 1},
		{"conversations_page", s.ConversationsPage, 1},
		{"conversations", s.Conversations, 1},
		{"group_messages_per_minute", s.GroupMessagesPerMinute, 1},
		{"group_recipients", s.GroupRecipients, 1},
		{"group_users", s.GroupUsers, 1},
		{"group_details", s.GroupDetails, 1},
		{"groups_page", s.GroupsPage, 1},
		{"joined_groups", s.JoinedGroups, 1},
		{"bulk_members", s.BulkMembers, 1},
		{"members_page", s.MembersPage, 1},
		{"affiliations", s.Affiliations, 1},
		{"recall_batch", s.RecallBatch, 1},
		{"room_messages_per_second", s.RoomMessagesPerSecond, 1},
		{"room_recipients", s.RoomRecipients, 1},
		{"room_details", s.RoomDetails, 1},
		{"rooms_page", s.RoomsPage, 1},
	} {
		if c.v < c.least {
			errs = append(errs, fmt.Errorf("rest.%s is %d, must be at least %d", c.name, c.v, c.least))
		}
	}
	return errs
}
