package gate_test

import (
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"postern/internal/disclosure"
	"postern/internal/gate"
)

// TestRefusedKeyIsNotShown: what a private key came with is read by nobody, and
// the team is told that one came.
func TestRefusedKeyIsNotShown(t *testing.T) {
	w := newWorld(t)
	once := w.opens()
	armored := string(mustStranger(t).Bytes())
	if !strings.Contains(armored, "PRIVATE KEY") {
		armored = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlYYEZ\n-----END PGP PRIVATE KEY BLOCK-----\n"
	}
	if a := w.form("/report", "description", "Look at this\n"+armored, "name", "Kim"); a.status != http.StatusUnprocessableEntity {
		t.Fatalf("a report with a private key: %d, want 422", a.status)
	}
	once()
	c := w.theCase()
	if !strings.Contains(c.Attention, "private key") || len(c.Files) != 0 {
		t.Errorf("the case has attention %q and %d files, want a word about the key and none", c.Attention, len(c.Files))
	}
	thread, err := w.DB.Thread(t.Context(), w.Ada, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range thread {
		if m.Text != "" {
			t.Errorf("the thread shows %.60q", m.Text)
		}
	}
}

// TestBoundedFields: a typed field has its limit however the form is encoded,
// and a page gives back only so much of what is typed into a mailbox.
func TestBoundedFields(t *testing.T) {
	w := newWorld(t)
	code := w.post("/api/v1/reports", "text/plain", "The lantern leaks oil.").receipt(t).Code
	long := strings.Repeat("<&>' ", 800<<10/5)
	a := w.form("/mailbox", "code", code, "do", "add", "text", long)
	if a.status != http.StatusRequestEntityTooLarge || len(a.body) > 1<<20 || !strings.Contains(a.body, "Cut here") {
		t.Errorf("800 KiB into a mailbox: %d with %d bytes, want 413 and a cut text", a.status, len(a.body))
	}
	a = w.form("/report", "description", strings.Repeat("x", 1<<20+1))
	if a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a description beyond a megabyte: %d, want 413", a.status)
	}
	whole := strings.Repeat("It leaks. ", 90_000)
	a = w.form("/report", "description", whole, "address", "nobody")
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, strings.TrimSpace(whole)) {
		t.Errorf("a long description with a wrong address: %d with %d bytes, want 422 and all of it back", a.status, len(a.body))
	}
}

// slowly is a body that begins and then waits.
type slowly struct {
	begun chan struct{}
	wait  <-chan struct{}
	first io.Reader
}

func (s *slowly) Read(p []byte) (int, error) {
	if n, err := s.first.Read(p); err == nil {
		return n, nil
	}
	select {
	case <-s.begun:
	default:
		close(s.begun)
	}
	<-s.wait
	return 0, io.EOF
}

// TestOneAddressLeavesRoom: whoever holds all places of an address is told so
// with the text kept, and mail goes on coming in.
func TestOneAddressLeavesRoom(t *testing.T) {
	w := newWorld(t, limits(gate.Limits{Reports: 100, Lookups: 100, Uploads: 1, Each: 1}))
	done := make(chan struct{})
	body := &slowly{begun: make(chan struct{}), wait: done, first: strings.NewReader(strings.Repeat("x", 100<<10))}
	held := make(chan error, 1)
	go func() {
		resp, err := http.Post(w.server.URL+"/api/v1/reports", "text/plain", body)
		if err == nil {
			resp.Body.Close()
		}
		held <- err
	}()
	<-body.begun
	a := w.form("/report", "description", "The wick is wet.")
	for n := 0; a.status == http.StatusCreated && n < 20; n++ { // the other was not read yet
		a = w.form("/report", "description", "The wick is wet.")
	}
	if a.status != http.StatusTooManyRequests || !strings.Contains(a.body, "The wick is wet.") {
		t.Errorf("a report without a place: %d, want 429 with its text", a.status)
	}
	mail := "From: r@elsewhere.example\r\nSubject: x\r\n\r\n" + strings.Repeat("y", 2000) + "\r\n"
	err := w.gate.Receive(context.Background(), disclosure.ByMail, disclosure.Envelope{From: "r@elsewhere.example", To: []string{"security@lantern.example"}}, strings.NewReader(mail))
	if err != nil {
		t.Errorf("a mail meanwhile: %v", err)
	}
	close(done)
	if err := <-held; err != nil {
		t.Errorf("the one that held the place: %v", err)
	}
	if a := w.form("/report", "description", "The wick is wet."); a.status != http.StatusCreated {
		t.Errorf("afterwards: %d, want 201", a.status)
	}
}

// TestArmoredIntoMailbox: what the page encrypted in the browser is added, text
// and files in one message, as the page sends it: without the text field.
func TestArmoredIntoMailbox(t *testing.T) {
	w := newWorld(t)
	once := w.opens()
	code := w.post("/api/v1/reports", "text/plain", "The lantern leaks oil.").receipt(t).Code
	once()
	send := func(armored string) answer {
		t.Helper()
		var b strings.Builder
		form := multipart.NewWriter(&b)
		for _, f := range [][2]string{{"code", code}, {"do", "add"}, {"key", strings.Repeat("k", 40)}, {"armored", armored}} {
			if err := form.WriteField(f[0], f[1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		return w.post("/mailbox", form.FormDataContentType(), b.String())
	}
	armored := encrypt(t, w.team.Certificate(), "It also leaks at night. "+strings.Repeat("Drip. ", 60_000))
	if a := send(armored[:len(armored)/2]); a.status != http.StatusUnprocessableEntity {
		t.Errorf("half a message: %d, want 422", a.status)
	}
	if a := send(encrypt(t, mustStranger(t).Certificate(), "x")); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a message to somebody else: %d, want 422", a.status)
	}
	before := w.arrivals()
	if a := send(armored); a.status != http.StatusOK || w.arrivals() != before+1 {
		t.Fatalf("an encrypted addition: %d, %d more arrivals; want 200 and one", a.status, w.arrivals()-before)
	}
	once()
	thread, err := w.DB.Thread(t.Context(), w.Ada, w.theCase().ID)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, m := range thread {
		found = found || strings.Contains(m.Text, "It also leaks at night.")
	}
	if !found {
		t.Error("the thread does not show what was added")
	}
}
