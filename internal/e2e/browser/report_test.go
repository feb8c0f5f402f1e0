package browser

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/pgp"
	"postern/internal/policy"
	"postern/web/ui"
)

const form = `form[action="/report"]`

// path is the way between a browser and the gate, which can go wrong.
type path struct {
	*httptest.Server
	mode  atomic.Value // func(http.ResponseWriter, *http.Request), of the next POST; nil: it arrives
	pages atomic.Value // func(*http.Response), of every answer; nil: as it came
}

func newPath(t *testing.T, w *world.World) *path {
	t.Helper()
	to, err := url.Parse(w.GateURL)
	if err != nil {
		t.Fatal(err)
	}
	p := &path{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			if change, _ := p.pages.Load().(func(*http.Response)); change != nil {
				change(r)
			}
			return nil
		},
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wrong, _ := p.mode.Load().(func(http.ResponseWriter, *http.Request)); wrong != nil && r.Method == http.MethodPost {
			wrong(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

func (p *path) wrong(f func(http.ResponseWriter, *http.Request)) { p.mode.Store(f) }

func (p *path) right() { p.wrong(nil) }

// hangUp ends a connection without an answer.
func hangUp(w http.ResponseWriter) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		c.Close()
	}
}

// cut reads some of an upload and hangs up.
func cut(w http.ResponseWriter, r *http.Request) {
	io.CopyN(io.Discard, r.Body, 256<<10)
	hangUp(w)
}

// soak: POSTERN_SOAK=1 also runs the variations of what make test runs.
var soak = os.Getenv("POSTERN_SOAK") != ""

// inSoak is t.Run where variations are run.
func inSoak(t *testing.T, name string, f func(*testing.T)) {
	if soak {
		t.Run(name, f)
	}
}

func arrivals(w *world.World) (n int) {
	w.T.Helper()
	if err := w.DB.Pool().QueryRow(w.T.Context(), `SELECT count(*) FROM arrival`).Scan(&n); err != nil {
		w.T.Fatal(err)
	}
	return n
}

// file writes one of n bytes, each line different.
func file(t *testing.T, name string, n int64) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), name)
	f, err := os.Create(at)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	for i := int64(0); i < n; i += int64(len(block)) {
		copy(block, fmt.Sprintf("%015d\n", i))
		if _, err := f.Write(block[:min(int64(len(block)), n-i)]); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

// newest is the case of the report that came last, as a member sees it.
func newest(w *world.World) (*disclosure.Case, disclosure.Message) {
	w.T.Helper()
	w.Settle()
	var id disclosure.CaseID
	if err := w.DB.Pool().QueryRow(w.T.Context(), `SELECT case_id FROM arrival ORDER BY received DESC, id DESC LIMIT 1`).Scan(&id); err != nil {
		w.T.Fatalf("the newest arrival made no case: %v", err)
	}
	ada := w.Member("Ada")
	c, err := w.DB.Case(w.T.Context(), ada, id)
	if err != nil {
		w.T.Fatal(err)
	}
	thread, err := w.DB.Thread(w.T.Context(), ada, id)
	if err != nil || len(thread) == 0 {
		w.T.Fatalf("thread of case %d: %d messages, %v", c.Number, len(thread), err)
	}
	return c, thread[0]
}

func isThere(b *world.Tab, selector string) bool { return count(b, selector) > 0 }

func visible(b *world.Tab, selector string) bool {
	b.T.Helper()
	return world.Eval[bool](b, fmt.Sprintf(`Boolean(document.querySelector(%q)?.checkVisibility())`, selector))
}

// kept fails the test unless the form holds what was filled in.
func kept(b *world.Tab, text string, files int) {
	b.T.Helper()
	if got := world.Eval[string](b, `document.querySelector("#description").value`); got != text {
		b.T.Errorf("the description is %q, want %q kept", got, text)
	}
	if got := world.Eval[int](b, `document.querySelector("#files").files.length`); got != files {
		b.T.Errorf("%d files are chosen, want %d kept", got, files)
	}
}

// asks waits until the page has asked so often whether it may be left.
func asks(b *world.Tab, often int) {
	b.T.Helper()
	for began := time.Now(); b.Asked() < often; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 5*time.Second {
			b.T.Fatalf("the page asked %d times before it was left, want %d", b.Asked(), often)
		}
	}
}

// TestSending: what goes wrong on the way loses nothing, shows no receipt that
// is not true, and stores nothing twice.
func TestSending(t *testing.T) {
	world.Need(t, "chromium")
	w := world.New(t, world.Config{})
	p := newPath(t, w)
	says := ui.English.Send
	fillIn := func(t *testing.T, text string, size int64) *world.Tab {
		b := world.NewTab(t)
		b.Open(p.URL + "/report")
		b.Type("#description", text)
		b.Choose("#files", file(t, "proof.bin", size))
		return b
	}

	t.Run("the connection breaks in the middle", func(t *testing.T) {
		before := arrivals(w)
		b := fillIn(t, "Broken off.", 3<<20)
		p.wrong(cut)
		b.Submit(form)
		b.Sees(says.Broken)
		kept(b, "Broken off.", 1)
		if isThere(b, "#code-words") || arrivals(w) != before {
			t.Fatalf("half a report gave a receipt or an arrival: %s", b.Text())
		}
		p.right()
		if status := b.Submit(form); status != http.StatusCreated || !isThere(b, "#code-words") {
			t.Fatalf("sent again: status %d: %s", status, b.Text())
		}
		if got := arrivals(w); got != before+1 {
			t.Errorf("%d arrivals after sending again, want one more than %d", got, before)
		}
		c, m := newest(w)
		if len(c.Files) != 1 || c.Files[0].Label != "proof.bin" || m.Protection.Encryption != disclosure.ToCurrentKey {
			t.Errorf("files %v, protection %v; want proof.bin, encrypted to the current key", c.Files, m.Protection)
		}
	})

	t.Run("the answer is lost", func(t *testing.T) {
		before := arrivals(w)
		b := fillIn(t, "Answered, but nobody heard it.", 300<<10)
		p.wrong(func(rw http.ResponseWriter, r *http.Request) {
			again, err := http.NewRequest(r.Method, w.GateURL+r.URL.Path, r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			again.Header = r.Header.Clone()
			again.Header.Set("Origin", w.GateURL)
			if answer, err := http.DefaultClient.Do(again); err != nil || answer.StatusCode != http.StatusCreated {
				t.Errorf("the gate was to take it: %v, %v", answer, err)
			} else {
				answer.Body.Close()
			}
			hangUp(rw)
		})
		b.Submit(form)
		b.Sees(says.Doubt)
		kept(b, "Answered, but nobody heard it.", 1)
		p.right()
		b.Submit(form)
		if !isThere(b, "#code-words") {
			t.Fatalf("sent again: no receipt: %s", b.Text())
		}
		if got := arrivals(w); got != before+1 {
			t.Errorf("%d arrivals of one report sent twice, want one more than %d", got, before)
		}
	})

	t.Run("the reporter stops it", func(t *testing.T) {
		before := arrivals(w)
		b := fillIn(t, "On second thought.", 3<<20)
		reached, end := make(chan struct{}), make(chan struct{})
		var once sync.Once
		p.wrong(func(rw http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 256<<10)
			once.Do(func() { close(reached) })
			<-end
			hangUp(rw)
		})
		b.Click(form + ` button[type="submit"]`)
		<-reached
		b.Wait("a bar that moves", `document.querySelector("#send-progress").value > 0 && document.querySelector("#send-status").textContent.includes("percent")`)
		if got := world.Eval[string](b, `document.activeElement.id`); got != "send-stop" {
			t.Errorf("while it is sent the focus is on %q, want the button that stops it", got)
		}
		b.Stay()
		asked := b.Asked()
		b.Do("try to leave", chromedp.Evaluate[chromedp.Void](`location.href = "/"`))
		asks(b, asked+1)
		b.Click("#send-stop")
		close(end)
		b.Sees(says.Stopped)
		kept(b, "On second thought.", 1)
		p.right()
		if got := arrivals(w); got != before {
			t.Errorf("%d arrivals after it was stopped, want %d", got, before)
		}
	})

	inSoak(t, "something before us refuses it", func(t *testing.T) {
		b := fillIn(t, "Too much for the proxy.", 300<<10)
		p.wrong(func(rw http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			http.Error(rw, "<html><body>413</body></html>", http.StatusRequestEntityTooLarge)
		})
		b.Submit(form)
		b.Sees("It was not taken (413)")
		kept(b, "Too much for the proxy.", 1)
		p.right()
	})

	inSoak(t, "the database is away", func(t *testing.T) {
		b := fillIn(t, "Nobody stores this.", 1000)
		p.wrong(func(rw http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			rw.Header().Set("Content-Type", "text/html; charset=utf-8")
			rw.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(rw, `<!doctype html><title>x</title><main><h1>Report</h1><div class="faults" id="not-stored"><p>Not stored: the database did not answer.</p></div></main>`)
		})
		b.Submit(form)
		b.Sees("Not stored: the database did not answer.")
		kept(b, "Nobody stores this.", 1)
		p.right()
		b.Submit(form)
		if !isThere(b, "#code-words") {
			t.Errorf("sent again: no receipt: %s", b.Text())
		}
	})

	t.Run("two tabs with one key", func(t *testing.T) {
		before := arrivals(w)
		var codes []string
		key := ""
		for range 2 {
			b := world.NewTab(t)
			b.Script(false)
			b.Open(w.GateURL + "/report")
			if key == "" {
				key = world.Eval[string](b, `document.querySelector("[name=key]").value`)
			}
			world.Eval[string](b, fmt.Sprintf(`document.querySelector("[name=key]").value = %q`, key))
			b.Type("#description", "The same words in both.")
			b.Submit(form)
			codes = append(codes, world.Eval[string](b, `document.querySelector("#form-open [name=code]").value`))
		}
		if codes[0] != codes[1] || arrivals(w) != before+1 {
			t.Errorf("two tabs: codes %q, %d more arrivals; want one code and one arrival", codes, arrivals(w)-before)
		}
	})
}

// TestLargeFiles: 24 MiB (6 outside make soak) go through without the page
// standing still; more than
// the policy allows is refused before it is sent, or by the server, with the
// text kept.
func TestLargeFiles(t *testing.T) {
	world.Need(t, "chromium")
	w := world.New(t, world.Config{})

	t.Run("large", func(t *testing.T) {
		large := int64(6 << 20)
		if soak {
			large = 24 << 20
		}
		b := world.NewTab(t)
		b.Open(w.GateURL + "/report")
		b.Type("#description", "Large.")
		b.Choose("#files", file(t, "naïve proof.bin", large))
		b.Wait("the library", `!document.querySelector("#protected-browser").hidden`)
		world.Eval[bool](b, `(() => {
			window.longest = 0; window.heard = [];
			new PerformanceObserver(l => l.getEntries().forEach(e => window.longest = Math.max(window.longest, e.duration))).observe({type: "longtask"});
			new MutationObserver(() => window.heard.push(document.querySelector("#send-status")?.textContent)).observe(document.querySelector("#send-status"), {childList: true});
			window.began = performance.now(); return true })()`)
		if status := b.Submit(form); status != http.StatusCreated {
			t.Fatalf("%d bytes answer %d: %s", large, status, b.Text())
		}
		took, longest := world.Eval[float64](b, `performance.now() - window.began`), world.Eval[float64](b, `window.longest`)
		heard := world.Eval[[]string](b, `window.heard`)
		t.Logf("%d MiB took %.0f ms, the longest task %.0f ms; it said %q", large>>20, took, longest, heard)
		if longest > 1000 && longest > took/3 { // a person notices a second; on a busy machine all takes longer
			t.Errorf("the page stood still for %.0f ms of %.0f", longest, took)
		}
		if n := len(heard); n < 4 || n > 40 || !strings.Contains(strings.Join(heard, " "), "percent") {
			t.Errorf("a screen reader heard %d things, want some, and not one for each piece: %q", n, heard)
		}
		c, m := newest(w)
		if m.Protection.Problem == string(pgp.TooComplex) { // two seconds were not enough on a busy machine: a member tries again
			if err := w.DB.TryAgain(t.Context(), w.Member("Ada"), m.ID); err != nil {
				t.Fatal(err)
			}
			c, m = newest(w)
		}
		if len(c.Files) != 1 || c.Files[0].Label != "naïve proof.bin" || c.Files[0].Size != large || m.Protection.Encryption != disclosure.ToCurrentKey {
			t.Errorf("files %+v, protection %v; want the file whole, encrypted to the current key", c.Files, m.Protection)
		}
	})

	t.Run("too much", func(t *testing.T) {
		before := arrivals(w)
		b := world.NewTab(t)
		b.Open(w.GateURL + "/report")
		b.Type("#description", "Too large.")
		b.Choose("#files", file(t, "much.bin", 26<<20))
		if status := b.Submit(form); status != 0 {
			t.Errorf("26 MiB were sent, and answered %d; want them refused before", status)
		}
		b.Sees("Your files are 26.0 MiB together; we take at most 25 MiB at once.")
		if !isThere(b, `#files[aria-invalid]`) || world.Eval[string](b, `document.activeElement.id`) != "faults" {
			t.Error("the field is not marked, or the summary has no focus")
		}
		kept(b, "Too large.", 1)
		if arrivals(w) != before {
			t.Error("it was stored")
		}
	})

	t.Run("far too much without script", func(t *testing.T) {
		huge := int64(40 << 20)
		if soak {
			huge = 2 << 30
		}
		before := arrivals(w)
		at := filepath.Join(t.TempDir(), "huge.bin")
		f, err := os.Create(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(huge); err != nil { // sparse: it takes no room
			t.Fatal(err)
		}
		f.Close()
		b := world.NewTab(t)
		b.Script(false)
		b.Open(w.GateURL + "/report")
		b.Type("#description", "Far too large.")
		b.Choose("#files", at)
		if status := b.Submit(form); status != http.StatusRequestEntityTooLarge {
			t.Errorf("a huge file answers %d, want 413: %s", status, b.Text())
		}
		b.Sees("larger than 25 MiB")
		kept(b, "Far too large.", 0)
		if arrivals(w) != before {
			t.Error("it was stored")
		}
	})
}

// TestDraft: nothing is kept in the browser before the reporter says so, nor
// after it was sent or forgotten.
func TestDraft(t *testing.T) {
	world.Need(t, "chromium")
	w := world.New(t, world.Config{})
	b := world.NewTab(t)
	holds := func(when string, want int) {
		t.Helper()
		got := world.Eval[string](b, `(async () => JSON.stringify([localStorage.length, sessionStorage.length, (await indexedDB.databases()).length, document.cookie.length]))()`)
		if want := fmt.Sprintf("[%d,0,0,0]", want); got != want {
			t.Errorf("%s the browser holds (local, session, databases, cookie) %s, want %s", when, got, want)
		}
	}
	open := func() {
		b.Open(w.GateURL + "/report")
		b.Wait("the draft's button", `document.querySelector("#draft").checkVisibility()`)
	}
	value := func() string { return world.Eval[string](b, `document.querySelector("#description").value`) }
	// writes counts what is ever written, however short.
	writes := func() int {
		return world.Eval[int](b, `(() => { if (!window.writes) { window.writes = {n: 0}; const put = Storage.prototype.setItem; Storage.prototype.setItem = function(...a) { window.writes.n++; return put.apply(this, a) } } return window.writes.n })()`)
	}

	open()
	writes()
	b.Type("#description", "A canary in a draft.")
	b.Wait("longer than a draft waits", `new Promise(done => setTimeout(() => done(true), 700))`)
	holds("before anybody agreed", 0)
	if n := writes(); n != 0 {
		t.Errorf("%d writes before anybody agreed", n)
	}
	open()
	if b.Asked() == 0 {
		t.Error("typed text was left behind without a question")
	}
	if value() != "" {
		t.Errorf("without a draft the form comes back with %q", value())
	}

	b.Type("#description", "A canary in a draft.")
	b.Click("#draft-keep")
	holds("when asked to keep it", 1)
	asked := b.Asked()
	open()
	b.Sees(ui.English.Report.DraftBack)
	if value() != "A canary in a draft." || b.Asked() != asked {
		t.Errorf("the draft came back as %q, with %d questions", value(), b.Asked()-asked)
	}
	b.Click("#draft-forget")
	holds("when told to forget", 0)
	if value() != "A canary in a draft." {
		t.Errorf("forgetting emptied the form: %q", value())
	}

	b.Click("#draft-keep")
	holds("when asked again", 1)
	b.Type("#description", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ==\n-----END PGP PRIVATE KEY BLOCK-----")
	b.Wait("longer than a draft waits", `new Promise(done => setTimeout(() => done(true), 700))`)
	holds("with a private key in it", 1)
	if status := b.Submit(form); status != http.StatusUnprocessableEntity {
		t.Fatalf("sending a private key answers %d", status)
	}
	holds("when a private key was refused", 0)
	if value() != "" {
		t.Errorf("after a private key was refused the form holds %q", value())
	}
	b.Type("#description", "A canary in a draft.")
	b.Click("#draft-keep")
	holds("when asked once more", 1)
	b.Type("#versions", "4.2")
	if status := b.Submit(form); status != http.StatusCreated {
		t.Fatalf("sending answers %d", status)
	}
	b.Wait("longer than a draft waits", `new Promise(done => setTimeout(() => done(true), 700))`)
	holds("when it was sent", 0)
	b.Click("#code-kept")
	open()
	if value() != "" {
		t.Errorf("after sending the form comes back with %q", value())
	}
}

// TestProtectionIsTrue: "encrypted in your browser" is said before and after
// only where it was.
func TestProtectionIsTrue(t *testing.T) {
	world.Need(t, "chromium")
	w := world.New(t, world.Config{})
	p := newPath(t, w)
	noScripts := func(r *http.Response) {
		r.Header.Set("Content-Security-Policy", strings.Replace(r.Header.Get("Content-Security-Policy"), "script-src 'self'", "script-src 'none'", 1))
	}
	absent := func(part string) func(*http.Response) {
		return func(r *http.Response) {
			if strings.Contains(r.Request.URL.Path, part) {
				r.StatusCode = http.StatusNotFound
			}
		}
	}
	for _, c := range []struct {
		name    string
		before  func(b *world.Tab)
		pages   func(*http.Response)
		browser bool
		more    bool // in make soak alone
	}{
		{"all there", nil, nil, true, false},
		{"script off", func(b *world.Tab) { b.Script(false) }, nil, false, false},
		{"scripts refused", nil, noScripts, false, true},
		{"library not found", nil, absent("/vendor/openpgp"), false, false},
		{"library blocked", func(b *world.Tab) {
			world.Call(b, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{{URLPattern: p.URL + "/static/vendor/*", Block: true}}})
		}, nil, false, true},
		{"our own script not found", nil, absent("/encrypt.js"), false, true},
		{"key not found", nil, absent("/key.asc"), false, true},
	} {
		if c.more && !soak {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			p.pages.Store(c.pages)
			b := world.NewTab(t)
			if c.before != nil {
				world.Call(b, network.Enable, network.EnableParams{})
				c.before(b)
			}
			b.Open(p.URL + "/report")
			b.Type("#description", "Truth, "+c.name+".")
			if c.browser {
				b.Wait("the library", `!document.querySelector("#protected-browser").hidden`)
			}
			if visible(b, "#protected-browser") != c.browser || visible(b, "#protected-sealed") == c.browser {
				t.Errorf("before sending the page says otherwise than encrypted in the browser: %v", c.browser)
			}
			b.Submit(form)
			text := b.Text()
			if !isThere(b, "#code-words") {
				t.Fatalf("no receipt: %s", text)
			}
			r, want := ui.English.Receipt, disclosure.OnArrival
			if c.browser {
				want = disclosure.ToCurrentKey
			}
			if strings.Contains(text, r.ProtectionBrowser) != c.browser || strings.Contains(text, r.ProtectionSealed) == c.browser {
				t.Errorf("the receipt says otherwise than encrypted in the browser: %v", c.browser)
			}
			got, m := newest(w)
			if m.Protection.Encryption != want || !strings.Contains(m.Text, "Truth, "+c.name) {
				t.Errorf("case %d has %q, protection %v; want %v", got.Number, m.Text, m.Protection, want)
			}
		})
	}
	p.pages.Store(func(*http.Response) {})
}

// TestReceiptIsKept: the receipt asks before it is left without the code; the
// code is in no address, title or history, on paper, and gone with the page.
func TestReceiptIsKept(t *testing.T) {
	world.Need(t, "chromium")
	w := world.New(t, world.Config{})
	b := world.NewTab(t)
	report(b, w, "A report with a receipt.")
	code := world.Eval[string](b, `document.querySelector("#form-open [name=code]").value`)
	words := strings.Fields(code)
	if len(words) != 8 {
		t.Fatalf("the receipt shows %q", code)
	}
	if got := world.Eval[string](b, `document.activeElement.tagName`); got != "H1" {
		t.Errorf("the focus is on %s, want the receipt's title", got)
	}
	b.Click("#form-open button")
	b.Sees(ui.English.Receipt.KeepFirst)
	if got := world.Eval[string](b, `document.activeElement.id`); got != "code-kept" {
		t.Errorf("the focus is on %q, want the box to tick", got)
	}
	b.Stay()
	b.Do("try to leave", chromedp.Evaluate[chromedp.Void](`location.href = "/"`))
	asks(b, 1)
	if b.Asked() != 1 || !isThere(b, "#code-words") {
		t.Fatalf("leaving without the code: asked %d times, at %s; want once, and to stay", b.Asked(), b.Location())
	}

	world.Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	if !visible(b, "#code-words") || visible(b, "#code-actions") || visible(b, "#form-open") || visible(b, "nav") {
		t.Error("on paper there should be the code, and neither buttons nor navigation")
	}
	world.Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "screen"})

	history := world.Call(b, cdppage.GetNavigationHistory, cdp.Empty{})
	for _, e := range history.Entries {
		for _, word := range words {
			if strings.Contains(e.URL+" "+e.Title+" "+e.UserTypedURL, word) {
				t.Errorf("history holds %q of the code: %s %q", word, e.URL, e.Title)
			}
		}
	}
	if strings.Contains(w.Log.String(), strings.Join(words, " ")) || strings.Contains(w.Log.String(), strings.Join(words, "+")) {
		t.Error("the code is in the log")
	}
	if got := world.Eval[int](b, `localStorage.length + sessionStorage.length`); got != 0 {
		t.Errorf("%d things are stored in the browser", got)
	}

	b.Click("#code-kept")
	b.Open(w.GateURL + "/")
	if b.Asked() != 1 {
		t.Errorf("asked %d times, want no more once the code is kept", b.Asked())
	}
	b.Go("go back", chromedp.NavigateBack())
	if text := b.Text(); strings.Contains(text, words[0]) && strings.Contains(text, words[7]) {
		t.Errorf("back again, the page shows the code: %s", text)
	}
}

// TestFaultsAtOnce: everything wrong is said at once, on top and at its field,
// in the same words with script and without; nothing typed is lost, and six
// fields are seen before anything is unfolded.
func TestFaultsAtOnce(t *testing.T) {
	world.Need(t, "chromium")
	text, err := policy.Preset("demo")
	if err != nil {
		t.Fatal(err)
	}
	w := world.New(t, world.Config{Policy: strings.Replace(text, `asks = [`, `asks = ["threat-model", `, 1)})
	said := map[bool][]string{}
	for _, script := range []bool{true, false} {
		b := world.NewTab(t)
		b.Script(script)
		b.Open(w.GateURL + "/report")
		seen := world.Eval[int](b, `[...document.querySelectorAll('form[action="/report"] :is(input:not([type=hidden]), textarea, select)')].filter(e => e.checkVisibility()).length`)
		if seen != 6 {
			t.Errorf("script %v: %d fields are seen, want six", script, seen)
		}
		if !isThere(b, "#ask_threat-model") {
			t.Errorf("script %v: no question about the threat model, which this policy asks", script)
		}
		world.Eval[bool](b, `document.querySelector('form[action="/report"]').noValidate = true`)
		b.Type("#address", "nobody at all")
		b.Type("#own_key", "no key")
		b.Type("#impact", "Kept all the same.")
		b.Submit(form)
		said[script] = world.Eval[[]string](b, `[...document.querySelectorAll("#faults li a")].map(a => a.getAttribute("href") + ": " + a.textContent)`)
		if got := world.Eval[string](b, `document.querySelector("#impact").value`); got != "Kept all the same." {
			t.Errorf("script %v: the impact is %q, want it kept", script, got)
		}
		for _, field := range []string{"description", "address", "own_key"} {
			ok := world.Eval[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector("#%s"), p = document.getElementById("%s-fault");
				return e.checkVisibility() && e.getAttribute("aria-invalid") == "true" && e.getAttribute("aria-describedby").split(" ").includes(p.id) && p.compareDocumentPosition(e) == 4 })()`, field, field))
			if !ok {
				t.Errorf("script %v: the fault is not at %s", script, field)
			}
		}
		noSideways(b)
	}
	for i, fault := range said[false] {
		if len(said[true]) != len(said[false]) || !strings.HasPrefix(fault, "#own_key") && fault != said[true][i] {
			t.Errorf("with script %q, without %q; want the same", said[true], said[false])
			break
		}
	}
	if len(said[false]) != 3 {
		t.Errorf("without script the page names %d faults, want 3: %q", len(said[false]), said[false])
	}
}
