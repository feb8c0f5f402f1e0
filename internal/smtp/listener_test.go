package smtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// box collects what a listener or a fetcher hands over.
type box struct {
	mu    sync.Mutex
	mails []string
	from  []Inbound
	err   error
	came  chan struct{}
}

func newBox() *box { return &box{came: make(chan struct{}, 1000)} }

func (b *box) receive(_ context.Context, e Inbound, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.mails, b.from = append(b.mails, string(data)), append(b.from, e)
	b.came <- struct{}{}
	return nil
}

func (b *box) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mails)
}

func (b *box) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func listen(t testing.TB, c ListenerConfig) *Listener {
	t.Helper()
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Domains == nil {
		c.Domains = []string{"lantern.example", "Security.Lantern.example"}
	}
	l, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		l.Shutdown(ctx)
	})
	return l
}

// dialog speaks raw SMTP.
type dialog struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func talk(t *testing.T, l *Listener) *dialog {
	t.Helper()
	c, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return &dialog{t, c, bufio.NewReader(c)}
}

func (d *dialog) reply() string {
	var all strings.Builder
	for {
		line, err := d.r.ReadString('\n')
		all.WriteString(line)
		if err != nil {
			return all.String() + "<" + err.Error() + ">"
		}
		if len(line) > 3 && line[3] == ' ' {
			return all.String()
		}
	}
}

func (d *dialog) say(text, want string) string {
	d.t.Helper()
	if text != "" {
		io.WriteString(d.c, text)
	}
	got := d.reply()
	if !strings.HasPrefix(got, want) {
		d.t.Errorf("said %.60q, got %q, want %s", text, got, want)
	}
	return got
}

func (d *dialog) start(to string) {
	d.t.Helper()
	d.say("", "220")
	d.say("EHLO client.example\r\n", "250")
	d.say("MAIL FROM:<who@elsewhere.example>\r\n", "250")
	d.say("RCPT TO:<"+to+">\r\n", "250")
	d.say("DATA\r\n", "354")
}

func TestListenerTakes(t *testing.T) {
	b := newBox()
	l := listen(t, ListenerConfig{Receive: b.receive})
	d := talk(t, l)
	d.start("anything+at-all@SECURITY.lantern.example")
	d.say("Subject: x\r\n\r\n..dot\r\n.\r\n", "250")
	d.say("MAIL FROM:<>\r\n", "250")
	d.say("RCPT TO:<postmaster@lantern.example>\r\n", "250")
	d.say("DATA\r\n", "354")
	d.say("Subject: y\r\n\r\n"+strings.Repeat("long ", 1000)+"\r\n.\r\n", "250")
	d.say("QUIT\r\n", "221")

	want := []Inbound{
		{From: "who@elsewhere.example", To: []string{"anything+at-all@SECURITY.lantern.example"}, Helo: "client.example", Via: "smtp"},
		{To: []string{"postmaster@lantern.example"}, Helo: "client.example", Via: "smtp"},
	}
	if diff := cmp.Diff(want, b.from); diff != "" {
		t.Errorf("envelopes (-want +got):\n%s", diff)
	}
	if b.mails[0] != "Subject: x\r\n\r\n.dot\r\n" {
		t.Errorf("message = %q, want it with the stuffed dot taken away", b.mails[0])
	}
}

func TestListenerRefusesStrangers(t *testing.T) {
	b := newBox()
	l := listen(t, ListenerConfig{Receive: b.receive})
	d := talk(t, l)
	d.say("", "220")
	d.say("EHLO c\r\n", "250")
	d.say("MAIL FROM:<a@b>\r\n", "250")
	for _, to := range []string{"x@elsewhere.example", "x@sub.lantern.example", "x@lantern.example.evil.example", "x%elsewhere@evil.example", "nobody"} {
		d.say("RCPT TO:<"+to+">\r\n", "5")
	}
	d.say("DATA\r\n", "5")
}

// Entry 50 of the threats: what one server takes for the end of a message and the next does not.
func TestNoSmuggling(t *testing.T) {
	const inner = "MAIL FROM:<evil@lantern.example>\r\nRCPT TO:<x@lantern.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
	for name, end := range map[string]string{
		"LF . LF": "\n.\n", "LF . CRLF": "\n.\r\n", "CRLF . LF": "\r\n.\n", "CR . CR": "\r.\r", "CR . CRLF": "\r.\r\n",
		"CRLF . CR": "\r\n.\r", "CRLF NUL . CRLF": "\r\n\x00.\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox()
			l := listen(t, ListenerConfig{Receive: b.receive})
			d := talk(t, l)
			d.start("x@lantern.example")
			want := "550 5.6.0"
			if strings.HasSuffix(end, "\n.\r") || strings.Contains(end, "\x00") {
				want = "250" // not an end at all: one message, with the rest inside it (the library drops the dot and that CR)
			}
			d.say("Subject: outer\r\n\r\nbody"+end+inner, want)
			for _, m := range b.mails {
				if !strings.HasPrefix(m, "Subject: outer") {
					t.Errorf("smuggled: %q", m)
				}
			}
			if b.count() > 1 {
				t.Errorf("%d messages were taken", b.count())
			}
			// Still in step: the next command gets its own reply.
			d.say("NOOP\r\n", "250")
		})
	}
}

func TestListenerAnswersOnlyAfterCommit(t *testing.T) {
	release := make(chan struct{})
	l := listen(t, ListenerConfig{Receive: func(_ context.Context, _ Inbound, r io.Reader) error {
		io.Copy(io.Discard, r)
		<-release
		return nil
	}})
	d := talk(t, l)
	d.start("x@lantern.example")
	io.WriteString(d.c, "Subject: x\r\n\r\nx\r\n.\r\n")
	d.c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if b, err := d.r.ReadByte(); err == nil {
		t.Fatalf("a reply beginning %q came before the message was kept", b)
	}
	close(release)
	d.c.SetReadDeadline(time.Now().Add(5 * time.Second))
	d.say("", "250")
}

func TestListenerErrors(t *testing.T) {
	secret := errors.New("database secret-host is gone")
	for name, c := range map[string]struct {
		receive Receiver
		text    string
		want    string
	}{
		"database gone":    {func(_ context.Context, _ Inbound, r io.Reader) error { io.Copy(io.Discard, r); return secret }, "x", "451"},
		"refused":          {func(context.Context, Inbound, io.Reader) error { return fmt.Errorf("%w: %w", ErrRefused, secret) }, "x", "554"},
		"too large":        {func(_ context.Context, _ Inbound, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }, strings.Repeat("x\r\n", 1000), "552"},
		"too large unseen": {func(_ context.Context, _ Inbound, r io.Reader) error { io.Copy(io.Discard, r); return nil }, strings.Repeat("x\r\n", 1000), "552"},
		"not read":         {func(context.Context, Inbound, io.Reader) error { return nil }, "x", "451"},
		"panic":            {func(context.Context, Inbound, io.Reader) error { panic("secret-host") }, "x", "421"},
	} {
		t.Run(name, func(t *testing.T) {
			d := talk(t, listen(t, ListenerConfig{Receive: c.receive, MaxBytes: 1000}))
			d.start("x@lantern.example")
			if got := d.say("Subject: x\r\n\r\n"+c.text+"\r\n.\r\n", c.want); strings.Contains(got, "secret") {
				t.Errorf("the reply tells why: %q", got)
			}
		})
	}
	d := talk(t, listen(t, ListenerConfig{Receive: newBox().receive, MaxBytes: 1000}))
	d.say("", "220")
	d.say("EHLO c\r\n", "250")
	d.say("MAIL FROM:<a@b> SIZE=2000\r\n", "552")
}

func TestBrokenOffMailIsNotTaken(t *testing.T) {
	b := newBox()
	done := make(chan error, 1)
	l := listen(t, ListenerConfig{Receive: func(ctx context.Context, e Inbound, r io.Reader) error {
		err := b.receive(ctx, e, r)
		done <- err
		return err
	}})
	d := talk(t, l)
	d.start("x@lantern.example")
	io.WriteString(d.c, "Subject: x\r\n\r\nhalf a mess")
	d.c.Close()
	if err := <-done; err == nil || b.count() != 0 {
		t.Errorf("a mail broken off ended with %v and %d taken; want an error and none", err, b.count())
	}
}

func TestListenerChunking(t *testing.T) {
	b := newBox()
	d := talk(t, listen(t, ListenerConfig{Receive: b.receive}))
	d.say("", "220")
	d.say("EHLO c\r\n", "250")
	d.say("MAIL FROM:<a@b>\r\n", "250")
	d.say("RCPT TO:<x@lantern.example>\r\n", "250")
	d.say("BDAT 14\r\nSubject: x\r\n\r\n", "250")
	d.say("BDAT 8 LAST\r\n.\r\nend\r\n", "250")
	if b.count() != 1 || b.mails[0] != "Subject: x\r\n\r\n.\r\nend\r\n" {
		t.Errorf("BDAT gave %q", b.mails)
	}
}

func TestListenerLimits(t *testing.T) {
	b := newBox()
	l := listen(t, ListenerConfig{Receive: b.receive, PerAddress: 2, CommandTimeout: 300 * time.Millisecond, DataTimeout: 300 * time.Millisecond})
	one, two := talk(t, l), talk(t, l)
	one.say("", "220")
	two.say("", "220")
	talk(t, l).say("", "421")

	// Both are cut off: one that says nothing, one that drips bytes of a command.
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				if _, err := io.WriteString(two.c, "x"); err != nil {
					return
				}
			}
		}
	}()
	one.say("", "421")
	if got := two.reply(); strings.Contains(got, "i/o timeout") {
		t.Errorf("a client that drips was kept: %q", got)
	}
	close(stop)
	// Their places are free again. NOOP does not count as progress.
	three := talk(t, l)
	three.start("x@lantern.example")
	go func() { // for as long as it is listened to
		for {
			time.Sleep(20 * time.Millisecond)
			if _, err := io.WriteString(three.c, "drip\r\n"); err != nil {
				return
			}
		}
	}()
	if got := three.reply(); strings.Contains(got, "i/o timeout") { // ours, which is long
		t.Errorf("a message that drips was waited for: %q", got)
	}
	if b.count() != 0 {
		t.Errorf("%d messages were taken", b.count())
	}
}

func TestTrustedNetwork(t *testing.T) {
	b := newBox()
	l := listen(t, ListenerConfig{Receive: b.receive, PerAddress: 1, MaxConnections: 3, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for range 2 {
		talk(t, l).say("", "220")
	}
	d := talk(t, l)
	d.start("x@lantern.example")
	d.say("Subject: x\r\n\r\nx\r\n.\r\n", "250")
	if !b.from[0].Trusted {
		t.Errorf("envelope = %+v, want it trusted", b.from[0])
	}
	talk(t, l).say("", "421") // the limit of all holds for everybody
}

func TestLMTPOnSocket(t *testing.T) {
	b := newBox()
	path := filepath.Join(t.TempDir(), "l")
	l := listen(t, ListenerConfig{Receive: b.receive, Addr: path, LMTP: true})
	d := talk(t, l)
	d.say("", "220")
	d.say("EHLO c\r\n", "500")
	d.say("LHLO c\r\n", "250")
	d.say("MAIL FROM:<a@b>\r\n", "250")
	d.say("RCPT TO:<x@lantern.example>\r\n", "250")
	d.say("RCPT TO:<y@lantern.example>\r\n", "250")
	d.say("DATA\r\n", "354")
	d.say("Subject: x\r\n\r\nx\r\n.\r\n", "250 2.0.0 <x@")
	d.say("", "250 2.0.0 <y@")
	if b.count() != 1 || len(b.from[0].To) != 2 || b.from[0].Via != "lmtp" || !b.from[0].Trusted {
		t.Errorf("taken %d, envelope %+v; want one mail to two, trusted", b.count(), b.from)
	}
}

func TestListenerSTARTTLS(t *testing.T) {
	certificate, err := testCertificate()
	if err != nil {
		t.Fatal(err)
	}
	b := newBox()
	l := listen(t, ListenerConfig{Receive: b.receive, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}})
	roots := startSink(t, SinkConfig{}).Pool()
	roots.AddCert(certificate.Leaf)
	relay := newRelay(t, RelayConfig{URL: "smtp://" + l.Addr().String(), TLS: &tls.Config{RootCAs: roots}})
	if out := relay.Send(t.Context(), to("x@lantern.example"), write(message), nil); out.State != Sent || !out.TLS {
		t.Fatalf("Send = %+v, want sent over TLS", out)
	}
	if !b.from[0].TLS || b.mails[0] != message {
		t.Errorf("taken %+v %q, want the message over TLS", b.from[0], b.mails[0])
	}
}

// A closing listener finishes the mail in hand, cuts the idle, and takes no new one.
func TestListenerShutdown(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	l := listen(t, ListenerConfig{Receive: func(_ context.Context, _ Inbound, r io.Reader) error {
		io.Copy(io.Discard, r)
		close(entered)
		<-release
		return nil
	}})
	idle := talk(t, l)
	idle.say("", "220")
	busy := talk(t, l)
	busy.start("x@lantern.example")
	io.WriteString(busy.c, "Subject: x\r\n\r\nx\r\n.\r\n")
	<-entered
	ended := make(chan error, 1)
	go func() { ended <- l.Shutdown(context.Background()) }()
	if got := idle.reply(); strings.Contains(got, "250") {
		t.Errorf("an idle client heard %q", got)
	}
	close(release)
	busy.say("", "250")
	if err := <-ended; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Errorf("a closed listener still accepts")
	}
}

func TestListenerManyAtOnce(t *testing.T) {
	b := newBox()
	l := listen(t, ListenerConfig{Receive: b.receive, PerAddress: 100})
	relay := newRelay(t, RelayConfig{URL: "smtp://" + l.Addr().String(), MaxConnections: 32})
	var wg sync.WaitGroup
	for i := range 128 {
		wg.Go(func() {
			addr := fmt.Sprintf("n%d@lantern.example", i)
			if out := relay.Send(context.Background(), to(addr), write(message+addr+"\r\n"), nil); out.State != Sent {
				t.Errorf("Send = %+v", out)
			}
		})
	}
	wg.Wait()
	if b.count() != 128 {
		t.Fatalf("%d messages taken, want 128", b.count())
	}
	for i, m := range b.mails {
		if !strings.HasSuffix(m, "\r\n"+b.from[i].To[0]+"\r\n") {
			t.Errorf("mail to %v holds another's text", b.from[i].To)
		}
	}
}

func TestSwaks(t *testing.T) {
	swaks, err := exec.LookPath("swaks")
	if err != nil {
		t.Skip("swaks not installed")
	}
	certificate, err := testCertificate()
	if err != nil {
		t.Fatal(err)
	}
	b := newBox()
	l := listen(t, ListenerConfig{Receive: b.receive, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}})
	host, port, _ := net.SplitHostPort(l.Addr().String())
	for _, extra := range [][]string{nil, {"--tls"}, {"--from", "<>"}} {
		args := append([]string{"--server", host, "--port", port, "--to", "security@lantern.example", "--from", "a@b.example", "--body", "It is broken.\n.\nReally."}, extra...)
		if out, err := exec.Command(swaks, args...).CombinedOutput(); err != nil && !bytes.Contains(out, []byte("TLS")) {
			t.Errorf("swaks %v: %v\n%s", extra, err, out)
		} else if err != nil {
			t.Logf("swaks has no TLS here: %s", out)
		}
	}
	if b.count() < 2 || !strings.Contains(b.mails[0], "\r\n.\r\nReally.") {
		t.Errorf("swaks left %d mails: %q", b.count(), b.mails)
	}
	out, err := exec.Command(swaks, "--server", host, "--port", port, "--to", "x@elsewhere.example", "--from", "a@b.example").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 24 { // no recipient accepted
		t.Errorf("swaks to another domain: %v\n%s", err, out)
	}
}

// TestListenerShutdownAtOnce: one that was only just started ends as well.
func TestListenerShutdownAtOnce(t *testing.T) {
	for range 200 {
		l := listen(t, ListenerConfig{Receive: func(context.Context, Inbound, io.Reader) error { return nil }})
		ended := make(chan error, 1)
		go func() { ended <- l.Shutdown(t.Context()) }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("Shutdown = %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Shutdown of a listener just started does not end")
		}
	}
}

// TestStillClientsMakeRoom: where all connections are taken by clients that do
// nothing, an address with fewer gets in; one in the middle of a mail that
// comes, or that waits for our answer, stays.
func TestStillClientsMakeRoom(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	began := time.Now()
	var later atomic.Int64
	now := func() time.Time { return began.Add(time.Duration(later.Load())) }
	l := listen(t, ListenerConfig{MaxConnections: 4, PerAddress: 10, now: now, Receive: func(_ context.Context, _ Inbound, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		if err == nil {
			entered <- struct{}{}
			<-release
		}
		return err
	}})
	from := func(last byte) *dialog {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 4, last)}}
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		return &dialog{t, c, bufio.NewReader(c)}
	}
	waits := from(1)
	waits.start("x@lantern.example")
	io.WriteString(waits.c, "Subject: x\r\n\r\nx\r\n.\r\n")
	<-entered
	var still []*dialog
	for range 2 {
		d := from(1)
		d.say("", "220")
		d.say("EHLO still\r\n", "250")
		still = append(still, d)
	}
	drips := from(1)
	drips.start("x@lantern.example")
	io.WriteString(drips.c, "Subject: half")
	from(2).say("", "421") // nobody has stood still long enough yet
	later.Store(int64(standsBriefly))
	for i := range 3 { // each time one of the first address makes room, and never the one that waits for us
		d := from(2 + byte(i))
		d.say("", "220")
		d.say("EHLO new\r\n", "250")
	}
	for _, d := range still[:2] {
		d.say("", "421")
	}
	drips.say("", "4")
	close(release)
	waits.say("", "250")
}
