package rest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/bcrypt"

	"parley/domain"
	"parley/domain/user"
)

// hasher hashes passwords, a few at the same time, so that log-ins cannot starve the rest of the process.
type hasher struct {
	cost    int
	slots   chan struct{}
	queue   chan struct{} // those who wait or hash
	metrics *metrics
}

func newHasher(s *Settings, m *metrics) *hasher {
	return &hasher{
		cost: s.BcryptCost, slots: make(chan struct{}, s.HashConcurrency), queue: make(chan struct{}, s.HashConcurrency+s.HashQueue), metrics: m,
	}
}

// enter waits for a slot. A full queue is refused as busy.
func (h *hasher) enter(ctx context.Context) error {
	select {
	case h.queue <- struct{}{}:
	default:
		h.metrics.limited.WithLabelValues("hash_queue").Inc()
		return domain.Refuse(domain.Busy, "too many passwords are being checked, please try again")
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-h.queue
		return domain.Fail(domain.Busy, ctx.Err())
	}
}

func (h *hasher) leave(begin time.Time) {
	<-h.slots
	<-h.queue
	h.metrics.hashing.Observe(time.Since(begin).Seconds())
}

// hash returns what is kept of a password.
func (h *hasher) hash(ctx context.Context, password string) (user.PasswordHash, error) {
	begin := time.Now()
	if err := h.enter(ctx); err != nil {
		return nil, err
	}
	defer h.leave(begin)
	out, err := bcrypt.GenerateFromPassword(digest(password), h.cost)
	if err != nil {
		return nil, fmt.Errorf("hash a password: %w", err)
	}
	return out, nil
}

// check tells whether a password is the one that was hashed. An account without a password has none that fits.
func (h *hasher) check(ctx context.Context, hash user.PasswordHash, password string) (bool, error) {
	if len(hash) == 0 {
		return false, nil
	}
	begin := time.Now()
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave(begin)
	err := bcrypt.CompareHashAndPassword(hash, digest(password))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("check a password: %w", err)
	}
	return true, nil
}

// digest makes any password 44 bytes: bcrypt takes at most 72, and 64 characters may be 256.
func digest(password string) []byte {
	sum := sha256.Sum256([]byte(password))
	return base64.StdEncoding.AppendEncode(nil, sum[:])
}
