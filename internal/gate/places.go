package gate

import (
	"bytes"
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

// smallBody is how much of a body is read before it needs a place: whoever
// sends it byte by byte holds nobody up.
const smallBody = 64 << 10

func large(r *http.Request) bool { return r.ContentLength < 0 || r.ContentLength > smallBody }

// places bounds how many bodies are read at once, in all and from one address.
// An address is known by its HMAC. Where all are taken, the slowest body that
// hardly comes makes room for the next.
type places struct {
	all  chan struct{}
	each int
	mu   sync.Mutex
	of   map[string]*addressPlaces
	held map[*place]bool // whose bodies are still coming
}

type addressPlaces struct {
	taken chan struct{}
	users int
}

// place is one of the places, taken.
type place struct {
	of      *places
	address string
	since   time.Time
	body    *meter // nil: not known how fast it comes
	back    func()
}

func newPlaces(all, each int) *places {
	return &places{all: make(chan struct{}, all), each: each, of: map[string]*addressPlaces{}, held: map[*place]bool{}}
}

// take waits for a place: errTooMany when the address has all of its own,
// errBusy when everybody's are taken.
func (p *places) take(ctx context.Context, address string, body *meter) (*place, error) {
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
	if err := p.one(ctx, a.taken, t.C, errTooMany, func(x *place) bool { return x.address == address }); err != nil {
		leave()
		return nil, err
	}
	if err := p.one(ctx, p.all, t.C, errBusy, func(*place) bool { return true }); err != nil {
		<-a.taken
		leave()
		return nil, err
	}
	taken := &place{of: p, address: address, since: time.Now(), body: body}
	taken.back = sync.OnceFunc(func() {
		taken.keep()
		<-p.all
		<-a.taken
		leave()
	})
	if body != nil {
		p.mu.Lock()
		p.held[taken] = true
		p.mu.Unlock()
	}
	return taken, nil
}

// one takes one place and has slow bodies make room while there is none.
func (p *places) one(ctx context.Context, from chan struct{}, late <-chan time.Time, none error, among func(*place) bool) error {
	select {
	case from <- struct{}{}:
		return nil
	default:
	}
	taken := make(chan struct{})
	defer close(taken)
	go func() {
		every := time.NewTicker(placeWait / 8)
		defer every.Stop()
		for {
			p.makeRoom(among)
			select {
			case <-taken:
				return
			case <-every.C:
			}
		}
	}()
	return takeOne(ctx, from, late, none)
}

// A body has to come at roomRate bytes a second to keep a place that others
// wait for, once it had it for settling.
const (
	roomRate = 4 << 10
	settling = 2 * time.Second
)

// makeRoom cuts the slowest body off, if it is slow.
func (p *places) makeRoom(among func(*place) bool) {
	now := time.Now()
	p.mu.Lock()
	var slowest *place
	least := float64(roomRate)
	for x := range p.held {
		if among(x) && now.Sub(x.since) >= settling {
			if rate := x.body.rate(now); rate < least {
				slowest, least = x, rate
			}
		}
	}
	delete(p.held, slowest)
	p.mu.Unlock()
	if slowest != nil {
		slowest.body.cutOff()
	}
}

// keep says that the body is here: from now on the others wait for us.
func (x *place) keep() {
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	delete(x.of.held, x)
}

// release gives the place back. More than once does no more.
func (x *place) release() { x.back() }

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
	cut   func() // makes a Read that waits return; nil: nothing does
	began time.Time

	mu     sync.Mutex
	n      int64 // read so far
	mark   time.Time
	marked int64 // read at the mark
	before float64
	over   bool
}

// markEvery is how far back a body's rate looks, at least.
const markEvery = time.Second

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if m.count != nil {
		m.count(int64(n))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n += int64(n)
	now := time.Now()
	if at := m.at(); now.Sub(at) >= markEvery {
		m.before = float64(m.n-m.marked) / now.Sub(at).Seconds()
		m.mark, m.marked = now, m.n
	}
	took := now.Sub(m.began)
	if err != io.EOF && (m.over || took > patience && float64(m.n) < leastRate*took.Seconds()) {
		err = errSlow
	}
	return n, err
}

func (m *meter) at() time.Time {
	if m.mark.IsZero() {
		return m.began
	}
	return m.mark
}

// rate is how many bytes a second came of late.
func (m *meter) rate(now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if since := now.Sub(m.at()); since >= markEvery || m.mark.IsZero() {
		return float64(m.n-m.marked) / max(since, time.Millisecond).Seconds()
	}
	return m.before
}

func (m *meter) cutOff() {
	m.mu.Lock()
	m.over = true
	m.mu.Unlock()
	if m.cut != nil {
		m.cut()
	}
}

type addressKey struct{}
type meterKey struct{}

// begun reads the beginning of a body, which for most is all of it, before the
// request counts as one of its address: whoever sends hardly anything takes
// nothing of what others from the same address may send.
func (g *Gate) begun(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	address := g.server.AddressKey(r)
	control := http.NewResponseController(w)
	m := &meter{ReadCloser: r.Body, count: func(n int64) { g.traffic.add(address, n) }, began: time.Now(),
		cut: func() { _ = control.SetReadDeadline(time.Now()) }}
	place, err := g.beginnings.take(r.Context(), address, m)
	if err != nil {
		return nil, err
	}
	defer place.release()
	r = r.WithContext(context.WithValue(context.WithValue(r.Context(), addressKey{}, address), meterKey{}, m))
	r.Body = struct {
		io.Reader
		io.Closer
	}{beginning(m), m}
	return r, nil
}

// metered lets an address that has brought more than its limit bring as little
// as one in the line.
func (g *Gate) metered(h server.Handler) server.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if g.traffic.add(g.server.AddressKey(r), 0) {
			r.Body = http.MaxBytesReader(w, r.Body, slowBytes)
		}
		return h(w, r)
	}
}

// beginning reads the first smallBody bytes of r now, and gives all of it back.
func beginning(r io.Reader) io.Reader {
	head, err := io.ReadAll(io.LimitReader(r, smallBody))
	if err != nil {
		return io.MultiReader(bytes.NewReader(head), failing{err})
	}
	return io.MultiReader(bytes.NewReader(head), r)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// echoed is how much of a field a page gives back.
const echoed = 64 << 10

// echo is a field as a page gives it back: what is too long says that it was cut.
func (s *set) echo(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "\n\n" + s.says().CutShort
}
