package world

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
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

	"postern/internal/postgres/embedded/pgtest"
)

// chromium is the one browser of a test binary.
var chromium struct {
	sync.Mutex
	ctx  context.Context
	stop []context.CancelFunc
}

// Main runs a test binary's tests, then stops the browser and the cluster:
//
//	func TestMain(m *testing.M) { os.Exit(world.Main(m)) }
func Main(m *testing.M) int {
	code := pgtest.Main(m)
	for i := len(chromium.stop) - 1; i >= 0; i-- {
		chromium.stop[i]()
	}
	return code
}

// Tab is a window of the browser with cookies of its own.
type Tab struct {
	T   testing.TB
	ctx context.Context

	asked   atomic.Int32
	answers chan bool // to the next questions; where it is empty the person leaves
}

// pageTime bounds one page.
const pageTime = 20 * time.Second

// NewTab opens one, 1280 by 900; it closes with the test.
func NewTab(t testing.TB) *Tab {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium not installed")
	}
	chromium.Lock()
	if chromium.ctx == nil {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("force-color-profile", "srgb"),
			chromedp.Flag("lang", "en"), chromedp.Flag("hide-scrollbars", true))
		alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, end := chromedp.NewContext(alloc)
		chromium.stop = append(chromium.stop, stop, end)
		if err := chromedp.Do(ctx); err != nil {
			chromium.Unlock()
			t.Fatalf("start Chromium: %v", err)
		}
		chromium.ctx = ctx
	}
	parent := chromium.ctx
	chromium.Unlock()
	ctx, end := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900)); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	b := &Tab{T: t, ctx: ctx, answers: make(chan bool, 8)}
	err = chromedp.Listen(ctx, func(ev any) {
		if _, ok := ev.(*cdppage.EventJavascriptDialogOpening); ok {
			go b.answer()
		}
	})
	if err != nil {
		t.Fatalf("listen to a tab: %v", err)
	}
	return b
}

// answer answers a question of the page, such as whether it may be left.
func (b *Tab) answer() {
	b.asked.Add(1)
	leave := true
	select {
	case leave = <-b.answers:
	default:
	}
	ctx, cancel := b.within()
	defer cancel()
	_, _ = chromedp.Call(ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: leave})
}

// Asked counts the questions so far; Stay answers the next one with no.
func (b *Tab) Asked() int { return int(b.asked.Load()) }

// Stay makes the person stay when the page asks the next time.
func (b *Tab) Stay() { b.answers <- false }

// Call runs a command of the browser's protocol.
func Call[P, R any](b *Tab, cmd cdp.Command[P, R], params P) R {
	b.T.Helper()
	ctx, cancel := b.within()
	defer cancel()
	r, err := chromedp.Call(ctx, cmd, params)
	if err != nil {
		b.T.Fatalf("%s: %v", cmd.Method, err)
	}
	return r
}

// Wait polls an expression until it holds, for a minute.
func (b *Tab) Wait(what, expression string) {
	b.T.Helper()
	for began := time.Now(); !Eval[bool](b, "Boolean("+expression+")"); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			b.T.Fatalf("waited a minute for %s on %s: %s", what, b.Location(), short(b.Text()))
		}
	}
}

// Click presses what is there, without waiting for another page.
func (b *Tab) Click(selector string) {
	b.T.Helper()
	b.Do("press "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Choose picks files in a file field.
func (b *Tab) Choose(selector string, files ...string) {
	b.T.Helper()
	b.Do("choose files", chromedp.SetUploadFiles(chromedp.CSS(selector), files))
}

func (b *Tab) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, pageTime)
}

// Do runs actions of chromedp.
func (b *Tab) Do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.T.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.T.Fatalf("%s: %v\non %s: %s", what, err, b.Location(), short(b.Text()))
	}
}

func short(s string) string { return s[:min(len(s), 2000)] }

// Size sets width and height of the view in pixels; theme is "light" or "dark".
func (b *Tab) Size(width, height int64, theme string) {
	b.T.Helper()
	b.Do("set the view", chromedp.EmulateViewport(width, height))
	ctx, cancel := b.within()
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	if err != nil {
		b.T.Fatalf("set the theme: %v", err)
	}
}

// Script switches scripts on or off for the pages to come.
func (b *Tab) Script(on bool) {
	b.T.Helper()
	ctx, cancel := b.within()
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.T.Fatalf("switch scripts: %v", err)
	}
}

// Open goes to an address and returns the status of the answer.
func (b *Tab) Open(address string) int {
	b.T.Helper()
	return b.Go("open "+address, chromedp.Navigate(address))
}

// Go runs steps that lead to another page, and waits for it.
func (b *Tab) Go(what string, steps ...chromedp.Action[chromedp.Void]) int {
	b.T.Helper()
	ctx, cancel := b.within()
	defer cancel()
	answer, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		b.T.Fatalf("%s: %v\non %s: %s", what, err, b.Location(), short(b.Text()))
	}
	if answer == nil {
		return 0
	}
	return int(answer.Status)
}

// Location is the page's address.
func (b *Tab) Location() string {
	ctx, cancel := b.within()
	defer cancel()
	at, _ := chromedp.Run(ctx, chromedp.Location())
	return at
}

// Text is all that can be read, folded away or not.
func (b *Tab) Text() string {
	ctx, cancel := b.within()
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.textContent.replace(/\s+/g, " ") : ""`))
	return text
}

// Eval runs an expression in the page.
func Eval[T any](b *Tab, expression string) T {
	b.T.Helper()
	ctx, cancel := b.within()
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.T.Fatalf("%s: %v\non %s", short(expression), err, b.Location())
	}
	return v
}

// Sees fails the test unless the page holds the words, now or within moments.
func (b *Tab) Sees(words ...string) {
	b.T.Helper()
	for _, w := range words {
		for began := time.Now(); !strings.Contains(b.Text(), w); time.Sleep(20 * time.Millisecond) {
			if time.Since(began) > 5*time.Second {
				b.T.Fatalf("%s: no %q in: %s", b.Location(), w, short(b.Text()))
			}
		}
	}
}

// Type fills a control in, as with the keyboard; what stood there goes.
func (b *Tab) Type(selector, text string) {
	b.T.Helper()
	b.Unfold(selector)
	Eval[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%s); if (e) e.value = ""; return !!e })()`, strconv.Quote(selector)))
	b.Do("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Unfold opens every <details> around an element.
func (b *Tab) Unfold(selector string) {
	b.T.Helper()
	Eval[bool](b, fmt.Sprintf(`(() => { for (let e = document.querySelector(%s); e; e = e.parentElement) if (e.tagName == "DETAILS") e.open = true; return true })()`, strconv.Quote(selector)))
}

// Submit presses the form's first button and waits for what follows: another
// page, or, where a script sends the form, its answer. The status is 0 where
// the script found it wrong and sent nothing.
func (b *Tab) Submit(form string) int {
	b.T.Helper()
	button := form + ` button[type="submit"]`
	b.Unfold(button)
	if Eval[bool](b, fmt.Sprintf(`(() => { const f = document.querySelector(%s); return Boolean(f && f.dataset.send !== undefined && f.noValidate) })()`, strconv.Quote(form))) {
		Eval[bool](b, fmt.Sprintf(`(() => { performance.clearResourceTimings(); document.querySelector(%s).dataset.sent = "yes"; return true })()`, strconv.Quote(form)))
		b.Click(button)
		b.Wait("an answer", `!document.querySelector("form[data-sent]") || document.querySelector("main > .faults") || !document.querySelector("form[data-sent] [type=submit]").hidden && document.getElementById("send-status").textContent`)
		return Eval[int](b, `performance.getEntriesByType("resource").filter(e => e.initiatorType == "xmlhttprequest").at(-1)?.responseStatus ?? 0`)
	}
	return b.Go("press "+button, chromedp.Click(chromedp.CSS(button)))
}

// Key presses keys anywhere on the page.
func (b *Tab) Key(keys string) {
	b.T.Helper()
	b.Do("press "+strconv.Quote(keys), chromedp.KeyEvent(keys))
}

// SignIn signs a member in at the desk.
func (b *Tab) SignIn(w *World, name string) {
	b.T.Helper()
	b.Open(w.DeskURL + "/sign-in")
	b.Type("#name", w.Login(name))
	b.Type("#password", w.Pass(name))
	b.Type("#code", w.Code(name))
	b.Submit("#form-sign-in")
	if at := b.Location(); strings.Contains(at, "/sign-in") {
		b.T.Fatalf("%s could not sign in: %s", name, short(b.Text()))
	}
}

// Visitor goes on with the tab's cookies, without the tab.
func (b *Tab) Visitor(w *World) *Visitor {
	b.T.Helper()
	ctx, cancel := b.within()
	defer cancel()
	got, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{w.DeskURL}})
	if err != nil {
		b.T.Fatalf("read the tab's cookies: %v", err)
	}
	v := w.Visit(w.DeskURL)
	at, err := url.Parse(w.DeskURL)
	if err != nil {
		b.T.Fatal(err)
	}
	var list []*http.Cookie
	for _, c := range got.Cookies {
		list = append(list, &http.Cookie{Name: c.Name, Value: c.Value, Path: c.Path})
	}
	v.Client.Jar.SetCookies(at, list)
	return v
}

// Screenshot writes the whole page as a PNG.
func (b *Tab) Screenshot(file string) {
	b.T.Helper()
	ctx, cancel := b.within()
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(file, png, 0o644)
	}
	if err != nil {
		b.T.Fatalf("picture %s: %v", file, err)
	}
}
