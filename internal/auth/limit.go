package auth

import (
	"sync"
	"time"
)

// Limits are a limiter's rules.
type Limits struct {
	Free   int           // failed tries before the first wait
	First  time.Duration // the first wait; each further failure doubles it
	Most   time.Duration // the longest wait
	Forget time.Duration // after so long without a try a key starts anew
	Keys   int           // remembered at most
}

// SignInLimits let an honest member slip four times, and a guesser try about
// thirty times a day.
var SignInLimits = Limits{Free: 5, First: 30 * time.Second, Most: time.Hour, Forget: 24 * time.Hour, Keys: 10_000}

// Limiter slows down guessing, per key: a member's name, or an HMAC of an
// address. It lives in one process and is empty after a start; it is safe for
// concurrent use.
type Limiter struct {
	limits Limits
	mu     sync.Mutex
	keys   map[string]tries
}

type tries struct {
	count int
	last  time.Time
	until time.Time
}

// NewLimiter returns an empty limiter.
func NewLimiter(limits Limits) *Limiter {
	return &Limiter{limits: limits, keys: make(map[string]tries)}
}

// Try asks for one try and counts it as failed at once, so that many at the
// same time are not all let through; [Limiter.Succeeded] takes it back. A
// refused try returns how long to wait and is not counted: whoever keeps
// knocking does not lengthen the wait of the member whose name it is.
func (l *Limiter) Try(key string, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, known := l.keys[key]
	if known && l.forgotten(t, now) {
		t = tries{}
	}
	if now.Before(t.until) {
		return t.until.Sub(now), false
	}
	if !known {
		l.makeRoom(now)
	}
	t.count++
	t.last = now
	t.until = now.Add(l.pause(t.count))
	l.keys[key] = t
	return 0, true
}

// Succeeded forgets the key's failures.
func (l *Limiter) Succeeded(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, key)
}

// pause is how long to wait after that many failures.
func (l *Limiter) pause(failures int) time.Duration {
	if failures < l.limits.Free {
		return 0
	}
	wait := l.limits.First
	for range failures - l.limits.Free {
		if wait >= l.limits.Most/2 {
			return l.limits.Most
		}
		wait *= 2
	}
	return min(wait, l.limits.Most)
}

func (l *Limiter) forgotten(t tries, now time.Time) bool {
	return now.Sub(t.last) >= l.limits.Forget && !now.Before(t.until)
}

// makeRoom keeps the memory bounded: first what is forgotten goes, then the
// key with the fewest failures, so that a flood of new keys does not free a
// guesser of his wait.
func (l *Limiter) makeRoom(now time.Time) {
	if len(l.keys) < l.limits.Keys {
		return
	}
	least, found := "", false
	for key, t := range l.keys {
		if l.forgotten(t, now) {
			delete(l.keys, key)
			continue
		}
		if !found || t.count < l.keys[least].count {
			least, found = key, true
		}
	}
	if found && len(l.keys) >= l.limits.Keys {
		delete(l.keys, least)
	}
}

// Len returns how many keys are remembered.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys)
}
