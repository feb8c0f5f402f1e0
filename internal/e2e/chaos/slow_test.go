package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/auth"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/postgrestest"
	"postern/web/public"
)

// What slow clients may cost others.
const (
	slowClients = 200                    // at the gate, and as many at the mail listener
	deskP99     = 500 * time.Millisecond // of a member's pages
	atOnce      = 5 * time.Second        // within which an honest report is acknowledged
	memoryBound = 256 << 20              // of the program
)

// TestSlowConnections lets slow clients hold every connection they can get, at
// the gate and at the mail listener, half of them from the address of an honest
// reporter, and looks what a member at the desk and that reporter notice.
func TestSlowConnections(t *testing.T) {
	pgtest.Cluster(t)
	w := settled(t, postgrestest.New(t))
	var cases []string
	for i := range 25 {
		id, _ := w.Case(t, fmt.Sprintf("Leak number %d", i))
		c, err := w.DB.Case(t.Context(), w.Ada, id)
		must(t, err)
		cases = append(cases, fmt.Sprintf("/cases/%d", c.Number))
	}
	p := newPlace(t, w).start(t)
	member := signedIn(t, w, p)
	last := 6 * time.Second
	if soak {
		last = 3 * time.Minute
	}

	quiet := quantile(visits(t, member, p, cases, time.Now().Add(last/4)), 99)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var held atomic.Int64
	defer group.Wait()
	defer stop()
	for i := range slowClients {
		for _, slow := range []func(context.Context, *program, int) error{slowAtGate, slowAtMail} {
			group.Go(func() {
				for ctx.Err() == nil { // whoever is sent away comes back
					held.Add(1)
					_ = slow(ctx, p, i)
					held.Add(-1)
					select {
					case <-ctx.Done():
					case <-time.After(500 * time.Millisecond):
					}
				}
			})
		}
	}
	eventually(t, 20*time.Second, "the slow clients hold their connections", func() bool { return held.Load() > slowClients*3/2 })
	time.Sleep(2 * time.Second) // their bodies have begun

	r := newReporters(t)
	honest := make(chan map[way][]time.Duration)
	until := time.Now().Add(last)
	go func() { honest <- r.honest(p, until, last/15) }() // in all less than one address may send
	pages := visits(t, member, p, cases, until)
	took := <-honest
	resident := memory(t, p)
	p99 := quantile(pages, 99)
	t.Logf("desk: %d pages, half within %s, 99 %% within %s (%s without slow connections); %d MiB of memory", len(pages), quantile(pages, 50), p99, quiet, resident>>20)
	// A machine that is busy with other tests is slow by itself.
	if p99 > max(deskP99, 4*quiet) {
		t.Errorf("99 %% of a member's pages came within %s beside %d slow connections, %s without; want %s", p99, 2*slowClients, quiet, deskP99)
	}
	if resident > memoryBound {
		t.Errorf("the program holds %d MiB beside %d slow connections, want at most %d", resident>>20, 2*slowClients, memoryBound>>20)
	}
	for _, by := range []way{byForm, byAPI, byMail, byUpload} {
		if len(took[by]) == 0 {
			t.Errorf("no honest report came through %s", by)
			continue
		}
		worst := slices.Max(took[by])
		t.Logf("%d honest reports %s, the slowest in %s", len(took[by]), by, worst.Round(time.Millisecond))
		if worst > atOnce {
			t.Errorf("an honest report %s took %s beside slow connections, want at most %s", by, worst, atOnce)
		}
	}
	p.alive(t)
}

// visits loads the inbox and cases in turn, and says how long each took.
func visits(t *testing.T, member *http.Client, p *program, cases []string, until time.Time) (took []time.Duration) {
	t.Helper()
	for i := 0; i < 20 || time.Now().Before(until); i++ {
		path := "/inbox"
		if i%2 == 1 {
			path = cases[i/2%len(cases)]
		}
		began := time.Now()
		answer, err := member.Get(p.desk + path)
		if err != nil {
			t.Fatalf("GET %s while others are slow: %v", path, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		took = append(took, time.Since(began))
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("GET %s while others are slow: %d, want 200", path, answer.StatusCode)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return took
}

func quantile(list []time.Duration, percent int) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)*percent/100].Round(time.Millisecond)
}

// byUpload is a form with a file larger than what is read without a place.
const byUpload way = "by form with a file"

// honest sends one report after the other in each way until then, from the
// address that half of the slow ones share, and says how long each took. A mail
// server that is told to come back does so.
func (r *reporters) honest(p *program, until time.Time, pause time.Duration) map[way][]time.Duration {
	took := map[way][]time.Duration{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, by := range []way{byForm, byAPI, byMail, byUpload} {
		group.Go(func() {
			for time.Now().Before(until) {
				rep := r.next(by)
				began := time.Now()
				status, body, err := r.once(p, rep)
				for by == byMail && err == nil && status >= 400 && status < 500 && time.Since(began) < atOnce {
					time.Sleep(100 * time.Millisecond)
					status, body, err = r.once(p, rep)
				}
				if err != nil || status != http.StatusCreated && status != mailTaken {
					r.t.Errorf("an honest report %s was answered with %d, %v beside slow connections: %.150s", by, status, err, body)
				}
				mu.Lock()
				took[by] = append(took[by], time.Since(began))
				mu.Unlock()
				time.Sleep(pause)
			}
		})
	}
	group.Wait()
	return took
}

func (r *reporters) once(p *program, rep *report) (int, []byte, error) {
	switch rep.way {
	case byMail:
		return r.mail(context.Background(), p, rep)
	case byUpload:
		return r.upload(p, rep)
	}
	return r.postFrom(context.Background(), p, rep, sharedAddress)
}

// sharedAddress is that of an office: of an honest reporter, and of slow clients.
const sharedAddress = "10.77.0.1"

func (r *reporters) upload(p *program, rep *report) (int, []byte, error) {
	body := "--b\r\nContent-Disposition: form-data; name=\"" + public.FieldKey + "\"\r\n\r\n" + rep.key +
		"\r\n--b\r\nContent-Disposition: form-data; name=\"" + public.FieldDescription + "\"\r\n\r\n" + rep.text() +
		"\r\n--b\r\nContent-Disposition: form-data; name=\"" + public.FieldFiles + "\"; filename=\"proof\"\r\n\r\n" + strings.Repeat("proof", 100_000) + "\r\n--b--\r\n"
	q, err := http.NewRequest(http.MethodPost, p.gate+public.PathReport, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	q.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	q.Header.Set("X-Forwarded-For", sharedAddress)
	answer, err := r.client.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, b, err
}

// signedIn is a member's browser.
func signedIn(t *testing.T, w *postgrestest.World, p *program) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	c := &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	q, err := http.NewRequest(http.MethodPost, p.desk+"/sign-in", strings.NewReader(url.Values{
		"name": {"Ada@lantern.example"}, "password": {postgrestest.Password}, "code": {auth.TOTPCode(w.TOTP[w.Ada.Member], time.Now())},
	}.Encode()))
	must(t, err)
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.Header.Set("Origin", p.desk)
	answer, err := c.Do(q)
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign in: %d, want 303", answer.StatusCode)
	}
	return c
}

// memory is what the program holds, as the kernel counts.
func memory(t *testing.T, p *program) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(t, err)
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatal("the kernel does not say what the program holds")
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	must(t, err)
	return n << 10
}

var errLetGo = errors.New("the connection was closed")

// drip sends a byte a second until the other side has had enough.
func drip(ctx context.Context, c net.Conn, b byte) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, c)
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			return errLetGo
		case <-time.After(time.Second):
		}
		if _, err := c.Write([]byte{b}); err != nil {
			return err
		}
	}
}

// slowAtGate holds one connection to the gate, in one of five ways.
func slowAtGate(ctx context.Context, p *program, i int) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(p.gate, "http://"))
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	from := sharedAddress
	if i/5%2 == 1 || i%5 == 3 { // what brings much counts
		from = fmt.Sprintf("10.78.%d.%d", i/250, i%250)
	}
	head := func(target, kind string, length int) string {
		return "POST " + target + " HTTP/1.1\r\nHost: gate\r\nX-Forwarded-For: " + from + "\r\nContent-Type: " + kind + "\r\nContent-Length: " + strconv.Itoa(length) + "\r\n\r\n"
	}
	switch i % 5 {
	case 0: // headers that do not end
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: gate\r\nX-Slow: ")
	case 1: // a small form
		_, err = io.WriteString(c, head(public.PathReport, "application/x-www-form-urlencoded", 5000)+"description=")
	case 2: // a file that begins slowly
		_, err = io.WriteString(c, head(public.PathReport, "multipart/form-data; boundary=b", 20<<20)+"--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"x\"\r\n\r\n")
	case 3: // one that begins well
		_, err = io.WriteString(c, head("/api/v1/reports", "application/json", 20<<20)+strings.Repeat("x", 200<<10))
	case 4: // much is asked for and nothing is read
		_ = c.(*net.TCPConn).SetReadBuffer(2 << 10)
		_, err = io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: gate\r\nX-Forwarded-For: "+from+"\r\n\r\n", 200))
		<-ctx.Done()
		return err
	}
	if err != nil {
		return err
	}
	return drip(ctx, c, 'x')
}

// slowAtMail holds one connection to the mail listener: silent after its name,
// or in the middle of a mail. Five share an address.
func slowAtMail(ctx context.Context, p *program, i int) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 3, byte(1+i/5))}}
	c, err := d.DialContext(ctx, "tcp", p.mail)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	talk := textproto.NewReader(bufio.NewReader(c))
	lines := []string{"EHLO slow.example"}
	if i%2 == 1 {
		lines = append(lines, "MAIL FROM:<slow@elsewhere.example>", "RCPT TO:<security@lantern.example>", "DATA")
	}
	for _, line := range append([]string{""}, lines...) {
		if line != "" {
			if _, err := io.WriteString(c, line+"\r\n"); err != nil {
				return err
			}
		}
		if _, _, err := talk.ReadResponse(0); err != nil {
			return err
		}
	}
	if i%2 == 1 {
		return drip(ctx, c, 'x')
	}
	_, err = talk.ReadLine() // until it is closed
	return err
}
