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
		lc := &limitedConn{Conn: c, listener: ll, accepted: time.Now()}
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

func (ll *limitedListener) enter(c *limitedConn) bool {
	ll.mu.Lock()
	defer ll.mu.Unlock()
	if ll.draining || len(ll.open) >= ll.l.conf.MaxConnections {
		return false
	}
	if !c.trusted && ll.perAddress[c.network] >= ll.l.conf.PerAddress {
		return false
	}
	ll.open[c] = true
	ll.perAddress[c.network]++
	return true
}

func (ll *limitedListener) leave(c *limitedConn) {
	ll.mu.Lock()
	defer ll.mu.Unlock()
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
	once     sync.Once
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.once.Do(func() { c.listener.leave(c) })
	return c.Conn.Close()
}
