package smtp

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// limitedListener turns away whoever comes on top of the limits, at once and with a temporary reply. Addresses are counted while connected
// and then forgotten.
type limitedListener struct {
	net.Listener
	l *Listener

	mu         sync.Mutex
	open       map[*limitedConn]bool
	draining   bool
	perAddress map[netip.Addr]int
}

func (ll *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := ll.Listener.Accept()
		if err != nil {
			return nil, err
		}
		lc := &limitedConn{Conn: c, listener: ll, accepted: time.Now(), moved: ll.l.conf.now()}
		lc.network, lc.trusted = ll.origin(c)
		until := lc.accepted.Add(ll.l.conf.CommandTimeout)
		c.SetReadDeadline(until)
		c.SetWriteDeadline(until.Add(5 * time.Second)) // to say why
		if ll.enter(lc) {
			return lc, nil
		}
		c.SetDeadline(time.Now().Add(100 * time.Millisecond))
		c.Write([]byte("421 4.7.0 too many connections, try again later\r\n"))
		c.Close()
	}
}

// origin is the client's address, IPv6 cut to its /64, and whether it is one of our own MTAs.
func (ll *limitedListener) origin(c net.Conn) (netip.Addr, bool) {
	if c.RemoteAddr().Network() == "unix" {
		return netip.Addr{}, true
	}
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}, false
	}
	addr := at.Addr().Unmap().WithZone("")
	for _, p := range ll.l.conf.Trusted {
		if p.Contains(addr) {
			return addr, true
		}
	}
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	return addr, false
}

// enter counts a client in. Where there is no room, one that hardly moves
// makes it: one from an address that has more connections than the newcomer's
// would have, else the one that has stood still longest.
func (ll *limitedListener) enter(c *limitedConn) bool {
	now := ll.l.conf.now()
	ll.mu.Lock()
	defer ll.mu.Unlock()
	if ll.draining {
		return false
	}
	var out *limitedConn
	if !c.trusted && ll.perAddress[c.network] >= ll.l.conf.PerAddress {
		if out = ll.stillest(now, standsStill, func(x *limitedConn) bool { return x.network == c.network }); out == nil {
			return false
		}
	} else if len(ll.open) >= ll.l.conf.MaxConnections {
		most := 0
		for x := range ll.open {
			if !x.trusted {
				most = max(most, ll.perAddress[x.network])
			}
		}
		if most > ll.perAddress[c.network]+1 {
			out = ll.stillest(now, standsBriefly, func(x *limitedConn) bool { return ll.perAddress[x.network] == most })
		}
		if out == nil {
			out = ll.stillest(now, standsStill, func(*limitedConn) bool { return true })
		}
		if out == nil {
			return false
		}
	}
	if out != nil {
		ll.forget(out)
		out.CutOff()
	}
	ll.open[c] = true
	ll.perAddress[c.network]++
	return true
}

// How long a client stands still before it makes room: where its address has
// several connections, and otherwise.
const (
	standsBriefly = 500 * time.Millisecond
	standsStill   = 5 * time.Second
)

// stillest is the client that has stood still longest, for at least so long;
// nil: none has. Our own servers never make room.
func (ll *limitedListener) stillest(now time.Time, atLeast time.Duration, among func(*limitedConn) bool) (found *limitedConn) {
	for c := range ll.open {
		if still := c.still(now); !c.trusted && still >= atLeast && among(c) {
			found, atLeast = c, still
		}
	}
	return found
}

func (ll *limitedListener) leave(c *limitedConn) {
	ll.mu.Lock()
	defer ll.mu.Unlock()
	ll.forget(c)
}

func (ll *limitedListener) forget(c *limitedConn) {
	if !ll.open[c] {
		return
	}
	delete(ll.open, c)
	if ll.perAddress[c.network]--; ll.perAddress[c.network] <= 0 {
		delete(ll.perAddress, c.network)
	}
}

// drain turns new clients away and closes connections, those in the middle of a mail only when all is true.
func (ll *limitedListener) drain(all bool) {
	ll.mu.Lock()
	ll.draining = true
	var end []*limitedConn
	for c := range ll.open {
		if all || !c.inData.Load() {
			end = append(end, c)
		}
	}
	ll.mu.Unlock()
	for _, c := range end {
		c.Close()
	}
}

func (ll *limitedListener) isDraining() bool {
	ll.mu.Lock()
	defer ll.mu.Unlock()
	return ll.draining
}

type limitedConn struct {
	net.Conn
	listener *limitedListener
	network  netip.Addr
	trusted  bool
	accepted time.Time
	inData   atomic.Bool
	ours     atomic.Bool // the message is here: the client waits for us
	cut      atomic.Bool
	once     sync.Once

	mu    sync.Mutex
	moved time.Time // when it last got on: by a step of a mail, or by a piece of a message
	came  int       // bytes since then
}

// piece is how many bytes of a message count as getting on.
const piece = 1 << 10

// Read implements net.Conn.
func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.inData.Load() {
		c.mu.Lock()
		if c.came += n; c.came >= piece {
			c.moved, c.came = c.listener.l.conf.now(), 0
		}
		c.mu.Unlock()
	}
	return n, err
}

// step notes that the client got on with its mail.
func (c *limitedConn) step() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved, c.came = c.listener.l.conf.now(), 0
}

func (c *limitedConn) still(now time.Time) time.Duration {
	if c.ours.Load() {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Sub(c.moved)
}

// CutOff makes reading end now, upon which the client is told and sent away.
func (c *limitedConn) CutOff() {
	c.cut.Store(true)
	_ = c.SetReadDeadline(time.Now())
	_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // to say why
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.once.Do(func() { c.listener.leave(c) })
	return c.Conn.Close()
}
