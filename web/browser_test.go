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
	for _, dark := range []bool{false, true} {
		for _, width := range []int64{1440, 390, 320} {
			if dark && width == 320 {
				continue
			}
			for _, p := range pages {
				if !strings.HasPrefix(p.name, *only) {
					continue
				}
				name := fmt.Sprintf("%s-%d-%s", p.name, width, map[bool]string{false: "light", true: "dark"}[dark])
				t.Run(name, func(t *testing.T) {
					look(t, tab, server.URL+"/page/"+p.name, name, string(source), width, dark)
				})
			}
		}
	}
}

func look(t *testing.T, tab context.Context, url, name, axe string, width int64, dark bool) {
	ctx, cancel := context.WithTimeout(tab, 30*time.Second)
	defer cancel()
	theme := map[bool]string{false: "light", true: "dark"}[dark]
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		t.Fatalf("choose the %s theme: %v", theme, err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
	if err != nil {
		t.Fatalf("measure %s: %v", url, err)
	}
	if wide > width {
		t.Errorf("%s is %d pixels wide in a window of %d", name, wide, width)
	}
	if width != 320 {
		found, err := chromedp.Run(ctx, chromedp.Evaluate[string](axe+`;axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations.map(v => ({id: v.id, nodes: v.nodes.map(n => n.target.join(' ') + ': ' + n.failureSummary)}))))`, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("axe on %s: %v", url, err)
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
	if *screens != "" {
		picture(t, ctx, name)
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
