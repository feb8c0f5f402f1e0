package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestNamesAndFieldsAreText: a path or query that is no text names nothing, and
// the fields of a member's form are text a database keeps.
func TestNamesAndFieldsAreText(t *testing.T) {
	s := New(Config{Name: "desk", Cookies: true})
	echo := func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(w, r.PostFormValue("text"))
		return err
	}
	s.Page("/things/{id}", echo)
	s.Form("/things/{id}", 0, echo)
	post := func(path, body, site string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", site)
		return r
	}
	for name, c := range map[string]struct {
		r      *http.Request
		status int
		body   string
	}{
		"NUL in a path":       {httptest.NewRequest(http.MethodGet, "/things/%00", nil), 404, ""},
		"no UTF-8 in a path":  {httptest.NewRequest(http.MethodGet, "/things/zz%ff", nil), 404, ""},
		"NUL in a query":      {httptest.NewRequest(http.MethodGet, "/things/1?state=%00", nil), 404, ""},
		"broken query":        {httptest.NewRequest(http.MethodGet, "/things/1?state=%zz", nil), 404, ""},
		"a plain page":        {httptest.NewRequest(http.MethodGet, "/things/1?state=a+b", nil), 200, ""},
		"NUL in a field":      {post("/things/1", "text=a%00b%ffc", "same-origin"), 200, "a\uFFFDb\uFFFDc"},
		"a field that is cut": {post("/things/1", "text=a%0", "same-origin"), 400, ""},
		"another site":        {post("/things/1", "text=a", "cross-site"), 403, ""},
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, c.r)
		if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, w.Body, c.status, c.body)
		}
	}
}

// TestFormsOfOtherSites: a door that knows nobody still refuses a form that a
// browser says another site sent, and asks nothing of programs.
func TestFormsOfOtherSites(t *testing.T) {
	s := New(Config{Name: "gate"})
	s.Form("/report", 0, func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(201); return nil })
	for site, want := range map[string]int{"": 201, "same-origin": 201, "none": 201, "cross-site": 403} {
		r := httptest.NewRequest(http.MethodPost, "/report", nil)
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Sec-Fetch-Site %q: %d, want %d", site, w.Code, want)
		}
	}
}
