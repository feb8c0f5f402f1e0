package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// link is one connection to the relay, used by one mail at a time.
type link struct {
	client *smtp.Client
	wire   *wire
	secure *tls.Conn // over wire; nil without TLS
	relay  *Relay
	tls    bool
	broken bool      // must not be used again
	since  time.Time // idle since
}

// dial connects, encrypts, and logs in.
func (r *Relay) dial(ctx context.Context) (*link, error) {
	dialer := net.Dialer{Timeout: r.conf.CommandTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", r.address)
	if err != nil {
		return nil, fmt.Errorf("connect to the mail relay: %w", err)
	}
	l := &link{relay: r, wire: &wire{Conn: conn}}
	stop := context.AfterFunc(ctx, func() { l.wire.limit(time.Unix(1, 0)) })
	err = l.open()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return l, nil
}

func (l *link) open() error {
	r := l.relay
	local := false
	if a, err := netip.ParseAddrPort(l.wire.RemoteAddr().String()); err == nil {
		local = a.Addr().Unmap().IsLoopback()
	}
	// The whole opening is held to one limit as well, against a server that answers each command at the last moment.
	l.wire.limit(time.Now().Add(4 * r.conf.CommandTimeout))
	defer l.wire.limit(time.Time{})

	if r.scheme == "smtps" {
		if err := l.handshake(); err != nil {
			return err
		}
		if err := l.greet(l.secure); err != nil {
			return err
		}
	} else {
		if err := l.greet(l.wire); err != nil {
			return err
		}
	}
	if r.scheme == "smtp" {
		if err := l.startTLS(local); err != nil {
			return err
		}
	}
	l.tls = l.secure != nil
	if !l.tls && !local {
		return fmt.Errorf("the mail relay %s is not on loopback and the connection is not encrypted", r.address)
	}
	return l.login()
}

func (l *link) greet(conn net.Conn) error {
	l.client = smtp.NewClient(conn)
	l.client.CommandTimeout = l.relay.conf.CommandTimeout
	l.client.SubmissionTimeout = l.relay.conf.DataTimeout
	if err := l.client.Hello(l.relay.conf.Name); err != nil {
		return fmt.Errorf("greet the mail relay %s: %w", l.relay.address, err)
	}
	return nil
}

func (l *link) handshake() error {
	secure := tls.Client(l.wire, l.relay.conf.TLS)
	secure.SetDeadline(time.Now().Add(l.relay.conf.CommandTimeout))
	defer secure.SetDeadline(time.Time{})
	if err := secure.Handshake(); err != nil {
		return tlsError(l.relay, err)
	}
	l.secure = secure
	return nil
}

// startTLS has no way back: a relay that does not offer it is refused unless it is on this machine.
func (l *link) startTLS(local bool) error {
	r := l.relay
	if ok, _ := l.client.Extension("STARTTLS"); !ok {
		if local {
			return nil
		}
		return fmt.Errorf("the mail relay %s does not offer STARTTLS, and nothing is sent in clear: ask its operator, or use smtps", r.address)
	}
	l.wire.SetDeadline(time.Now().Add(r.conf.CommandTimeout))
	if _, err := io.WriteString(l.wire, "STARTTLS\r\n"); err != nil {
		return tlsError(r, err)
	}
	reply, err := l.wire.line()
	if err != nil {
		return tlsError(r, err)
	}
	if !strings.HasPrefix(reply, "220 ") {
		return tlsError(r, fmt.Errorf("it answered %q to STARTTLS", oneLine(reply)))
	}
	if err := l.handshake(); err != nil {
		return err
	}
	// The library begins by reading a greeting, which after STARTTLS does not come again.
	return l.greet(&greeted{Conn: l.secure, greeting: []byte("220 \r\n")})
}

// greeted lets the library find a greeting that was read before.
type greeted struct {
	net.Conn
	greeting []byte
}

// Read implements net.Conn.
func (g *greeted) Read(p []byte) (int, error) {
	if len(g.greeting) > 0 {
		n := copy(p, g.greeting)
		g.greeting = g.greeting[n:]
		return n, nil
	}
	return g.Conn.Read(p)
}

// body is where the text of a message is written, below the library's buffer, which is empty then.
func (l *link) body() io.Writer {
	if l.secure != nil {
		return l.secure
	}
	return l.wire
}

func tlsError(r *Relay, err error) error {
	return fmt.Errorf("encrypt the connection to the mail relay %s: %w", r.address, err)
}

func (l *link) login() error {
	r := l.relay
	if r.user == "" {
		return nil
	}
	var how sasl.Client
	switch {
	case l.client.SupportsAuth(sasl.Plain):
		how = sasl.NewPlainClient("", r.user, r.password)
	case l.client.SupportsAuth(sasl.Login):
		how = sasl.NewLoginClient(r.user, r.password)
	default:
		return fmt.Errorf("the mail relay %s offers neither PLAIN nor LOGIN, but a user is configured", r.address)
	}
	if err := l.client.Auth(how); err != nil {
		return fmt.Errorf("log in at the mail relay %s: %w", r.address, err)
	}
	return nil
}

// transact sends one mail. stale says that the connection failed before anything of the mail was said.
func (l *link) transact(ctx context.Context, m outgoing) (out Outcome, stale bool) {
	defer func() { out.TLS = l.tls }()
	watch := context.AfterFunc(ctx, func() { l.wire.limit(time.Unix(1, 0)) })
	stopped := false
	stop := func() bool { stopped = stopped || watch(); return stopped }
	defer func() {
		if !stop() { // it may set its limit at any moment from now on
			l.broken = true
		}
	}()

	if m.RequireTLS && !l.tls && l.relay.scheme != "smtp+insecure" && !l.local() {
		l.broken = true
		return lost("hand over", errors.New("the mail wants TLS and the connection has none")), false
	}
	if err := l.client.Mail(m.From, l.mailOptions(m)); err != nil {
		out, stale = l.refused(ctx, "MAIL", err)
		return out, stale
	}
	if err := l.client.Rcpt(m.To, &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyFailure, smtp.DSNNotifyDelayed}}); err != nil {
		out, _ = l.refused(ctx, "RCPT", err)
		return out, false
	}
	l.wire.limit(time.Now().Add(l.relay.conf.DataTimeout))
	if ctx.Err() != nil { // it may have been canceled just before the limit was set
		l.broken = true
		return lost("send", context.Cause(ctx)), false
	}
	data, err := l.client.Data()
	if err != nil {
		out, _ = l.refused(ctx, "DATA", err)
		return out, false
	}
	l.broken = true // until the reply is read, the connection stands in the middle of a mail
	text := newStuffer(l.body())
	if out, ok := l.writeBody(ctx, text, m); !ok {
		return out, false
	}
	if _, err := data.Write(text.held); err != nil { // into a buffer, to go out with the dot
		return lost("send the message", cause(ctx, err)), false
	}
	return l.dot(ctx, data, stop), false
}

// writeBody sends everything up to the last line end, then asks.
func (l *link) writeBody(ctx context.Context, text *stuffer, m outgoing) (Outcome, bool) {
	strict := &strictWriter{w: text}
	err := m.body(strict)
	if err == nil {
		err = strict.end()
	}
	if err == nil {
		strict.lost = text.flush()
	}
	switch {
	case strict.lost != nil:
		return lost("send the message", cause(ctx, strict.lost)), false
	case err != nil:
		return canceled(err), false
	case m.confirm == nil:
		return Outcome{}, true
	}
	if err := m.confirm(ctx); err != nil {
		return canceled(err), false
	}
	return Outcome{}, true
}

// dot ends the message. Everything before it failed safely; from its first byte on only a reply tells.
func (l *link) dot(ctx context.Context, data *smtp.DataCommand, stop func() bool) Outcome {
	if l.wire.peerClosed() {
		return lost("send the message", errors.New("the mail relay closed the connection before its end"))
	}
	if !stop() {
		return lost("send the message", context.Cause(ctx))
	}
	stopLate := context.AfterFunc(ctx, func() { l.wire.shorten(time.Now().Add(l.relay.conf.CommandTimeout)) })
	defer func() {
		if !stopLate() {
			l.broken = true
		}
	}()
	l.wire.mark()
	reply, err := data.CloseWithResponse()
	if err == nil {
		l.broken = false
		l.wire.limit(time.Time{})
		return Outcome{State: Sent, Code: 250, Text: oneLine(reply.StatusText)}
	}
	var said *smtp.SMTPError
	if errors.As(err, &said) {
		out := replied(said)
		if out.State == Uncertain && said.Code/100 == 2 {
			out.State, out.Err = Sent, nil
		}
		l.broken = said.Code == 421 || out.State == Uncertain
		l.wire.limit(time.Time{})
		return out
	}
	if !l.wire.wroteSinceMark() {
		return lost("send the message", cause(ctx, err))
	}
	err = fmt.Errorf("the connection broke after the end of the message and before its receipt: %w", cause(ctx, err))
	return Outcome{State: Uncertain, Text: oneLine(err.Error()), Err: err}
}

// refused turns an error of a command before DATA's body into an outcome, and readies the connection for the next mail.
func (l *link) refused(ctx context.Context, command string, err error) (out Outcome, stale bool) {
	var said *smtp.SMTPError
	if !errors.As(err, &said) {
		if strings.HasPrefix(err.Error(), "smtp: server does not support") {
			// The library refused by itself: the server lacks what this mail needs.
			out = Outcome{State: Rejected, Text: oneLine(err.Error()), Err: err}
			l.reset()
			return out, false
		}
		l.broken = true
		return lost(command, cause(ctx, err)), true
	}
	out = replied(said)
	if out.State == Uncertain { // a reply out of order, but before the body: unsent all the same
		out.State = Deferred
		l.broken = true
		return out, false
	}
	if said.Code == 421 {
		l.broken = true
		return out, true
	}
	if command == "MAIL" && (said.Code == 530 || said.Code == 535 || said.Code == 538) {
		out.State = Deferred // about our login, not about this mail
	}
	l.reset()
	return out, false
}

func (l *link) reset() {
	if err := l.client.Reset(); err != nil {
		l.broken = true
	}
	l.wire.limit(time.Time{})
}

func (l *link) mailOptions(m outgoing) *smtp.MailOptions {
	o := &smtp.MailOptions{
		Return:     smtp.DSNReturnHeaders, // a bounce must not carry the body past the recipient
		EnvelopeID: m.ID,
		Size:       m.size,
		UTF8:       !isASCII(m.From) || !isASCII(m.To),
	}
	if m.RequireTLS {
		o.RequireTLS, _ = l.client.Extension("REQUIRETLS")
	}
	return o
}

func (l *link) local() bool {
	a, err := netip.ParseAddrPort(l.wire.RemoteAddr().String())
	return err == nil && a.Addr().Unmap().IsLoopback()
}

func (l *link) close() { l.wire.Close() }

func (l *link) quit() {
	l.wire.limit(time.Now().Add(time.Second))
	if l.client.Quit() != nil {
		l.wire.Close()
	}
}

func replied(said *smtp.SMTPError) Outcome {
	text := said.Message
	if c := said.EnhancedCode; c[0] > 0 {
		text = fmt.Sprintf("%d.%d.%d %s", c[0], c[1], c[2], text)
	}
	out := Outcome{State: Uncertain, Code: said.Code, Text: oneLine(text)}
	switch said.Code / 100 {
	case 4:
		out.State = Deferred
	case 5:
		out.State = Rejected
	default:
		out.Err = said
	}
	return out
}

// cause prefers the reason somebody gave for canceling over the broken connection that followed.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// wire is the connection below everything: it keeps an overall limit that the library's own deadlines cannot lift, and notices whether
// bytes really went out.
type wire struct {
	net.Conn

	mu     sync.Mutex
	hard   time.Time // zero: none
	soft   time.Time // what the library asked for
	failed bool      // a write failed since mark
	wrote  bool      // a write succeeded since mark
}

func (w *wire) limit(t time.Time) {
	w.mu.Lock()
	w.hard = t
	w.apply()
	w.mu.Unlock()
}

// shorten brings the limit forward, never back.
func (w *wire) shorten(t time.Time) {
	w.mu.Lock()
	if w.hard.IsZero() || t.Before(w.hard) {
		w.hard = t
		w.apply()
	}
	w.mu.Unlock()
}

// SetDeadline implements net.Conn.
func (w *wire) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.soft = t
	return w.apply()
}

func (w *wire) apply() error {
	t := w.soft
	if t.IsZero() || !w.hard.IsZero() && w.hard.Before(t) {
		t = w.hard
	}
	return w.Conn.SetDeadline(t)
}

func (w *wire) mark() {
	w.mu.Lock()
	w.failed, w.wrote = false, false
	w.mu.Unlock()
}

// wroteSinceMark reports that every write since mark succeeded, and there was one: the final dot may be on its way.
func (w *wire) wroteSinceMark() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrote && !w.failed
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.mu.Lock()
	if err != nil {
		w.failed = true
	} else {
		w.wrote = true
	}
	w.mu.Unlock()
	return n, err
}

// line reads one line byte by byte: what follows it belongs to TLS, and must not be taken for what came before.
func (w *wire) line() (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < 1000; {
		if _, err := io.ReadFull(w.Conn, b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return strings.TrimRight(string(line), "\r"), nil
		}
		line = append(line, b[0])
	}
	return "", errors.New("a line of more than 1000 bytes")
}

// peerClosed looks, without waiting or taking anything, whether the other side has closed or reset the connection.
func (w *wire) peerClosed() bool {
	sc, ok := w.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == nil:
			closed = n == 0
		case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR):
		default:
			closed = true
		}
	})
	return closed || err != nil
}
