package user

import (
	"strings"
	"unicode/utf8"

	"parley/domain"
)

// Bounds of an account's fields, from the SDKs' documentation.
const (
	maxName     = 64  // bytes
	maxPassword = 64  // characters
	maxNickname = 100 // characters
	maxUUID     = 64  // bytes
)

var errBadName = domain.Refuse(domain.BadName, "a user name has 1 to 64 characters of a-z, 0-9, '_', '-' and '.'")

var errDots = domain.Refuse(domain.BadName, "a user name cannot be '.' or '..'")

// FoldName returns the account that a name means: ASCII letters are folded to lower case. The error has the code BadName. The names that are
// steps in a path are refused: HTTP clients fold them away, and DELETE /users/. would become DELETE /users/, which means many users.
func FoldName(name string) (domain.UserID, error) {
	if name == "" || len(name) > maxName {
		return "", errBadName
	}
	if name == "." || name == ".." {
		return "", errDots
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.':
		default:
			return "", errBadName
		}
	}
	return domain.UserID(strings.ToLower(name)), nil
}

// CheckPassword refuses a password that is empty (BadRequest) or too long (TooLarge). It is for the edge, which hashes what it lets pass.
func CheckPassword(password string) error {
	switch {
	case password == "":
		return domain.Refuse(domain.BadRequest, "the password is empty")
	case utf8.RuneCountInString(password) > maxPassword:
		return domain.Refuse(domain.TooLarge, "the password has more than 64 characters")
	default:
		return nil
	}
}

// CheckNickname refuses a nickname that is not UTF-8 (BadRequest) or too long (TooLarge).
func CheckNickname(nickname string) error {
	switch {
	case !utf8.ValidString(nickname):
		return domain.Refuse(domain.BadRequest, "the nickname is not UTF-8")
	case utf8.RuneCountInString(nickname) > maxNickname:
		return domain.Refuse(domain.TooLarge, "the nickname has more than 100 characters")
	default:
		return nil
	}
}
