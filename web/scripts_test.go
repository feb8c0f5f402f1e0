package web_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/chromedp/chromedp"

	"postern/internal/disclosure"
	"postern/web"
	"postern/web/desk"
	"postern/web/ui"
)

func renderString(t *testing.T, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestKeysAndRefresh moves along the inbox by keys, sees a new row appear by
// itself without losing the place, and opens a case.
func TestKeysAndRefresh(t *testing.T) {
	view := desk.InboxView{Desk: atDesk(ui.NavInbox), Refresh: "/inbox/fragment", Rows: []desk.CaseRow{
		{Number: 1, Title: "first", State: disclosure.Triage, Received: ago(day)},
		{Number: 2, Title: "second", State: disclosure.Triage, Received: ago(day)},
	}}
	more := view
	more.Rows = append([]desk.CaseRow{{Number: 3, Title: "third", State: disclosure.Received, Received: now}}, view.Rows...)
	whole, fragment := renderString(t, desk.Inbox(view)), renderString(t, desk.InboxList(more))
	var full, unchanged atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("GET /inbox", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", csp)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, whole)
	})
	mux.HandleFunc("GET /inbox/fragment", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("ETag", `"v2"`)
		if r.Header.Get("If-None-Match") == `"v2"` {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		full.Add(1)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, fragment)
	})
	mux.HandleFunc("GET /cases/2", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>ok</title><h1 id="done">ok</h1>`)
	})
	mux.Handle("GET "+web.Prefix, http.StripPrefix(web.Prefix, http.FileServerFS(web.Files())))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	tab, cancel := context.WithTimeout(browser(t), 60*time.Second)
	defer cancel()

	if err := chromedp.Do(tab, chromedp.Navigate(server.URL+"/inbox"), chromedp.KeyEvent("?"), chromedp.WaitVisible(chromedp.CSS("#keys"))); err != nil {
		t.Fatalf("? shows no keys: %v", err)
	}
	if err := chromedp.Do(tab, chromedp.Click(chromedp.CSS("#keys button")), chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.WaitVisible(chromedp.CSS("#case-2.is-here"))); err != nil {
		t.Fatalf("j j does not reach the second line: %v", err)
	}
	// The link has the focus, so the list waits until nobody is in it.
	if err := waitFor(tab, `(document.activeElement.blur(), true)`); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab, chromedp.WaitVisible(chromedp.CSS("#case-3")), chromedp.WaitVisible(chromedp.CSS("#case-2.is-here"))); err != nil {
		t.Fatalf("the new line does not appear with the place kept: %v", err)
	}
	if err := waitFor(tab, `document.querySelectorAll('#inbox-list').length === 1`); err != nil {
		t.Fatal(err)
	}
	deadline, stop := context.WithTimeout(tab, 20*time.Second)
	defer stop()
	for unchanged.Load() == 0 && deadline.Err() == nil {
		if err := waitFor(deadline, `new Promise(done => setTimeout(() => done(true), 200))`); err != nil {
			break
		}
	}
	if full.Load() != 1 || unchanged.Load() == 0 {
		t.Errorf("asked %d times for the whole and %d times conditionally, want 1 and at least 1", full.Load(), unchanged.Load())
	}
	if err := chromedp.Do(tab, chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.CSS("#done"))); err != nil {
		t.Fatalf("Enter does not open the line: %v", err)
	}
}
