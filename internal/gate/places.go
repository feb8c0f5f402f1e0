package gate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"postern/internal/server"
)

// placeWait is how long a request waits for a place before it is told that
// there is none.
const placeWait = 2 * time.Second

// smallBody is how large a body may be to be read without a place.
const smallBody = 64 << 10

func large(r *http.Request) bool { return r.ContentLength < 0 || r.ContentLength > smallBody }

// places bounds how many bodies are read at once, in all and from one address.
// An address is known by its HMAC.
type places struct {
	all  chan struct{}
	each int
	mu   sync.Mutex
	of   map[string]*addressPlaces
}

type addressPlaces struct {
	taken chan struct{}
	users int
}

func newPlaces(all, each int) *places {
	return &places{all: make(chan struct{}, all), each: each, of: map[string]*addressPlaces{}}
}

// take waits for a place: errTooMany when the address has all of its own,
// errBusy when everybody's are taken. What it returns gives the place back.
func (p *places) take(ctx context.Context, address string) (func(), error) {
	p.mu.Lock()
	a := p.of[address]
	if a == nil {
		a = &addressPlaces{taken: make(chan struct{}, p.each)}
		p.of[address] = a
	}
	a.users++
	p.mu.Unlock()
	leave := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if a.users--; a.users == 0 {
			delete(p.of, address)
		}
	}
	t := time.NewTimer(placeWait)
	defer t.Stop()
	if err := takeOne(ctx, a.taken, t.C, errTooMany); err != nil {
		leave()
		return nil, err
	}
	if err := takeOne(ctx, p.all, t.C, errBusy); err != nil {
		<-a.taken
		leave()
		return nil, err
	}
	return func() {
		<-p.all
		<-a.taken
		leave()
	}, nil
}

func takeOne(ctx context.Context, from chan struct{}, late <-chan time.Time, none error) error {
	select {
	case from <- struct{}{}:
		return nil
	default:
	}
	select {
	case from <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		return none
	}
}

// traffic counts what each address sent in its current window.
type traffic struct {
	limit  int64
	window time.Duration
	mu     sync.Mutex
	of     map[string]*sent
}

type sent struct {
	since time.Time
	bytes int64
}

func newTraffic(limit int64, window time.Duration) *traffic {
	return &traffic{limit: limit, window: window, of: map[string]*sent{}}
}

// add counts n more bytes and says whether the address is beyond its limit.
func (t *traffic) add(address string, n int64) bool {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.of[address]
	if s == nil || now.Sub(s.since) > t.window {
		if len(t.of) >= maxLine {
			for a, old := range t.of {
				if now.Sub(old.since) > t.window {
					delete(t.of, a)
				}
			}
		}
		if len(t.of) >= maxLine {
			return true
		}
		s = &sent{since: now}
		t.of[address] = s
	}
	s.bytes += n
	return s.bytes > t.limit
}

// A body has to come at leastRate bytes a second, on average, once it took
// longer than patience.
const (
	patience  = 30 * time.Second
	leastRate = 1 << 10
)

var errSlow = errors.New("the body comes too slowly")

// meter counts what is read of a body, and gives up on one that hardly comes.
type meter struct {
	io.ReadCloser
	count func(int64)
	began time.Time
	n     int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.n += int64(n)
	m.count(int64(n))
	took := time.Since(m.began)
	if err == nil && took > patience && float64(m.n) < leastRate*took.Seconds() {
		err = errSlow
	}
	return n, err
}

type addressKey struct{}

// metered counts the bytes each address brings; beyond the limit a request may
// bring as little as one in the line.
func (g *Gate) metered(h server.Handler) server.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		address := g.server.AddressKey(r)
		if g.traffic.add(address, 0) {
			r.Body = http.MaxBytesReader(w, r.Body, slowBytes)
		}
		r.Body = &meter{ReadCloser: r.Body, count: func(n int64) { g.traffic.add(address, n) }, began: time.Now()}
		return h(w, r.WithContext(context.WithValue(r.Context(), addressKey{}, address)))
	}
}

// echoed is how much of a field a page gives back.
const echoed = 64 << 10

// echo is a field as a page gives it back: what is too long says that it was cut.
func echo(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "\n\n[Cut here: the page does not give back more than this. Attach long text as a file.]"
}
