package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSendOutcomes(t *testing.T) {
	reply := map[string]int{"r450@x.example": 450, "r550@x.example": 550, "r421@x.example": 421}
	dot := map[string]int{
		"d451@x.example": 451, "d552@x.example": 552, "d421@x.example": 421,
		"after@x.example": DropAfterDot, "frozen@x.example": FreezeAtDot, "before@x.example": DropBeforeDot,
	}
	sink := startSink(t, SinkConfig{
		RcptReply: func(to string) int { return reply[to] },
		DotReply:  func(to string) int { return dot[to] },
	})
	relay := newRelay(t, RelayConfig{URL: sink.URL(), CommandTimeout: 2 * time.Second, DataTimeout: time.Second})
	large := message + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 200_000) // more than the kernel buffers: 14 MB
	no := errors.New("the release was postponed")
	unwritable := errors.New("no key")
	for _, c := range []struct {
		to      string
		text    string
		body    func(io.Writer) error
		confirm func(context.Context) error
		state   State
		code    int
		err     error
		taken   int
	}{
		{to: "one@x.example", state: Sent, code: 250, taken: 1},
		{to: "one@x.example", confirm: agree, state: Sent, code: 250, taken: 1},
		{to: "r450@x.example", state: Deferred, code: 450},
		{to: "r550@x.example", state: Rejected, code: 550},
		{to: "r421@x.example", state: Deferred, code: 421},
		{to: "d451@x.example", state: Deferred, code: 451},
		{to: "d552@x.example", state: Rejected, code: 552},
		{to: "d421@x.example", state: Deferred, code: 421},
		{to: "after@x.example", state: Uncertain, taken: 1},
		{to: "frozen@x.example", state: Uncertain, taken: 1},
		{to: "before@x.example", text: large, state: Deferred},
		{to: "one@x.example", confirm: func(context.Context) error { return no }, state: Canceled, err: no},
		{to: "one@x.example", body: func(w io.Writer) error { io.WriteString(w, message); return unwritable }, state: Canceled, err: unwritable},
		{to: "one@x.example", state: Sent, code: 250, taken: 1},
	} {
		before := len(sink.Messages())
		text := c.text
		if text == "" {
			text = message
		}
		body := c.body
		if body == nil {
			body = write(text)
		}
		out := relay.Send(t.Context(), to(c.to), body, c.confirm)
		if out.State != c.state || out.Code != c.code || out.Text == "" {
			t.Errorf("Send to %s = %+v, want %s with code %d and a text", c.to, out, c.state, c.code)
		}
		if c.err != nil && !errors.Is(out.Err, c.err) {
			t.Errorf("Send to %s: error %v, want %v", c.to, out.Err, c.err)
		}
		if taken := len(sink.Messages()) - before; taken != c.taken {
			t.Errorf("Send to %s: the server took %d messages, want %d", c.to, taken, c.taken)
		}
	}
	for _, m := range sink.Messages() {
		if string(m.Data) != message {
			t.Errorf("the server got %q, want %q", m.Data, message)
		}
	}
}

// A connection that dies between the body and the dot is noticed, so that the mail is known to be unsent.
func TestPeerClosedDuringConfirm(t *testing.T) {
	accepted := make(chan net.Conn, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		// A server that answers by rote, up to DATA.
		io.WriteString(c, "220 hi\r\n")
		b := make([]byte, 1000)
		for _, reply := range []string{"250 hi", "250 ok", "250 ok", "354 go"} {
			c.Read(b)
			io.WriteString(c, reply+"\r\n")
		}
		accepted <- c
	}()
	relay := newRelay(t, RelayConfig{URL: "smtp://" + l.Addr().String()})
	out := relay.Send(t.Context(), to("a@b"), write(message), func(context.Context) error {
		c := <-accepted
		c.Close()
		return nil // loopback delivers the end of the connection before Close returns
	})
	if out.State != Deferred {
		t.Errorf("Send with the connection closed before the dot = %+v, want deferred", out)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	sink := startSink(t, SinkConfig{TLS: true, User: "u", Password: "p"})
	relay := newRelay(t, RelayConfig{URL: sink.URL(), TLS: &tls.Config{RootCAs: sink.Pool()}})
	for i := range 20 {
		if out := relay.Send(t.Context(), to(fmt.Sprintf("n%d@x.example", i)), write(message), agree); out.State != Sent || !out.TLS {
			t.Fatalf("Send %d = %+v, want sent over TLS", i, out)
		}
	}
	if got := sink.Connections(); got != 1 {
		t.Errorf("20 mails one after the other took %d connections, want 1", got)
	}
	// A refused recipient does not cost the connection.
	sink.Set(func(c *SinkConfig) { c.RcptReply = func(string) int { return 550 } })
	relay.Send(t.Context(), to("no@x.example"), write(message), nil)
	sink.Set(func(c *SinkConfig) { c.RcptReply = nil })
	if out := relay.Send(t.Context(), to("yes@x.example"), write(message), nil); out.State != Sent {
		t.Errorf("Send after a refusal = %+v, want sent", out)
	}
	if got := sink.Connections(); got != 1 {
		t.Errorf("after a refusal there were %d connections, want 1", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	sink := startSink(t, SinkConfig{Latency: time.Millisecond})
	const workers, each = 32, 8
	relay := newRelay(t, RelayConfig{URL: sink.URL(), MaxConnections: workers})
	var wrong atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				addr := fmt.Sprintf("w%d-%d@x.example", w, i)
				text := strings.Replace(message, "one@distro.example", addr, 1)
				if out := relay.Send(context.Background(), to(addr), write(text), agree); out.State != Sent {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if wrong.Load() != 0 {
		t.Errorf("%d of %d mails were not sent", wrong.Load(), workers*each)
	}
	seen := map[string]bool{}
	for _, m := range sink.Messages() {
		if len(m.To) != 1 || !strings.Contains(string(m.Data), "<"+m.To[0]+">") {
			t.Fatalf("mail to %v holds another's text", m.To)
		}
		seen[m.To[0]] = true
	}
	if len(seen) != workers*each {
		t.Errorf("%d recipients got mail, want %d", len(seen), workers*each)
	}
	if got := sink.Connections(); got > workers {
		t.Errorf("%d connections for a limit of %d", got, workers)
	}
}

func TestConnectionLimit(t *testing.T) {
	sink := startSink(t, SinkConfig{Latency: 5 * time.Millisecond})
	relay := newRelay(t, RelayConfig{URL: sink.URL(), MaxConnections: 2})
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() { relay.Send(context.Background(), to(fmt.Sprintf("a%d@x.example", i)), write(message), nil) })
	}
	wg.Wait()
	if got := sink.Connections(); got > 2 {
		t.Errorf("%d connections, want at most 2", got)
	}
	if got := len(sink.Messages()); got != 12 {
		t.Errorf("%d messages arrived, want 12", got)
	}
}

// A kept connection that the server closed meanwhile costs nothing but a new one.
func TestStaleConnection(t *testing.T) {
	sink := startSink(t, SinkConfig{DotReply: func(to string) int {
		if to == "last@x.example" {
			return 421
		}
		return 0
	}})
	relay := newRelay(t, RelayConfig{URL: sink.URL()})
	relay.Send(t.Context(), to("one@x.example"), write(message), nil)
	relay.mu.Lock()
	for _, l := range relay.idle { // the server's side cannot be closed alone here; a dead socket looks the same
		l.wire.Conn.Close()
	}
	relay.mu.Unlock()
	if out := relay.Send(t.Context(), to("two@x.example"), write(message), nil); out.State != Sent {
		t.Errorf("Send over a dead connection = %+v, want sent over a new one", out)
	}
	relay.Send(t.Context(), to("last@x.example"), write(message), nil)
	if out := relay.Send(t.Context(), to("three@x.example"), write(message), nil); out.State != Sent {
		t.Errorf("Send after 421 = %+v, want sent", out)
	}
}

func TestNeverInClear(t *testing.T) {
	plain := startSink(t, SinkConfig{})
	secure := startSink(t, SinkConfig{TLS: true})
	implicit := startSink(t, SinkConfig{ImplicitTLS: true})
	other := startSink(t, SinkConfig{TLS: true})
	roots := func(s *Sink) *tls.Config { return &tls.Config{RootCAs: s.Pool()} }

	for name, c := range map[string]struct {
		conf  RelayConfig
		sink  *Sink
		state State
		tls   bool
	}{
		"starttls":                  {RelayConfig{URL: secure.URL(), TLS: roots(secure)}, secure, Sent, true},
		"implicit":                  {RelayConfig{URL: implicit.URL(), TLS: roots(implicit)}, implicit, Sent, true},
		"wrong certificate":         {RelayConfig{URL: secure.URL(), TLS: roots(other)}, secure, Deferred, false},
		"wrong name":                {RelayConfig{URL: secure.URL(), TLS: &tls.Config{RootCAs: secure.Pool(), ServerName: "mail.example"}}, secure, Deferred, false},
		"skip is ignored":           {RelayConfig{URL: secure.URL(), TLS: &tls.Config{InsecureSkipVerify: true}}, secure, Deferred, false},
		"implicit to plain":         {RelayConfig{URL: "smtps://" + plain.Addr(), CommandTimeout: time.Second}, plain, Deferred, false},
		"plain on loopback":         {RelayConfig{URL: plain.URL()}, plain, Sent, false},
		"insecure leaves TLS aside": {RelayConfig{URL: "smtp+insecure://" + secure.Addr()}, secure, Sent, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(c.sink.Messages())
			out := newRelay(t, c.conf).Send(t.Context(), to("a@x.example"), write(message), nil)
			if out.State != c.state || out.TLS != c.tls {
				t.Errorf("Send = %+v, want %s, TLS %v", out, c.state, c.tls)
			}
			want := 0
			if c.state == Sent {
				want = 1
			}
			if got := len(c.sink.Messages()) - before; got != want {
				t.Errorf("the server got %d messages, want %d", got, want)
			}
		})
	}
}

// Outside loopback a server without STARTTLS gets nothing, not even the name of the user.
func TestNoStartTLSBeyondLoopback(t *testing.T) {
	sink := startSink(t, SinkConfig{})
	relay := newRelay(t, RelayConfig{URL: sink.URL()})
	conn, err := net.Dial("tcp", sink.Addr())
	if err != nil {
		t.Fatal(err)
	}
	l := &link{relay: relay, wire: &wire{Conn: elsewhere{conn}}}
	defer conn.Close()
	if err := l.open(); err == nil || !strings.Contains(err.Error(), "does not offer STARTTLS") {
		t.Errorf("open = %v, want it refused for lack of STARTTLS", err)
	}
}

// elsewhere claims that the other end is far away.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 587} }

func TestRelayAddresses(t *testing.T) {
	for url, want := range map[string]string{
		"smtp://u:hunter2@mail.example:x":          "not a URL",
		"http://u:hunter2@mail.example":            "unknown scheme",
		"smtp+insecure://u:hunter2@mail.example":   "loopback only",
		"smtp+insecure://192.0.2.1":                "loopback only",
		"smtp://":                                  "no host",
		"smtps://u:hunter2@mail.example/?starttls": "after host and port",
	} {
		_, err := NewRelay(RelayConfig{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("NewRelay(%q) = %v, want %q and no password", url, err, want)
		}
	}
	r := newRelay(t, RelayConfig{URL: "smtp://u:hunter2@mail.example"})
	if got := fmt.Sprintf("%v %+v", r, r.String()); strings.Contains(got, "hunter2") || !strings.Contains(got, "mail.example:587") {
		t.Errorf("printed as %q, want host and port without the password", got)
	}
}

func TestLogin(t *testing.T) {
	sink := startSink(t, SinkConfig{TLS: true, User: "postern", Password: "s p:c/ial"})
	conf := &tls.Config{RootCAs: sink.Pool()}
	good := "smtp://postern:s%20p%3Ac%2Fial@" + sink.Addr()
	facts, err := newRelay(t, RelayConfig{URL: good, TLS: conf}).Check(t.Context())
	if err != nil {
		t.Fatalf("Check = %v", err)
	}
	want := Facts{Server: "smtp://" + sink.Addr(), TLS: true, TLSVersion: "TLS 1.3", Authenticated: true, RequireTLS: true, DSN: true}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Errorf("Check (-want +got):\n%s", diff)
	}
	bad := newRelay(t, RelayConfig{URL: "smtp://postern:wrong-secret@" + sink.Addr(), TLS: conf})
	if _, err := bad.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "log in") || strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("Check with a wrong password = %v, want it to name the login and not the password", err)
	}
	if out := bad.Send(t.Context(), to("a@b"), write(message), nil); out.State != Deferred || out.Code != 535 {
		t.Errorf("Send with a wrong password = %+v, want deferred, 535", out)
	}
	none := newRelay(t, RelayConfig{URL: "smtp://" + sink.Addr(), TLS: conf})
	if out := none.Send(t.Context(), to("a@b"), write(message), nil); out.State != Deferred || out.Code != 530 {
		t.Errorf("Send without login = %+v, want deferred, 530", out)
	}
	if n := len(sink.Messages()); n != 0 {
		t.Errorf("%d messages were taken, want none", n)
	}
}

func TestEnvelopeOnTheWire(t *testing.T) {
	sink := startSink(t, SinkConfig{TLS: true})
	relay := newRelay(t, RelayConfig{URL: sink.URL(), TLS: &tls.Config{RootCAs: sink.Pool()}})
	e := Envelope{From: "bounce+k7@lantern.example", To: "jürgen@distro.example", ID: "d+1=x", RequireTLS: true}
	if out := relay.Send(t.Context(), e, write(message), nil); out.State != Sent {
		t.Fatalf("Send = %+v", out)
	}
	got := sink.Messages()[0]
	got.Data = nil
	want := SinkMessage{From: e.From, To: []string{e.To}, ID: e.ID, Return: "HDRS", Notify: []string{"FAILURE", "DELAY"}, RequireTLS: true, TLS: true,
		Connection: 1, Size: int64(len(message)), Replied: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}

	plain := startSink(t, SinkConfig{NoDSN: true})
	if out := newRelay(t, RelayConfig{URL: plain.URL()}).Send(t.Context(), Envelope{To: "a@b", ID: "x"}, write(message), nil); out.State != Sent {
		t.Fatalf("Send without DSN = %+v, want sent", out)
	}
	if m := plain.Messages()[0]; m.From != "" || m.ID != "" || m.Return != "" {
		t.Errorf("without DSN the server heard %+v, want no DSN parameter and the null sender", m)
	}
}

func TestGreylistThenSent(t *testing.T) {
	sink := startSink(t, SinkConfig{Greylist: true})
	relay := newRelay(t, RelayConfig{URL: sink.URL()})
	first := relay.Send(t.Context(), to("a@b"), write(message), nil)
	second := relay.Send(t.Context(), to("a@b"), write(message), nil)
	if first.State != Deferred || first.Code != 451 || second.State != Sent {
		t.Errorf("Send twice = %+v, %+v; want deferred 451, then sent", first, second)
	}
}

// A server that says nothing, at any point, is given up in time; a canceled mail at once.
func TestFrozenServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, answers never
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	relay := newRelay(t, RelayConfig{URL: "smtp://" + l.Addr().String(), CommandTimeout: 100 * time.Millisecond})
	began := time.Now()
	if out := relay.Send(t.Context(), to("a@b"), write(message), nil); out.State != Deferred {
		t.Errorf("Send to a frozen server = %+v, want deferred", out)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("Send to a frozen server took %v", d)
	}

	stopped := errors.New("shutting down")
	slow := newRelay(t, RelayConfig{URL: "smtp://" + l.Addr().String(), CommandTimeout: time.Minute})
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(stopped) })
	if out := slow.Send(ctx, to("a@b"), write(message), nil); out.State != Deferred || !errors.Is(out.Err, stopped) {
		t.Errorf("canceled Send = %+v, want deferred with the reason", out)
	}

	// Canceled after the dot: the reply is waited for a little longer, then nobody knows.
	sink := startSink(t, SinkConfig{DotReply: func(string) int { return FreezeAtDot }})
	late := newRelay(t, RelayConfig{URL: sink.URL(), CommandTimeout: 200 * time.Millisecond, DataTimeout: time.Minute})
	ctx, cancel = context.WithCancelCause(t.Context())
	go func() {
		for len(sink.Messages()) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel(stopped)
	}()
	if out := late.Send(ctx, to("a@b"), write(message), nil); out.State != Uncertain {
		t.Errorf("Send canceled after the dot = %+v, want uncertain", out)
	}

	// Canceled while confirming.
	ctx, cancel = context.WithCancelCause(t.Context())
	quick := startSink(t, SinkConfig{})
	if out := newRelay(t, RelayConfig{URL: quick.URL()}).Send(ctx, to("a@b"), write(message), func(context.Context) error { cancel(stopped); return nil }); out.State != Deferred {
		t.Errorf("Send canceled before the dot = %+v, want deferred", out)
	}
	if n := len(quick.Messages()); n != 0 {
		t.Errorf("the server took %d messages, want none", n)
	}
}

func TestClosedRelay(t *testing.T) {
	sink := startSink(t, SinkConfig{})
	relay := newRelay(t, RelayConfig{URL: sink.URL()})
	relay.Send(t.Context(), to("a@b"), write(message), nil)
	relay.Close()
	if out := relay.Send(t.Context(), to("a@b"), write(message), nil); out.State != Deferred || !errors.Is(out.Err, errClosed) {
		t.Errorf("Send on a closed relay = %+v, want deferred", out)
	}
}

func BenchmarkSend(b *testing.B) {
	sink := startSink(b, SinkConfig{Discard: true})
	relay := newRelay(b, RelayConfig{URL: sink.URL(), MaxConnections: 8})
	text := message + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1200)
	b.SetBytes(int64(len(text)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if out := relay.Send(context.Background(), to("a@b"), write(text), agree); out.State != Sent {
				b.Fatalf("%+v", out)
			}
		}
	})
}

// A server, or somebody between, that breaks STARTTLS gets neither mail nor password; bytes sent ahead of TLS are not believed.
func TestBrokenSTARTTLS(t *testing.T) {
	for name, answer := range map[string]string{
		"refused":  "454 not now\r\n",
		"injected": "220 go\r\n250 believe me\r\n",
		"garbage":  "hello\r\n",
		"endless":  strings.Repeat("2", 5000),
		"closed":   "",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			heard := make(chan string, 1)
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				b := make([]byte, 10_000)
				io.WriteString(c, "220 hi\r\n")
				c.Read(b)
				io.WriteString(c, "250-hi\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
				c.Read(b)
				io.WriteString(c, answer)
				if answer == "" {
					heard <- ""
					return
				}
				c.SetReadDeadline(time.Now().Add(2 * time.Second))
				all, _ := io.ReadAll(c)
				heard <- string(all)
			}()
			relay := newRelay(t, RelayConfig{URL: "smtp://user:hunter2@" + l.Addr().String(), CommandTimeout: 500 * time.Millisecond})
			out := relay.Send(t.Context(), to("a@b"), write(message), nil)
			if out.State != Deferred || out.TLS || strings.Contains(out.Text, "hunter2") {
				t.Errorf("Send = %+v, want deferred", out)
			}
			if got := <-heard; strings.Contains(got, "AUTH") || strings.Contains(got, "MAIL") {
				t.Errorf("after a broken STARTTLS the server heard %q", got)
			}
		})
	}
}
