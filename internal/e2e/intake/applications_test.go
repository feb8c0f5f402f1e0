package intake

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/policy"
	"postern/internal/postgres"
)

const vendor = "vendor@harbor.example"

// applications are all there are, open and decided, by number.
func (w *team) applications() map[int]*disclosure.Application {
	w.t.Helper()
	open, over, err := w.DB.Applications(w.t.Context(), w.Member("Ada"), 100)
	must(w.t, err)
	all := map[int]*disclosure.Application{}
	for _, a := range append(open, over...) {
		all[a.Number] = a
	}
	return all
}

func (w *team) applicationThread(n int) postgres.ApplicationThread {
	w.t.Helper()
	a, err := w.DB.Application(w.t.Context(), w.Member("Ada"), n)
	must(w.t, err)
	return a
}

// alerted is what members were told, "ada new-report".
func (w *team) alerted() (list []string) {
	w.t.Helper()
	rows, err := w.DB.Pool().Query(w.t.Context(), `SELECT m.login, a.kind, a.ref FROM alert a JOIN member m ON m.id = a.member ORDER BY a.made`)
	must(w.t, err)
	defer rows.Close()
	for rows.Next() {
		var login, kind, ref string
		must(w.t, rows.Scan(&login, &kind, &ref))
		list = append(list, login[:strings.IndexByte(login, '@')]+" "+kind+" "+ref)
	}
	return list
}

// TestD48SecurityNotificationRequest: the subject decides, in any case and
// encoding, plain or encrypted. It makes an application, which admins see at
// the desk, and no case: nothing is promised, overdue or counted. What was a
// report after all becomes an ordinary case from the time it came. Under a
// policy that takes no applications the same mail is a report.
func TestD48SecurityNotificationRequest(t *testing.T) {
	subjects := []string{"Security notification request", "SECURITY NOTIFICATION REQUEST", "Re: security Notification Request", "Fwd: AW: Re: Security  notification request",
		"=?utf-8?q?Security_notification_request?=", "=?utf-8?b?U2VjdXJpdHkgbm90aWZpY2F0aW9uIHJlcXVlc3Q=?=", "Security notification request: Harbor OS"}
	w := newTeam(t, world.Config{})
	began := w.DB.Now()
	for i, s := range subjects {
		from := fmt.Sprintf("vendor%d@harbor.example", i)
		if f := w.post(from, plain(from, s, "We ship Lantern to 40,000 machines.\n")); f.c != nil || !f.opened {
			t.Errorf("%q made case %v, opened %t; want no case", s, f.c, f.opened)
		}
	}
	alice := person(t, w.DB.Now(), "Alice", vendor)
	top := "Content-Type: multipart/mixed; boundary=\"=_e\"; hp=\"cipher\"\nSubject: Fwd: Security notification request\nFrom: " + vendor + "\n\n"
	protected := crlf(top + body("=_e", part("text/plain; charset=utf-8", "We ship Lantern.\n"), part("application/pgp-keys", string(alice.Certificate().Armored())),
		"Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"who.txt\"\n\nThree people read it.\n"))
	w.post(vendor, pgpMIME(vendor, "...", w.encrypt(protected, alice)))
	w.post("open@harbor.example", pgpMIME("open@harbor.example", subjects[0], w.encrypt(entity("We ship it, too.\n", "a.txt", "a"), nil)))

	all := w.applications()
	if want := len(subjects) + 2; len(all) != want || w.cases() != 0 {
		t.Fatalf("%d applications and %d cases, want %d and none", len(all), w.cases(), want)
	}
	for n, a := range all {
		th := w.applicationThread(n)
		if len(th.Messages) != 1 || !strings.Contains(th.Messages[0].Text, "We ship") || !strings.Contains(a.Applicant.Address, "@harbor.example") {
			t.Errorf("application %d of %q holds %+v", n, a.Applicant.Address, th.Messages)
		}
	}
	n := len(subjects) + 1 // the one with all of it encrypted
	enc := w.applicationThread(n)
	if p := enc.Protection; p.Encryption != disclosure.ToCurrentKey || p.Signature != disclosure.SignedUnknown || len(enc.Files) != 2 {
		t.Errorf("the encrypted application is %+v with files %+v; want its protection and its file", p, enc.Files)
	}
	for _, f := range enc.Files {
		if got := w.file(f); f.Label == "who.txt" && !strings.Contains(got, "Three people") {
			t.Errorf("its file holds %q", got)
		}
	}

	// Three days later nothing is due, and nobody was reminded.
	w.Advance(72 * time.Hour)
	w.Settle()
	for _, line := range w.alerted() {
		if !strings.HasPrefix(line, "ada new-application /applications/") {
			t.Errorf("told %q; want the admin alone, of applications alone", line)
		}
	}
	ada, tove := w.SignedIn("Ada"), w.SignedIn("Tove")
	list := ada.Get("/applications").OK().Has("vendor0@harbor.example", vendor, "encrypted")
	if bytes.Contains(list.Body, []byte("verdue")) {
		t.Errorf("something is overdue after three days: %s", list.Text())
	}
	ada.Get("/inbox").OK().Has(fmt.Sprintf("Applications (%d)", len(all)))
	if p := tove.Get("/inbox").OK(); strings.Contains(p.Text(), "harbor.example") || strings.Contains(p.Text(), "pplication") {
		t.Errorf("a triager's inbox speaks of applications: %s", p.Text())
	}
	if p := tove.Get("/applications"); p.Status != 404 {
		t.Errorf("a triager's /applications answers %d, want 404", p.Status)
	}
	page := ada.Get(fmt.Sprintf("/applications/%d", n)).OK().Has("We ship Lantern.", "who.txt", "Encrypted to our key", "our decision")
	if a := w.applicationThread(n); len(a.Clocks()) != 1 || !a.Clocks()[0].Due.After(began.Add(29*24*time.Hour)) {
		t.Errorf("its clocks are %+v; want the policy's 30 days", a.Clocks())
	}

	// Answered by mail, and the reply to that is part of it.
	page.Submit("form-answer", []world.Field{{Name: "text", Value: "Who reads mail to that address?"}}).OK()
	w.Advance(disclosure.TakeBack + time.Second)
	w.Settle()
	mails := w.to(vendor)
	if len(mails) != 2 { // the fixed one of the first day, and this
		t.Fatalf("%d mails to the applicant, want the receipt and the answer", len(mails))
	}
	if bytes.Contains(mails[1].Data, []byte("Who reads")) || !bytes.Contains(mails[0].Data, []byte("in advance has arrived")) {
		t.Errorf("the answer is not encrypted, or the receipt is another:\n%s\n%s", mails[0].Data, mails[1].Data)
	}
	must(t, w.try(vendor, replyTo(t, mails[1]), plain(vendor, "Re: your answer", "Our response team.\n")))
	w.Settle()
	if th := w.applicationThread(n); len(th.Messages) != 3 || th.Messages[2].State != disclosure.MessageIn || !th.Unread {
		t.Errorf("the reply made %d messages of application %d, want 3, unread", len(th.Messages), n)
	}
	if got := len(w.applications()); got != len(all) || w.cases() != 0 {
		t.Errorf("%d applications and %d cases after a reply, want no more", got, w.cases())
	}

	// A report after all: an ordinary case, from the time it came.
	p := ada.Get(fmt.Sprintf("/applications/%d", n)).OK().Submit("form-report", nil).OK()
	id := disclosure.CaseID(enc.ID)
	f := w.look(found{id: id})
	clocks := f.c.Clocks()
	if !strings.HasPrefix(p.URL.Path, "/cases/") || !f.c.Received.Equal(enc.Received) || len(clocks) == 0 || !clocks[0].Due.Equal(enc.Received.Add(48*time.Hour)) {
		t.Errorf("%s: the case came %s with clocks %+v; want %s and 48 hours from it", p.URL.Path, f.c.Received, clocks, enc.Received)
	}
	if len(f.thread) != 3 || len(f.c.Files) != 2 || f.c.State != disclosure.Received {
		t.Errorf("the case has %d messages, %d files, state %s", len(f.thread), len(f.c.Files), f.c.State)
	}
	tove.Get(p.URL.Path).OK().Has("We ship Lantern.", "Our response team.")
	w.Settle()
	told := strings.Join(w.alerted(), "\n")
	if !strings.Contains(told, "tove clock-breach /cases/") {
		t.Errorf("a case three days old breaks no promise; told:\n%s", told)
	}
	must(t, w.try(vendor, replyTo(t, mails[1]), plain(vendor, "Re: your answer", "And one more thing.\n")))
	w.Settle()
	if f = w.look(f); len(f.thread) != 4 || !strings.Contains(f.thread[3].Text, "one more thing") {
		t.Errorf("a reply by the old token made %d messages of the case, want 4", len(f.thread))
	}
	var original bytes.Buffer
	must(t, w.DB.Original(t.Context(), w.Member("Tove"), f.thread[0].Arrival, &original))
	if !bytes.Contains(original.Bytes(), []byte("BEGIN PGP MESSAGE")) {
		t.Error("the original did not come with it")
	}

	// Nobody is overlooked for ever: the promise of a decision is watched.
	w.Advance(31 * 24 * time.Hour)
	w.Settle()
	if told := strings.Join(w.alerted(), "\n"); !strings.Contains(told, "ada clock-breach /applications/1") || strings.Contains(told, "tove clock-breach /applications") {
		t.Errorf("after 34 days the admin was not told that an application is overdue, or others were:\n%s", told)
	}
}

// TestD48OtherMailIsReport: words that only begin alike, and any policy that
// takes no applications by mail.
func TestD48OtherMailIsReport(t *testing.T) {
	w := newTeam(t, world.Config{})
	for _, s := range []string{"A security notification request can be forged", "Security notification requests are not escaped", "Security notification request handler leaks memory"} {
		if f := w.post(vendor, plain(vendor, s, "Look.\n")); f.c == nil || len(f.c.Clocks()) == 0 {
			t.Errorf("%q: case %v; want an ordinary report with its clock", s, f.c)
		}
	}
	pyca, err := policy.Preset("pyca-cryptography")
	must(t, err)
	pyca = strings.Replace(pyca, "security@cryptography.example", address, 1)
	for name, toml := range map[string]string{"pyca": pyca, "small": smallPolicy} {
		w := newTeam(t, world.Config{Policy: toml})
		f := w.post(vendor, plain(vendor, "Security notification request", "We package it.\n"))
		if f.c == nil || f.c.State != disclosure.Received || len(f.c.Clocks()) == 0 || f.c.Attention != "" || len(w.applications()) != 0 {
			t.Errorf("%s: case %+v and %d applications; want an ordinary report", name, f.c, len(w.applications()))
		}
		if p := w.Visit(w.GateURL).Get("/notifications/request"); p.Status != 404 {
			t.Errorf("%s: /notifications/request answers %d, want 404", name, p.Status)
		}
	}
}

// TestApplicationOfHostileMail: whatever is wrong with it, it is kept.
func TestApplicationOfHostileMail(t *testing.T) {
	w := newTeam(t, world.Config{})
	stranger := person(t, w.DB.Now(), "Stranger", "s@elsewhere.example")
	w.post(vendor, pgpMIME(vendor, "Security notification request", w.encrypt([]byte("We ship it.\n"), nil, stranger.Certificate())))
	must(t, w.try("", address, crlf("Subject: Security notification request\n\nNo sender at all.\n")))
	w.Settle()
	all := w.applications()
	if len(all) != 2 || all[1].Attention == "" || all[1].Protection.Encryption != disclosure.Unopened {
		t.Fatalf("applications %+v; want both, the first one in need of attention", all)
	}
	ada := w.SignedIn("Ada")
	ada.Get("/applications/1").OK().Has("not opened")
	p := ada.Get(ada.Get("/applications/1").OK().Link("/applications/1/originals/"))
	if p.Status != 200 || !bytes.Contains(p.Body, []byte("BEGIN PGP MESSAGE")) {
		t.Errorf("its original answers %d", p.Status)
	}
	ada.Get("/applications/2").OK().Has("No sender at all.", "left no way to be answered")
}
