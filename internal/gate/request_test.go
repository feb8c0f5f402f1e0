package gate_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"postern/internal/disclosure"
)

// complete is an application with every item of the policy.
func complete() url.Values {
	return url.Values{"name": {"Vera Vendor"}, "organization": {"Harbor OS"}, "role": {"Security lead"}, "address": {"vera@harbor.example"},
		"group": {"Operating system vendor or distributor"}, "criterion": {"We ship it to 40,000 machines."}, "why": {"To build in time."},
		"list_address": {"security@harbor.example"}, "reviewers": {"Three people."}, "automated": {"Nothing."}}
}

// TestRequestNamesEachMissingItem: each of the items left out in turn, and all
// of them, is named, and the rest that was typed is still there.
func TestRequestNamesEachMissingItem(t *testing.T) {
	w := newWorld(t)
	post := func(f url.Values) (int, string) {
		a := w.post("/notifications/request", "application/x-www-form-urlencoded", f.Encode())
		return a.status, a.body
	}
	before := w.arrivals()
	for field := range complete() {
		f := complete()
		f.Del(field)
		code, body := post(f)
		if code != http.StatusUnprocessableEntity || !strings.Contains(body, `href="#`+field+`"`) {
			t.Errorf("without %s: %d, want 422 and a link to it", field, code)
		}
		if n := strings.Count(body, `<a href="#`); n != 1 {
			t.Errorf("without %s: %d faults, want that one", field, n)
		}
		if field != "why" && !strings.Contains(body, "To build in time.") {
			t.Errorf("without %s: what was typed is gone", field)
		}
	}
	if code, body := post(url.Values{}); code != http.StatusUnprocessableEntity || strings.Count(body, `<a href="#`) != 9 { // no role is asked of nobody
		t.Errorf("nothing at all: %d with %d faults, want 422 with nine", code, strings.Count(body, `<a href="#`))
	}
	one := complete()
	one.Del("organization")
	one.Del("role")
	one.Set("key_id", "0123 4567 89AB CDEF 0123 4567 89AB CDEF 0123 4567")
	one.Set("list_address", "not an address")
	if code, body := post(one); code != http.StatusUnprocessableEntity || !strings.Contains(body, `href="#list_address"`) || strings.Contains(body, `href="#organization"`) {
		t.Errorf("an individual with a key and a bad address: %d, want the address alone named", code)
	}
	secret := complete()
	secret.Set("key_id", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ==\n-----END PGP PRIVATE KEY BLOCK-----")
	if code, body := post(secret); code != http.StatusUnprocessableEntity || strings.Contains(body, "BEGIN PGP PRIVATE") {
		t.Errorf("a private key: %d, and it stands in the answer: %t", code, strings.Contains(body, "BEGIN PGP PRIVATE"))
	}
	if n := w.arrivals(); n != before {
		t.Errorf("%d arrivals were stored of forms that are not complete", n-before)
	}
	one.Set("list_address", "me@pack.example")
	last := ""
	for _, f := range []url.Values{complete(), one} {
		code, body := post(f)
		last = body
		if code != http.StatusCreated || !strings.Contains(body, "We have your application") {
			t.Errorf("complete: %d\n%s", code, body)
		}
	}
	w.OpenAll(t)
	code := regexp.MustCompile(`name="code" value="([^"]+)"`).FindStringSubmatch(last)
	if code == nil {
		t.Fatalf("the answer to a complete one holds no code:\n%s", last)
	}
	if a := w.form("/mailbox", "code", code[1]); !strings.Contains(a.body, "We have your application.") {
		t.Errorf("its mailbox answers %d and does not say how it stands:\n%s", a.status, a.body)
	}
	open, _, err := w.DB.Applications(t.Context(), w.Ada, 10)
	if err != nil || len(open) != 2 || open[0].Applicant.Name != "Vera Vendor" || open[0].Applicant.Mailbox == "" || open[0].State != disclosure.ApplicationReceived {
		t.Errorf("applications %+v, %v; want both, with their mailboxes", open, err)
	}
}

// TestRequestIsNowhere: without a policy that takes it there is no such page,
// and it looks like any other that is not there.
func TestRequestIsNowhere(t *testing.T) {
	w := newWorld(t, policyText(`apply = ["mail", "form"]`, `apply = ["mail"]`))
	if a := w.post("/notifications/request", "application/x-www-form-urlencoded", complete().Encode()); a.status != http.StatusNotFound {
		t.Errorf("POST where no form is taken: %d, want 404", a.status)
	}
	got, other := w.get("/notifications/request"), w.get("/notifications/nothing")
	if got.status != other.status || got.body != other.body {
		t.Errorf("GET differs from a page that never was: %d, %d\n%s\n%s", got.status, other.status, got.body, other.body)
	}
	if home := w.get("/").body; strings.Contains(home, "/notifications/request") {
		t.Error("the home page links to it")
	}
	if home := newWorld(t).get("/").body; !strings.Contains(home, "/notifications/request") {
		t.Error("the home page of a policy that takes the form does not link to it")
	}
}
