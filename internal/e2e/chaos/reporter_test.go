package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
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

// report is one report with what its reporter was told.
type report struct {
	marker string // stands in its text and nowhere else
	key    string // idempotency key
	form   bool   // else by the API

	code    string // the API's; every acknowledgment must name the same
	acked   int
	refused int // "not stored"
	cut     int // no whole answer
}

// reporters send reports one after the other, each from an address of its own.
type reporters struct {
	t      *testing.T
	client *http.Client

	mu   sync.Mutex
	all  []*report
	open []*report // without a receipt so far: sent again, the very same
}

func newReporters(t *testing.T) *reporters {
	return &reporters{t: t, client: &http.Client{Timeout: 20 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Second}}}
}

// next is a report to send: as often a new one as one that has no receipt.
func (r *reporters) next() *report {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) > 0 && rand.IntN(2) == 0 {
		i := rand.IntN(len(r.open))
		again := r.open[i]
		r.open = append(r.open[:i], r.open[i+1:]...)
		return again
	}
	id := vault.NewID()
	rep := &report{marker: "marker" + id[:20], key: vault.NewID() + id, form: rand.IntN(2) == 0}
	r.all = append(r.all, rep)
	return rep
}

// errCut: the program went away before it had answered.
var errCut = errors.New("no whole answer")

// send posts one report and notes the answer. Whatever is neither a receipt
// nor a clear "not stored" fails the test. mayBeCut: the program may be killed.
func (r *reporters) send(ctx context.Context, gate string, rep *report, mayBeCut bool) {
	status, body, err := r.post(ctx, gate, rep)
	r.mu.Lock()
	defer r.mu.Unlock()
	acked := false
	switch {
	case err != nil && mayBeCut:
		rep.cut++
	case err != nil:
		r.t.Errorf("%s got no answer from a living program: %v", rep, err)
	case status == http.StatusCreated:
		rep.acked++
		acked = true
		r.receipt(rep, body)
	case status == http.StatusServiceUnavailable:
		rep.refused++
		r.notStored(rep, body)
	default:
		r.t.Errorf("%s was answered with %d, want a receipt or \"not stored\": %.300s", rep, status, body)
	}
	if !acked {
		r.open = append(r.open, rep)
	}
}

func (rep *report) String() string {
	return "report " + rep.marker + map[bool]string{true: " by form", false: " by API"}[rep.form]
}

func (rep *report) text() string {
	return rep.marker + "\n\nThe lantern leaks. " + strings.Repeat("It drips on the floor of the tower. ", 60) + "\n"
}

func (r *reporters) post(ctx context.Context, gate string, rep *report) (int, []byte, error) {
	target, kind, body := gate+"/api/v1/reports", "text/plain; charset=utf-8", rep.text()
	if rep.form {
		target, kind = gate+public.PathReport, "application/x-www-form-urlencoded"
		body = url.Values{public.FieldKey: {rep.key}, public.FieldDescription: {rep.text()}}.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	q.Header.Set("Content-Type", kind)
	q.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", rand.IntN(250), rand.IntN(250), 1+rand.IntN(250)))
	if !rep.form {
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
	if rep.form {
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
	rep.code = got.Code
}

// notStored looks at what a 503 says: clearly, and with the text kept.
func (r *reporters) notStored(rep *report, body []byte) {
	if rep.form {
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

// run lets four reporters send until ctx ends, with a pause between.
func (r *reporters) run(ctx context.Context, gate string, mayBeCut func() bool) {
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				// A request that has begun is let end, so that its answer is known.
				r.send(context.WithoutCancel(ctx), gate, r.next(), mayBeCut())
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	group.Wait()
}

// finish sends what has no receipt once more, now that all is well, except for
// every second one, whose reporter has given up.
func (r *reporters) finish(gate string) {
	r.mu.Lock()
	open := r.open
	r.open = nil
	r.mu.Unlock()
	for i, rep := range open {
		if i%2 == 0 {
			r.send(context.Background(), gate, rep, false)
			if rep.acked == 0 {
				r.t.Errorf("%s has no receipt although all is well again", rep)
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
	eventually(t, 90*time.Second, "every arrival is opened: "+p.words(), func() bool {
		n, _, err := w.DB.WaitingArrivals(ctx)
		return err == nil && n == 0
	})
	found := map[string]int{}
	for q := (postgres.InboxQuery{Tab: postgres.TabAll, Limit: 200}); ; {
		page, err := w.DB.Inbox(ctx, w.Ada, q)
		must(t, err)
		for _, row := range page.Rows {
			found[strings.TrimSpace(row.Title)]++
			if row.Attention != "" {
				t.Errorf("case #%d needs attention: %s", row.Number, row.Attention)
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	acked, refused, cut, silent := 0, 0, 0, 0
	for _, rep := range r.all {
		n := found[rep.marker]
		delete(found, rep.marker)
		switch {
		case n > 1:
			t.Errorf("%s is there %d times", rep, n)
		case rep.acked > 0 && n == 0:
			t.Errorf("%s has a receipt and is not there", rep)
		case rep.acked == 0 && n == 1:
			silent++ // stored, but the answer was lost: allowed, and found again by its key
		}
		if rep.acked > 0 {
			acked++
		}
		refused, cut = refused+rep.refused, cut+rep.cut
		r.mailbox(w, rep)
	}
	for title := range found {
		t.Errorf("a case %q is there that nobody reported", title)
	}
	t.Logf("%d reports: %d with a receipt, %d answers \"not stored\", %d cut off, %d stored without a receipt", len(r.all), acked, refused, cut, silent)
	if acked == 0 {
		t.Error("no report was acknowledged: the test has tested nothing")
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
