package gate_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// TestFieldTwice: of what came twice nothing is dropped with a receipt.
func TestFieldTwice(t *testing.T) {
	w := newWorld(t)
	for body, field := range map[string]string{
		`{"description":"first","description":"second"}`:                                    "description",
		`{"title":"a","description":"d","Title":"b"}`:                                       "Title",
		`{"description":"d","answers":{"threat":"a","threat":"b"}}`:                         "threat",
		`{"description":"d","files":[{"name":"a","data":"YQ==","data":"Yg=="}]}`:            "data",
		`{"description":"d","files":[{"name":"a","data":"YQ=="}],"files":[]}`:               "files",
		`{"description":"d","files":[{"name":"a","data":"YQ=="},{"name":"a","data":"Yg"}]}`: "files",
	} {
		got := w.post("/api/v1/reports", "application/json", body)
		p := got.problem(t)
		if got.status != http.StatusUnprocessableEntity || len(p.Errors) == 0 || p.Errors[0].Field != field {
			t.Errorf("POST %s = %d %+v, want 422 at %q", body, got.status, p.Errors, field)
		}
	}
	plain := w.post("/report", "application/x-www-form-urlencoded", "description=first+words&description=second+words&versions=1&versions=1&impact=&impact=x")
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, text := range []string{"first words", "second words"} {
		_ = m.WriteField("description", text)
	}
	_ = m.Close()
	for how, got := range map[string]answer{"fields": plain, "multipart": w.post("/report", m.FormDataContentType(), b.String())} {
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "This came twice") ||
			!strings.Contains(got.body, "first words") || !strings.Contains(got.body, "second words") {
			t.Errorf("a field twice as %s = %d, want 422 with both texts:\n%.600s", how, got.status, got.body)
		}
	}
	if n := w.arrivals(); n != 0 {
		t.Errorf("%d arrivals, want none", n)
	}
	if got := w.post("/api/v1/reports", "application/json", `{"description":"d","files":[{"name":"a","data":"YQ=="},{"name":"b","data":"Yg=="}]}`); got.status != http.StatusCreated {
		t.Errorf("the same members in two objects = %d, want 201", got.status)
	}
}

// TestManyFiles: more files than are taken at once give a sentence, and the
// text back.
func TestManyFiles(t *testing.T) {
	w := newWorld(t)
	send := func(n int) answer {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		_ = m.WriteField("description", "with many files")
		for i := range n {
			f, err := m.CreateFormFile("files", fmt.Sprintf("%d.txt", i))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = f.Write([]byte("x"))
		}
		_ = m.WriteField("name", "Robin behind them")
		_ = m.Close()
		return w.post("/report", m.FormDataContentType(), b.String())
	}
	got := send(3000)
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "At most 150 files at once") ||
		!strings.Contains(got.body, "with many files") || !strings.Contains(got.body, "Robin behind them") {
		t.Errorf("3,000 files = %d:\n%.600s", got.status, got.body)
	}
	if got := send(150); got.status != http.StatusCreated {
		t.Errorf("150 files = %d, want 201", got.status)
	}
}

// TestUnknownAPI: a program that got address or method wrong reads no page.
func TestUnknownAPI(t *testing.T) {
	w := newWorld(t)
	for _, ask := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/api/v2/reports", http.StatusNotFound}, {http.MethodPost, "/api/v1/report", http.StatusNotFound},
		{http.MethodPut, "/api/v1/reports", http.StatusMethodNotAllowed}, {http.MethodDelete, "/report", http.StatusMethodNotAllowed},
	} {
		r, err := http.NewRequest(ask.method, w.server.URL+ask.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%s %s: %v", ask.method, ask.path, err)
		}
		_ = got.Body.Close()
		allow := strings.Join(got.Header.Values("Allow"), ",")
		switch {
		case got.StatusCode != ask.status:
			t.Errorf("%s %s = %d, want %d", ask.method, ask.path, got.StatusCode, ask.status)
		case ask.status == http.StatusNotFound && got.Header.Get("Content-Type") != "application/problem+json":
			t.Errorf("%s %s = %s, want a problem document", ask.method, ask.path, got.Header.Get("Content-Type"))
		case ask.status != http.StatusNotFound && !strings.Contains(allow, "POST"):
			t.Errorf("%s %s allows %q, want POST among it", ask.method, ask.path, allow)
		}
	}
}

// TestAddressSays: the form says what mail an address gets, and is right.
func TestAddressSays(t *testing.T) {
	for mode, want := range map[string]string{"safe": "at most once a day", "never": "We send no mail unencrypted"} {
		w := newWorld(t, policyText(`clear_mail = "safe"`, `clear_mail = "`+mode+`"`))
		if got := w.get("/report"); !strings.Contains(got.body, want) {
			t.Errorf("the form under %q does not say %q", mode, want)
		}
	}
}
