package gate

import (
	"context"
	"net/http"
	"sync"
	"time"

	"postern/internal/server"
)

// pace is how a request stands to the allowance of its address.
type pace int

const (
	paceNormal pace = iota
	paceSlow        // beyond the allowance: waited for its turn, and may bring less
	paceOver        // the line is full: nothing is stored, what was typed comes back
)

// slowBytes is how much one request may bring beyond the allowance, and is told
// so (Intake.Slow of the texts). A conference or an office shares one address:
// the door is not shut for it.
const slowBytes = 1 << 20

// maxLine bounds the memory of a line: addresses waiting or not long gone.
const maxLine = 100_000

// line lets each address pass every so often. An address is known by its HMAC.
type line struct {
	every, wait time.Duration
	mu          sync.Mutex
	next        map[string]time.Time // when the next one may pass
}

func newLine(every, wait time.Duration) *line {
	return &line{every: every, wait: wait, next: map[string]time.Time{}}
}

// turn waits for the caller's turn, or says at once that the line is too long.
func (l *line) turn(ctx context.Context, address string) pace {
	now := time.Now()
	l.mu.Lock()
	if len(l.next) >= maxLine {
		for a, at := range l.next {
			if at.Before(now) {
				delete(l.next, a)
			}
		}
	}
	at := l.next[address]
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) > l.wait || len(l.next) >= maxLine {
		l.mu.Unlock()
		return paceOver
	}
	l.next[address] = at.Add(l.every)
	l.mu.Unlock()
	t := time.NewTimer(at.Sub(now))
	defer t.Stop()
	select {
	case <-t.C:
		return paceSlow
	case <-ctx.Done():
		return paceOver
	}
}

// waits says whether the address is in the line, for telling it so.
func (l *line) waits(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next[address].After(time.Now())
}

type paceKey struct{}

func paceOf(ctx context.Context) pace {
	p, _ := ctx.Value(paceKey{}).(pace)
	return p
}

// slower runs h for what is beyond the allowance: in turn, and with less to bring.
func (g *Gate) slower(h server.Handler) server.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Del("Retry-After") // the limiter's; the line decides
		r.Body = http.MaxBytesReader(w, r.Body, slowBytes)
		turn := g.line.turn(r.Context(), g.server.AddressKey(r))
		if turn == paceOver {
			w.Header().Set("Retry-After", "60")
		}
		return h(w, r.WithContext(context.WithValue(r.Context(), paceKey{}, turn)))
	}
}
