package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/chromedp/chromedp"

	"postern/web"
	"postern/web/public"
	"postern/web/ui"
)

// reportDoor serves the report form, the key, and takes what is posted.
func reportDoor(t *testing.T, shown string, served []byte, library bool) (*httptest.Server, chan map[string]string) {
	t.Helper()
	view := public.ReportView{Gate: gate(ui.NavReport), Key: public.Key{Fingerprint: shown}, MaxBytes: 25 << 20, Idempotency: "k1", Browser: library}
	body := render(t, page{"report", public.Report(view)})
	posted := make(chan map[string]string, 4)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", csp)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(body)
	})
	mux.HandleFunc("GET /key.asc", func(w http.ResponseWriter, r *http.Request) { w.Write(served) })
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			t.Errorf("posted form: %v", err)
		}
		got := map[string]string{"files": fmt.Sprint(len(r.MultipartForm.File["files"]))}
		for name, values := range r.MultipartForm.Value {
			got[name] = values[0]
		}
		if list := r.MultipartForm.File["armored"]; len(list) == 1 {
			f, err := list[0].Open()
			if err != nil {
				t.Errorf("posted message: %v", err)
				return
			}
			defer f.Close()
			b, err := io.ReadAll(f)
			if err != nil {
				t.Errorf("posted message: %v", err)
			}
			got["armored"] = string(b)
		}
		posted <- got
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>ok</title><main><h1 id="done">ok</h1></main>`)
	})
	mux.Handle("GET "+web.Prefix, http.StripPrefix(web.Prefix, http.FileServerFS(web.Files())))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s, posted
}

func teamKey(t *testing.T) (*openpgp.Entity, []byte) {
	t.Helper()
	key, err := openpgp.NewEntity("Lantern", "", "security@lantern.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Serialize(w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return key, b.Bytes()
}

func decrypt(t *testing.T, key *openpgp.Entity, armored string) string {
	t.Helper()
	block, err := armor.Decode(strings.NewReader(armored))
	if err != nil {
		t.Fatalf("armor of what was posted: %v", err)
	}
	message, err := openpgp.ReadMessage(block.Body, openpgp.EntityList{key}, nil, nil)
	if err != nil {
		t.Fatalf("open what was posted: %v", err)
	}
	text, err := io.ReadAll(message.UnverifiedBody)
	if err != nil {
		t.Fatalf("read what was posted: %v", err)
	}
	return string(text)
}

// TestEncryptInBrowser types a report with a file in a real browser under the
// doors' policy; what arrives holds nothing but one message to the team's key.
func TestEncryptInBrowser(t *testing.T) {
	if !web.HasVendor() {
		t.Skip("openpgp not installed")
	}
	key, public := teamKey(t)
	server, posted := reportDoor(t, fmt.Sprintf("%x", key.PrimaryKey.Fingerprint), public, true)
	tab, cancel := context.WithTimeout(browser(t), 60*time.Second)
	defer cancel()
	file := filepath.Join(t.TempDir(), "canary-naïve.py")
	if err := os.WriteFile(file, []byte("print('canary file')\x00\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := chromedp.Do(tab,
		chromedp.Navigate(server.URL+"/report"),
		chromedp.SendKeys(chromedp.CSS("#description"), "canary text"),
		chromedp.SendKeys(chromedp.CSS("#versions"), "4.2.9"),
		chromedp.SendKeys(chromedp.CSS("#address"), "ana@beacon.example"),
		chromedp.SetUploadFiles(chromedp.CSS("#files"), []string{file}),
		chromedp.WaitVisible(chromedp.CSS("#protected-browser")),
		chromedp.Click(chromedp.CSS("#form-report button[type=submit]")),
		chromedp.WaitVisible(chromedp.CSS("#done")),
	)
	if err != nil {
		t.Fatalf("fill the form: %v", err)
	}
	got := <-posted
	for name, value := range got {
		if name != "armored" && strings.Contains(value, "canary") {
			t.Errorf("field %s was posted in clear: %q", name, value)
		}
	}
	if got["key"] != "k1" || got["files"] != "0" {
		t.Errorf("posted key %q with %s files, want k1 and none", got["key"], got["files"])
	}
	text := decrypt(t, key, got["armored"])
	for _, want := range []string{"From:  <ana@beacon.example>\r\n", "canary text\r\n", "Where is it?\r\n\r\n4.2.9", "filename*=UTF-8''canary-na%C3%AFve.py", "print('canary file')\x00\xff\r\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("message %q\nlacks %q", text, want)
		}
	}
}

// TestBrowserClaims: where the key is another one nothing is sent; where the
// library is absent the form is sent as it stands, and never claims more.
func TestBrowserClaims(t *testing.T) {
	if !web.HasVendor() {
		t.Skip("openpgp not installed")
	}
	_, other := teamKey(t)
	tab, cancel := context.WithTimeout(browser(t), 60*time.Second)
	defer cancel()
	submit := func(url string) error {
		return chromedp.Do(tab,
			chromedp.Navigate(url+"/report"),
			chromedp.SendKeys(chromedp.CSS("#description"), "canary text"),
			chromedp.Click(chromedp.CSS("#form-report button[type=submit]")),
		)
	}

	server, posted := reportDoor(t, print1, other, true)
	if err := submit(server.URL); err != nil {
		t.Fatal(err)
	}
	if err := waitFor(tab, `document.querySelector('#send-status').textContent.includes('fingerprint')`); err != nil {
		t.Fatalf("no word of the other key: %v", err)
	}
	select {
	case got := <-posted:
		t.Errorf("sent %q though the key is another one", got)
	default:
	}

	if err := waitFor(tab, `(document.querySelector('#description').value = '', true)`); err != nil { // else the page asks before it is left
		t.Fatal(err)
	}
	plain, sent := reportDoor(t, print1, other, false)
	if err := submit(plain.URL); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab, chromedp.WaitVisible(chromedp.CSS("#done"))); err != nil {
		t.Fatalf("without the library: %v", err)
	}
	if got := <-sent; got["description"] != "canary text" || got["armored"] != "" {
		t.Errorf("without the library %q was sent, want the description as typed", got)
	}
}

// waitFor polls until the expression holds or the tab's time is up.
func waitFor(tab context.Context, expression string) error {
	_, err := chromedp.Run(tab, chromedp.Poll[bool](expression))
	return err
}
