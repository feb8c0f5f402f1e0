package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/pgp"
	postern "postern/internal/smtp"
)

// postfix is a real Postfix on loopback with a configuration, queue and data
// of its own, made from the lines of docs/mail.md.
type postfix struct {
	t    *testing.T
	dir  string
	addr string // where it takes mail
}

// settings of the test beside those of docs/mail.md: places, loopback, impatience.
const postfixSettings = `compatibility_level = 3.6
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
queue_directory = %[1]s/queue
data_directory = %[1]s/data
myhostname = mx.lantern.example
mydestination =
mynetworks = 127.0.0.1/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_peername_lookup = no
smtp_host_lookup = native
smtp_dns_support_level = disabled
disable_dns_lookups = yes
biff = no
default_privs = nobody
relayhost = [127.0.0.1]:%[2]s
queue_run_delay = 1s
header_checks = regexp:%[1]s/header_checks
transport_maps = inline:{ lantern.example=lmtp:inet:%[3]s }
message_size_limit = 1048576
minimal_backoff_time = 1s
maximal_backoff_time = 1s
`

const postfixServices = `%s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
flush unix n - n 1000? 0 flush
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
`

// documented is a fenced block of docs/mail.md.
func documented(t *testing.T, kind string) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/mail.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?ms)^```" + kind + "\n(.*?)^```$").FindSubmatch(doc)
	if m == nil {
		t.Fatalf("docs/mail.md has no block of %s", kind)
	}
	return string(m[1])
}

// startPostfix runs Postfix in front of lmtp and before relay, both host:port.
func startPostfix(t *testing.T, lmtp, relay string) *postfix {
	t.Helper()
	program, err := exec.LookPath("postfix")
	if err != nil {
		program = "/usr/sbin/postfix"
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("postfix not installed")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := os.MkdirTemp("/tmp", "pf")
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{t: t, dir: dir, addr: freePort(t)}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, mode := range map[string]os.FileMode{".": 0o755, "queue": 0o755, "data": 0o700} {
		if err := os.MkdirAll(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("give the data directory to postfix: %v %s", err, out)
	}
	_, relayPort, _ := net.SplitHostPort(relay)
	for name, text := range map[string]string{
		"main.cf":       documented(t, "postfix") + fmt.Sprintf(postfixSettings, dir, relayPort, lmtp),
		"master.cf":     fmt.Sprintf(postfixServices, p.addr),
		"header_checks": documented(t, "header_checks"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(program, "-c", dir, "start").CombinedOutput(); err != nil {
		t.Fatalf("start postfix: %v\n%s\n%s", err, out, p.log())
	}
	t.Cleanup(func() {
		if out, err := exec.Command(program, "-c", dir, "stop").CombinedOutput(); err != nil {
			t.Errorf("stop postfix: %v\n%s", err, out)
		}
		if t.Failed() {
			t.Logf("postfix says:\n%s", p.log())
		}
	})
	p.eventually("postfix listens", func() bool {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	return p
}

func (p *postfix) log() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "mail.log"))
	return string(b)
}

// queued is the number of mails in the queue.
func (p *postfix) queued() (n int) {
	for _, q := range []string{"incoming", "active", "deferred", "maildrop"} {
		_ = filepath.WalkDir(filepath.Join(p.dir, "queue", q), func(_ string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				n++
			}
			return nil
		})
	}
	return n
}

func (p *postfix) eventually(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("never: %s", what)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// stranger sends as somebody from outside the relay's own networks.
func (p *postfix) stranger(from, to, message string) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := d.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatalf("connect as a stranger: %v", err)
	}
	c, err := smtp.NewClient(conn, "mx.lantern.example")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := errors.Join(c.Hello("stranger.example"), c.Mail(from)); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, strings.ReplaceAll(message, "\n", "\r\n")); err != nil {
		return err
	}
	return w.Close()
}

type took struct {
	postern.Inbound
	raw []byte
}

// received is what the listener was given.
type received struct {
	mu   sync.Mutex
	fail error // what it answers instead
	all  []took
}

func (r *received) receive(_ context.Context, e postern.Inbound, body io.Reader) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.all = append(r.all, took{e, raw})
	return nil
}

func (r *received) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

func (r *received) list() []took {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]took(nil), r.all...)
}

func (r *received) to(addr string) (found []took) {
	for _, m := range r.list() {
		if len(m.To) == 1 && strings.EqualFold(m.To[0], addr) {
			found = append(found, m)
		}
	}
	return found
}

// betweenUs starts a Postfix between a listener of ours, which keeps what it
// receives, and a sink for what leaves.
func betweenUs(t *testing.T) (*received, *postern.Sink, *postfix) {
	in := &received{}
	listener, err := postern.Listen(postern.ListenerConfig{Addr: "127.0.0.1:0", Domains: []string{"lantern.example"}, LMTP: true, Receive: in.receive})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = listener.Shutdown(ctx)
	})
	sink, err := postern.NewSink(postern.SinkConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	return in, sink, startPostfix(t, listener.Addr().String(), sink.Addr())
}

// TestPostfix runs a real Postfix, set up as docs/mail.md says, in front of
// the listener and behind the relay client.
func TestPostfix(t *testing.T) {
	in, sink, p := betweenUs(t)

	t.Run("a report", func(t *testing.T) {
		to := "Security+k7qdm2x4t9w3f6hz@lantern.example"
		body := "The lantern leaks. Größe: 5\n.\n.. dots\nFrom here\n"
		err := p.stranger("robin@elsewhere.example", to, "From: robin@elsewhere.example\nTo: "+to+"\nSubject: a leak\n"+
			"Authentication-Results: mx.lantern.example; dkim=pass header.d=bank.example\n"+
			"Authentication-Results: MX.Lantern.example 1;\n spf=pass\n"+
			"Authentication-Results: mx.lantern.example.evil.example; dkim=pass\n"+
			"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"+body)
		if err != nil {
			t.Fatalf("send a report: %v", err)
		}
		p.eventually("the report reaches the listener", func() bool { return len(in.to(to)) == 1 })
		m := in.to(to)[0]
		if m.From != "robin@elsewhere.example" || m.Via != "lmtp" || m.To[0] != to {
			t.Errorf("envelope %q to %q via %s; want the sender's, with the token as sent", m.From, m.To, m.Via)
		}
		head, got, _ := bytes.Cut(m.raw, []byte("\r\n\r\n"))
		if want := strings.ReplaceAll(body, "\n", "\r\n"); string(got) != want {
			t.Errorf("body is %q, want %q", got, want)
		}
		if n := bytes.Count(head, []byte("Authentication-Results:")); n != 1 || !bytes.Contains(head, []byte("evil.example")) {
			t.Errorf("%d fields of results are left, want only the one that is not in our name:\n%s", n, head)
		}
		msg, err := mail.Read(t.Context(), m.raw, pgp.Ring{}, time.Now(), mail.DefaultLimits)
		if err != nil {
			t.Fatalf("read what came: %v", err)
		}
		if r := msg.AuthenticationResults("mx.lantern.example"); len(r) != 0 {
			t.Errorf("forged results are believed: %+v", r)
		}
		if r := msg.AuthenticationResults("mx.lantern.example.evil.example"); len(r) != 1 {
			t.Errorf("the field in another name is read as %+v, want one result", r)
		}
	})

	t.Run("refused at the door", func(t *testing.T) {
		if err := p.stranger("robin@elsewhere.example", "someone@other.example", "Subject: x\n\nx\n"); err == nil || !strings.Contains(err.Error(), "554") {
			t.Errorf("a stranger relays to another domain: %v, want 554", err)
		}
		before := len(in.list())
		err := p.stranger("robin@elsewhere.example", "security@lantern.example", "Subject: big\n\n"+strings.Repeat(strings.Repeat("x", 70)+"\n", 20_000))
		if err == nil || !strings.Contains(err.Error(), "552") {
			t.Errorf("a mail beyond the limit: %v, want 552", err)
		}
		if n := len(in.list()) - before; n != 0 {
			t.Errorf("%d mails came through", n)
		}
	})

	t.Run("waits while we cannot store", func(t *testing.T) {
		in.set(errors.New("the database is away"))
		to := "security+waits000@lantern.example"
		if err := p.stranger("robin@elsewhere.example", to, "Subject: patience\n\nIt waits.\n"); err != nil {
			t.Fatalf("send: %v", err)
		}
		p.eventually("postfix is told to try again", func() bool { return strings.Contains(p.log(), "451 4.3.0") })
		if p.queued() == 0 || len(in.to(to)) != 0 {
			t.Errorf("%d mails are queued and %d stored; want it to wait", p.queued(), len(in.to(to)))
		}
		in.set(nil)
		p.eventually("the mail comes once we can", func() bool { return len(in.to(to)) == 1 })
		p.eventually("the queue is empty", func() bool { return p.queued() == 0 })
		if n := len(in.to(to)); n != 1 {
			t.Errorf("it came %d times", n)
		}
	})

	relay, err := postern.NewRelay(postern.RelayConfig{URL: "smtp+insecure://" + p.addr, Name: "postern.lantern.example"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Close() })
	notice := func(to string) string {
		return "From: Lantern <security@lantern.example>\r\nTo: " + to + "\r\nSubject: [...]\r\nDate: Mon, 02 Mar 2026 09:30:00 +0000\r\n" +
			"Message-ID: <k7qd@lantern.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n.a line with a dot\r\n-- \r\nend \r\n"
	}
	send := func(t *testing.T, from, to string) postern.Outcome {
		t.Helper()
		return relay.Send(t.Context(), postern.Envelope{From: from, To: to, ID: "delivery-1"},
			func(w io.Writer) error { _, err := io.WriteString(w, notice(to)); return err }, nil)
	}

	t.Run("a notice goes out unchanged", func(t *testing.T) {
		out := send(t, "security+returnpath1@lantern.example", "distro@linux.example")
		if out.State != postern.Sent {
			t.Fatalf("send through postfix: %+v", out)
		}
		p.eventually("the notice arrives", func() bool { return len(sink.Messages()) == 1 })
		m := sink.Messages()[0]
		if m.From != "security+returnpath1@lantern.example" || len(m.To) != 1 || m.To[0] != "distro@linux.example" || m.ID != "delivery-1" || m.Return != "HDRS" {
			t.Errorf("envelope %q to %q, ENVID %q, RET %q; want the return path, one recipient, delivery-1, HDRS", m.From, m.To, m.ID, m.Return)
		}
		_, want, _ := strings.Cut(notice("distro@linux.example"), "\r\n\r\n")
		if _, got, _ := bytes.Cut(m.Data, []byte("\r\n\r\n")); string(got) != want {
			t.Errorf("body arrives as %q, want %q", got, want)
		}
	})

	t.Run("a bounce finds its delivery", func(t *testing.T) {
		sink.Set(func(c *postern.SinkConfig) {
			c.RcptReply = func(to string) int {
				if strings.HasPrefix(to, "gone@") {
					return 550
				}
				return 0
			}
		})
		back := "security+returnpath2@lantern.example"
		if out := send(t, back, "gone@linux.example"); out.State != postern.Sent {
			t.Fatalf("send through postfix: %+v", out)
		}
		p.eventually("the bounce comes to the return path", func() bool { return len(in.to(back)) == 1 })
		m := in.to(back)[0]
		b, ok := mail.ReadBounce(m.raw, m.To[0])
		if !ok || m.From != "" || b.Token != "returnpath2" || !b.Failed() || b.EnvelopeID != "delivery-1" {
			t.Errorf("bounce from %q: ok %t, %+v; want token returnpath2, ENVID delivery-1, failed", m.From, ok, b)
		}
		if bytes.Contains(m.raw, []byte("a line with a dot")) {
			t.Error("the bounce carries the notice's text, although RET=HDRS was asked")
		}
	})
}
