package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
	"postern/internal/vault"
	"postern/web/public"
)

// way is how a reporter sends.
type way string

const (
	byForm    way = "by form"
	byAPI     way = "by API"
	byMail    way = "by mail"      // SMTP, or LMTP where the program speaks that
	toMailbox way = "to a mailbox" // of a report sent by API
)

// report is one report with what its reporter was told.
type report struct {
	marker string // stands in its text and nowhere else
	key    string // idempotency key
	way    way
	box    string // the code of the mailbox it is for
	size   int    // bytes of its text, at least; 0: a few

	code    string // the API's; every acknowledgment must name the same
	acked   int
	refused int // "not stored"
	cut     int // no whole answer
}

// reporters send reports one after the other, each from an address of its own.
type reporters struct {
	t      *testing.T
	client *http.Client

	mu    sync.Mutex
	all   []*report
	open  map[way][]*report // without a receipt so far: sent again, the very same
	codes []string          // of acknowledged reports
}

func newReporters(t *testing.T) *reporters {
	return &reporters{t: t, open: map[way][]*report{}, client: &http.Client{Timeout: 20 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Second}}}
}

// next is a report to send: as often a new one as one that has no receipt.
func (r *reporters) next(by way) *report {
	r.mu.Lock()
	defer r.mu.Unlock()
	if by == toMailbox && len(r.codes) == 0 {
		by = byAPI // there is no mailbox yet
	}
	if open := r.open[by]; len(open) > 0 && rand.IntN(2) == 0 {
		i := rand.IntN(len(open))
		again := open[i]
		r.open[by] = append(open[:i], open[i+1:]...)
		return again
	}
	return r.fresh(by)
}

// fresh is a new report; the caller holds the lock.
func (r *reporters) fresh(by way) *report {
	id := vault.NewID()
	rep := &report{marker: "marker" + id[:20], key: vault.NewID() + id, way: by}
	if by == toMailbox {
		rep.box = r.codes[rand.IntN(len(r.codes))]
	}
	r.all = append(r.all, rep)
	return rep
}

// errCut: the program went away before it had answered.
var errCut = errors.New("no whole answer")

// mailTaken is the mail listener's receipt, as a status.
const mailTaken = 250

// send sends one report and notes the answer. Whatever is neither a receipt
// nor a clear "not stored" fails the test. mayBeCut: the program may be killed.
func (r *reporters) send(ctx context.Context, p *program, rep *report, mayBeCut bool) {
	post := r.post
	if rep.way == byMail {
		post = r.mail
	}
	status, body, err := post(ctx, p, rep)
	r.mu.Lock()
	defer r.mu.Unlock()
	acked := false
	switch {
	case err != nil && mayBeCut:
		rep.cut++
	case err != nil:
		r.t.Errorf("%s got no answer from a living program: %v", rep, err)
	case status == http.StatusCreated, rep.way == toMailbox && status == http.StatusOK, status == mailTaken:
		rep.acked++
		acked = true
		r.receipt(rep, body)
	case rep.way == byMail && status >= 400 && status < 500:
		rep.refused++
	case status == http.StatusServiceUnavailable:
		rep.refused++
		r.notStored(rep, body)
	default:
		r.t.Errorf("%s was answered with %d, want a receipt or \"not stored\": %.300s", rep, status, body)
	}
	if !acked {
		r.open[rep.way] = append(r.open[rep.way], rep)
	}
}

// mail speaks SMTP, or LMTP, up to the answer that follows the final dot.
func (r *reporters) mail(_ context.Context, p *program, rep *report) (int, []byte, error) {
	conn, err := net.DialTimeout("tcp", p.mail, 10*time.Second)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errCut, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := textproto.NewConn(conn)
	hello := "EHLO"
	if p.lmtp {
		hello = "LHLO"
	}
	code, text := 0, ""
	for _, line := range []string{"", hello + " finder.example", "MAIL FROM:<finn@finder.example>", "RCPT TO:<security@lantern.example>", "DATA",
		"From: Finn <finn@finder.example>\r\nTo: security@lantern.example\r\nSubject: " + rep.marker + "\r\nDate: Mon, 06 Jan 2025 10:00:00 +0000\r\nMessage-ID: <" +
			rep.key + "@finder.example>\r\n\r\n" + strings.ReplaceAll(rep.text(), "\n", "\r\n") + "."} {
		if line != "" {
			if err := c.PrintfLine("%s", line); err != nil {
				return 0, nil, fmt.Errorf("%w: %w", errCut, err)
			}
		}
		code, text, err = c.ReadResponse(0)
		var no *textproto.Error
		if err != nil && !errors.As(err, &no) {
			return 0, nil, fmt.Errorf("%w: %w", errCut, err)
		}
		if code >= 400 {
			return code, []byte(text), nil
		}
	}
	return code, []byte(text), nil
}

func (rep *report) String() string { return "report " + rep.marker + " " + string(rep.way) }

func (rep *report) text() string {
	return rep.marker + "\n\nThe lantern leaks. " + strings.Repeat("It drips on the floor of the tower. ", 60) + "\n" +
		strings.Repeat(rep.key+" drips on the floor of the tower.\n", rep.size/(len(rep.key)+30))
}

func (r *reporters) post(ctx context.Context, p *program, rep *report) (int, []byte, error) {
	return r.postFrom(ctx, p, rep, fmt.Sprintf("10.%d.%d.%d", rand.IntN(250), rand.IntN(250), 1+rand.IntN(250)))
}

func (r *reporters) postFrom(ctx context.Context, p *program, rep *report, address string) (int, []byte, error) {
	target, kind, body := p.gate+"/api/v1/reports", "text/plain; charset=utf-8", rep.text()
	switch rep.way {
	case toMailbox:
		target, kind = p.gate+"/api/v1/mailbox", "application/json"
		b, err := json.Marshal(map[string]string{"code": rep.box, "text": rep.text()})
		if err != nil {
			return 0, nil, err
		}
		body = string(b)
	case byForm:
		target, kind = p.gate+public.PathReport, "application/x-www-form-urlencoded"
		body = url.Values{public.FieldKey: {rep.key}, public.FieldDescription: {rep.text()}}.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	q.Header.Set("Content-Type", kind)
	q.Header.Set("X-Forwarded-For", address)
	if rep.way != byForm {
		q.Header.Set("Idempotency-Key", rep.key)
	}
	answer, err := r.client.Do(q)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errCut, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errCut, err)
	}
	return answer.StatusCode, b, nil
}

// receipt looks at what a 201 says.
func (r *reporters) receipt(rep *report, body []byte) {
	switch rep.way {
	case byMail:
		return // there is nothing but the 250
	case toMailbox:
		var got struct{ Added struct{ SHA256 string } }
		if err := json.Unmarshal(body, &got); err != nil || got.Added.SHA256 == "" {
			r.t.Errorf("%s: the answer is %s, %v, want what was added", rep, body, err)
		}
		return
	case byForm:
		if !strings.Contains(string(body), "sha256") && !strings.Contains(string(body), "SHA-256") {
			r.t.Errorf("%s: the receipt names no digest: %.300s", rep, body)
		}
		return
	}
	var got struct{ Code, SHA256 string }
	if err := json.Unmarshal(body, &got); err != nil || got.Code == "" || got.SHA256 == "" {
		r.t.Errorf("%s: the receipt is %s, %v", rep, body, err)
		return
	}
	if rep.code != "" && rep.code != got.Code {
		r.t.Errorf("%s: the same report again got another code", rep)
	}
	if rep.code == "" {
		r.codes = append(r.codes, got.Code)
	}
	rep.code = got.Code
}

// notStored looks at what a 503 says: clearly, and with the text kept.
func (r *reporters) notStored(rep *report, body []byte) {
	if rep.way == byForm {
		page := string(body)
		if !strings.Contains(page, "Not stored") || !strings.Contains(page, rep.marker) || !strings.Contains(page, rep.key) {
			r.t.Errorf("%s: the page of a 503 has \"Not stored\" %t, the text %t, the key %t: %.300s", rep,
				strings.Contains(page, "Not stored"), strings.Contains(page, rep.marker), strings.Contains(page, rep.key), page)
		}
		return
	}
	var got struct{ Type, Title string }
	if err := json.Unmarshal(body, &got); err != nil || got.Type != "/problems/not-stored" {
		r.t.Errorf("%s: the problem of a 503 is %s, %v, want /problems/not-stored", rep, body, err)
	}
}

// run lets four reporters send until ctx ends, with a pause between, each in
// one way.
func (r *reporters) run(ctx context.Context, p *program, mayBeCut func() bool) {
	var group sync.WaitGroup
	for _, by := range []way{byForm, byAPI, byMail, toMailbox} {
		group.Go(func() {
			for ctx.Err() == nil {
				// A request that has begun is let end, so that its answer is known.
				r.send(context.WithoutCancel(ctx), p, r.next(by), mayBeCut())
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
	group.Wait()
}

// finish sends what has no receipt once more, now that all is well, except for
// every second one, whose reporter has given up.
func (r *reporters) finish(p *program) {
	r.mu.Lock()
	all := r.open
	r.open = map[way][]*report{}
	r.mu.Unlock()
	for _, open := range all {
		for i, rep := range open {
			if i%2 == 0 {
				r.send(context.Background(), p, rep, false)
				if rep.acked == 0 {
					r.t.Errorf("%s has no receipt although all is well again", rep)
				}
			}
		}
	}
}

// opened waits until work has opened every arrival, and holds what is in the
// inbox against what the reporters were told.
func (r *reporters) opened(w *postgrestest.World, p *program) {
	t := r.t
	t.Helper()
	ctx := context.Background()
	began := time.Now()
	eventually(t, 120*time.Second, "every arrival is opened: "+p.words(), func() bool {
		n, _, err := w.DB.WaitingArrivals(ctx)
		return err == nil && n == 0
	})
	took := time.Since(began)
	owner, addressed := map[string]string{}, map[string]bool{} // of each mailbox: the report whose case it is
	for _, rep := range r.all {
		owner[rep.code] = rep.marker
	}
	for _, rep := range r.all {
		if rep.box != "" {
			addressed[owner[rep.box]] = true
		}
	}
	found, byBox := map[string]int{}, map[string]int{}
	for q := (postgres.InboxQuery{Tab: postgres.TabAll, Limit: 200}); ; {
		page, err := w.DB.Inbox(ctx, w.Ada, q)
		must(t, err)
		for _, row := range page.Rows {
			found[strings.TrimSpace(row.Title)]++
			if row.Attention != "" {
				t.Errorf("case #%d needs attention: %s", row.Number, row.Attention)
			}
			if !addressed[strings.TrimSpace(row.Title)] {
				continue
			}
			thread, err := w.DB.Thread(ctx, w.Ada, row.ID)
			must(t, err)
			for _, m := range thread {
				title, _, _ := strings.Cut(m.Text, "\n")
				byBox[strings.TrimSpace(row.Title)+" "+title]++
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	acked, refused, cut, silent := map[way]int{}, map[way]int{}, map[way]int{}, map[way]int{}
	for _, rep := range r.all {
		n := found[rep.marker]
		if rep.way == toMailbox {
			n = byBox[owner[rep.box]+" "+rep.marker]
		}
		delete(found, rep.marker)
		switch {
		case n > 1:
			t.Errorf("%s is there %d times", rep, n)
		case rep.acked > 0 && n == 0:
			t.Errorf("%s has a receipt and is not there", rep)
		case rep.acked == 0 && n == 1:
			silent[rep.way]++ // stored, but the answer was lost: allowed, and found again by its key
		}
		if rep.acked > 0 {
			acked[rep.way]++
		}
		refused[rep.way] += rep.refused
		cut[rep.way] += rep.cut
		r.mailbox(w, rep)
	}
	for title := range found {
		t.Errorf("a case %q is there that nobody reported", title)
	}
	t.Logf("the last were opened after %s", took.Round(time.Millisecond))
	for _, by := range []way{byForm, byAPI, byMail, toMailbox} {
		t.Logf("%s: %d with a receipt, %d answers \"not stored\", %d cut off, %d stored without a receipt", by, acked[by], refused[by], cut[by], silent[by])
		if acked[by] == 0 {
			t.Errorf("nothing was acknowledged %s: the test has tested nothing", by)
		}
	}
}

// mailbox checks that the code of a receipt belongs to exactly one reporter.
func (r *reporters) mailbox(w *postgrestest.World, rep *report) {
	if rep.code == "" {
		return
	}
	code, err := vault.ParseCode(rep.code)
	if err != nil {
		r.t.Errorf("%s: the code of its receipt cannot be read: %v", rep, err)
		return
	}
	var n int
	err = w.DB.Pool().QueryRow(context.Background(), `SELECT count(*) FROM reporter WHERE mailbox = $1`,
		string(code.Mailbox(w.DB.Instance()).ID())).Scan(&n)
	if err != nil || n != 1 {
		r.t.Errorf("%s: the code of its receipt is that of %d reporters, %v, want one", rep, n, err)
	}
}
