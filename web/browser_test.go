package web_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"postern/web"
)

var (
	screens = flag.String("screens", "", "write a picture of every page, width and theme into this folder")
	only    = flag.String("only", "", "of -screens and axe: only pages whose name has this prefix")
)

// policy as strict as the doors' own: what a page needs beyond it is refused.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func serve(t *testing.T, pages []page) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	for _, p := range pages {
		body := render(t, p)
		mux.HandleFunc("GET /page/"+p.name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", csp)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write(body)
		})
	}
	mux.Handle("GET "+web.Prefix, http.StripPrefix(web.Prefix, http.FileServerFS(web.Files())))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium not installed")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir()))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // starts it; later deadlines are a page's
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// TestAxe asks axe-core about every page, light and dark, wide and narrow, and
// sees that nothing is wider than the window and the policy refuses nothing.
func TestAxe(t *testing.T) {
	source, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("axe-core not installed")
	}
	if testing.Short() {
		t.Skip("short")
	}
	pages := allPages()
	server := serve(t, pages)
	tab := browser(t)
	for _, p := range pages {
		if strings.HasPrefix(p.name, *only) {
			t.Run(p.name, func(t *testing.T) { look(t, tab, server.URL+"/page/"+p.name, p.name, string(source)) })
		}
	}
}

// looks are the windows and themes every page is seen in. The first asks all
// of axe's rules; the others those that depend on width and colors.
var looks = []struct {
	width int64
	dark  bool
	rules string
}{
	{1440, false, ""},
	{1440, true, "color-contrast"},
	{390, true, "color-contrast"},
	{390, false, "color-contrast,target-size,scrollable-region-focusable,link-in-text-block"},
	{320, false, "none"},
}

func look(t *testing.T, tab context.Context, url, page, axe string) {
	ctx, cancel := context.WithTimeout(tab, 60*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](axe+`;true`)); err != nil {
		t.Fatalf("bring axe to %s: %v", url, err)
	}
	for _, l := range looks {
		theme := map[bool]string{false: "light", true: "dark"}[l.dark]
		name := fmt.Sprintf("%s-%d-%s", page, l.width, theme)
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
			t.Fatalf("choose the %s theme: %v", theme, err)
		}
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(l.width, 900)); err != nil {
			t.Fatalf("make the window %d wide: %v", l.width, err)
		}
		wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
		if err != nil {
			t.Fatalf("measure %s: %v", url, err)
		}
		if wide > l.width {
			t.Errorf("%s is %d pixels wide in a window of %d", name, wide, l.width)
		}
		ask(t, ctx, name, l.rules)
		if *screens != "" {
			picture(t, ctx, name)
		}
	}
}

// ask runs axe on the page as it stands; rules is a list, empty for all.
func ask(t *testing.T, ctx context.Context, name, rules string) {
	t.Helper()
	if rules == "none" {
		return
	}
	only := ""
	if rules != "" {
		only = `, runOnly: {type: 'rule', values: '` + rules + `'.split(',')}`
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ['violations']`+only+
		`}).then(r => JSON.stringify(r.violations.map(v => ({id: v.id, nodes: v.nodes.map(n => n.target.join(' ') + ': ' + n.failureSummary)}))))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("axe on %s: %v", name, err)
	}
	var violations []struct {
		ID    string
		Nodes []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		t.Fatalf("axe answered %q: %v", found, err)
	}
	for _, v := range violations {
		t.Errorf("axe on %s: %s\n\t%s", name, v.ID, strings.Join(v.Nodes, "\n\t"))
	}
}

func picture(t *testing.T, ctx context.Context, name string) {
	b, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatalf("picture of %s: %v", name, err)
	}
	if err := os.MkdirAll(*screens, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screens, name+".png"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}
