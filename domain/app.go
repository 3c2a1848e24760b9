package domain

import "strings"

// maxAppPart is the most bytes that either part of an AppID has.
const maxAppPart = 64

var errBadApp = Refuse(BadRequest, "an app is named org#app, both of 1 to 64 characters of A-Z, a-z, 0-9, '_', '-' and '.'")

// ParseAppID checks "org#app". The error has the code BadRequest.
func ParseAppID(s string) (AppID, error) {
	org, app, ok := strings.Cut(s, "#")
	if !ok || !validAppPart(org) || !validAppPart(app) {
		return "", errBadApp
	}
	return AppID(s), nil
}

func validAppPart(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return s != "" && s != "." && s != ".." && len(s) <= maxAppPart // HTTP clients fold dots out of paths
}
