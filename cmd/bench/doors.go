package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/gate"
	"postern/internal/letters"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/smtp"
	"postern/internal/vault"
	"postern/internal/work"
)

// doors are a gate's two ways in, each behind a listener on loopback.
type doors struct {
	web    net.Listener
	server *http.Server
	mail   *smtp.Listener
	domain string
	end    context.CancelFunc
	report []byte // an armored message
}

// boundless are limits that no flood of this program reaches: what is measured
// is the work, not the waiting in line.
var boundless = gate.Limits{Reports: 1 << 30, Lookups: 1 << 30, Bytes: 1 << 50}

func openDoors(ctx context.Context, w *world, dir string) (d *doors, err error) {
	if err := publishSite(ctx, w); err != nil {
		return nil, err
	}
	spool := filepath.Join(dir, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return nil, err
	}
	d = &doors{}
	if d.report, err = encryptedReport(w, reportBytes); err != nil {
		return nil, err
	}
	if d.web, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	g := gate.New(gate.Config{DB: w.gate, URL: "http://" + d.web.Addr().String(), Spool: spool, Version: "bench", Schema: postgres.KnownSchema(), Limits: boundless})
	running, end := context.WithCancel(ctx)
	d.end = end
	if err := g.Start(running); err != nil {
		end()
		return nil, fmt.Errorf("start a gate: %w", err)
	}
	d.server = &http.Server{Handler: g}
	go func() { _ = d.server.Serve(d.web) }()
	domains := g.Domains()
	if len(domains) == 0 {
		return nil, errors.New("the policy names no domain for mail")
	}
	d.domain = domains[0]
	d.mail, err = smtp.Listen(smtp.ListenerConfig{Addr: "127.0.0.1:0", Domains: domains, PerAddress: 2 * clients,
		Receive: func(ctx context.Context, e smtp.Inbound, r io.Reader) error {
			return g.Receive(ctx, disclosure.ByMail, disclosure.Envelope{From: e.From, To: e.To, Helo: e.Helo}, r)
		}})
	return d, err
}

func (d *doors) close() {
	d.server.Close()
	short, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = d.mail.Shutdown(short)
	d.end()
}

// check counts what is stored: everything acknowledged, and nothing else.
func (d *doors) check(ctx context.Context, w *world, acknowledged map[string]int) error {
	for channel, want := range acknowledged {
		var stored int
		if err := w.db.Pool().QueryRow(ctx, `SELECT count(*) FROM arrival WHERE channel = $1`, channel).Scan(&stored); err != nil {
			return err
		}
		if stored != want {
			return fmt.Errorf("%d reports by %s were acknowledged and %d stored: %w", want, channel, stored, errWrong)
		}
	}
	return nil
}

// publishSite renders what the gate serves, as work does.
func publishSite(ctx context.Context, w *world) error {
	l, err := letters.New(nil)
	if err != nil {
		return err
	}
	outbox, err := smtp.NewOutbox(filepath.Join(w.c.dir, "outbox"))
	if err != nil {
		return err
	}
	made := work.New(work.Config{DB: w.db, Sender: outbox, Letters: l, GateURL: "http://127.0.0.1", DeskURL: "http://127.0.0.1", Version: "bench"})
	_, err = made.Once(ctx)
	return err
}

// encryptedReport is an armored message to the team of at most size bytes, and
// hardly less.
func encryptedReport(w *world, size int) (armored []byte, err error) {
	// How much hex fills the size is found out by a first try.
	for text := size / 4; ; {
		ready, err := pgp.PrepareUnsigned([]byte(hex.EncodeToString(noise(text))))
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if err := ready.Encrypt(&out, []*pgp.Certificate{w.team.Certificate()}, w.db.Now()); err != nil {
			return nil, err
		}
		if fits := out.Len() <= size; fits && out.Len() > size*95/100 {
			return out.Bytes(), nil
		}
		text = int(float64(text) * float64(size) * 0.98 / float64(out.Len()))
	}
}

// apiClient posts on one connection. It is lean, as pgbench is: what it costs
// counts among what the product costs.
type apiClient struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
}

func (d *doors) dialAPI(ctx context.Context) (client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.web.Addr().String())
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("POST /api/v1/reports HTTP/1.1\r\nHost: %s\r\nContent-Type: application/pgp-encrypted\r\nContent-Length: %d\r\n\r\n", d.web.Addr(), len(d.report))
	return &apiClient{conn: conn, in: bufio.NewReader(conn), request: append([]byte(head), d.report...)}, nil
}

func (c *apiClient) send() error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusCreated {
		err = fmt.Errorf("the gate answered %s: %s", answer.Status, text)
	}
	return err
}

func (c *apiClient) close() { c.conn.Close() }

// mailClient hands over mail after mail on one connection, its commands in one
// go, as MTAs do where PIPELINING is offered (RFC 2920).
type mailClient struct {
	conn    net.Conn
	in      *bufio.Reader
	start   []byte
	message []byte
}

func (d *doors) dialMail(ctx context.Context) (client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.mail.Addr().String())
	if err != nil {
		return nil, err
	}
	to := "security@" + d.domain
	c := &mailClient{conn: conn, in: bufio.NewReader(conn),
		start:   fmt.Appendf(nil, "MAIL FROM:<finn@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n", to),
		message: append(encryptedMail(to, d.report), ".\r\n"...)}
	err = c.expect("220")
	if err == nil {
		_, err = io.WriteString(conn, "EHLO mail.example.org\r\n")
	}
	if err == nil {
		err = c.expect("250")
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("greet the listener: %w", err)
	}
	return c, nil
}

func (c *mailClient) send() error {
	if _, err := c.conn.Write(c.start); err != nil {
		return err
	}
	for _, code := range []string{"250", "250", "354"} {
		if err := c.expect(code); err != nil {
			return err
		}
	}
	if _, err := c.conn.Write(c.message); err != nil {
		return err
	}
	return c.expect("250")
}

// expect reads one reply, of one line or several.
func (c *mailClient) expect(code string) error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(line, []byte(code)) {
			return fmt.Errorf("the listener answered %q, not %s", line, code)
		}
		if len(line) < 4 || line[3] != '-' {
			return nil
		}
	}
}

func (c *mailClient) close() { c.conn.Close() }

// encryptedMail is a mail of RFC 3156 around an armored message, in CRLF.
func encryptedMail(to string, armored []byte) []byte {
	text := strings.Join([]string{"From: Finn <finn@example.org>", "To: " + to, "Subject: ...", "Date: Mon, 02 Nov 2026 10:00:00 +0000",
		"Message-ID: <" + vault.NewID() + "@example.org>", "MIME-Version: 1.0",
		`Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="frontier"`, "",
		"--frontier", "Content-Type: application/pgp-encrypted", "", "Version: 1", "",
		"--frontier", "Content-Type: application/octet-stream", "", string(armored) + "--frontier--", ""}, "\n")
	return []byte(strings.ReplaceAll(text, "\n", "\r\n"))
}
