package token_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// goldenSum is the signature of TestGolden's token.
const goldenSum = "Jndzn4SuBnfuksZd9eVpc7QUICUGqjdOxDwtY2Euskg"

// forge signs any text with the key, as only its holder can.
func forge(signed string) string {
	h := hmac.New(sha256.New, key.Secret)
	h.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
