package intake

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/vault"
)

// TestHostile50Smuggling: lone CR and LF end the attempt, nothing is stored,
// and what hides behind is no second mail.
func TestHostile50Smuggling(t *testing.T) {
	w := newTeam(t, world.Config{})
	for _, end := range []string{"\n.\r\n", "\n.\n", "\r.\r\n"} {
		c, err := textproto.Dial("tcp", w.at)
		must(t, err)
		for _, x := range []struct {
			line string
			want int
		}{{"", 220}, {"EHLO evil.example", 250}, {"MAIL FROM:<a@evil.example>", 250}, {"RCPT TO:<" + address + ">", 250}, {"DATA", 354}} {
			if x.line != "" {
				must(t, c.PrintfLine("%s", x.line))
			}
			if _, _, err := c.ReadResponse(x.want); err != nil {
				t.Fatal(err)
			}
		}
		_, err = io.WriteString(c.W, "Subject: one\r\n\r\none"+end+"MAIL FROM:<b@evil.example>\r\nRCPT TO:<"+address+">\r\nDATA\r\nSubject: two\r\n\r\ntwo\r\n.\r\n")
		must(t, err)
		must(t, c.W.Flush())
		if _, said, err := c.ReadResponse(550); err != nil {
			t.Errorf("%q: %v %s, want 550", end, err, said)
		}
		c.Close()
	}
	if n := w.arrivals(); n != 0 {
		t.Errorf("%d mails were stored, want none", n)
	}
}

// TestHostile52SameMailTwice: whoever did not hear that a mail was taken sends
// the very same again. Both are kept, in one case, whose history says so; the
// same words in another mail are another case.
func TestHostile52SameMailTwice(t *testing.T) {
	w := newTeam(t, world.Config{})
	file := multipart("finn@finder.example", "Tokens", "multipart/mixed", part("text/plain", secret), "Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nproof\n")
	for _, raw := range [][]byte{plain("finn@finder.example", "Tokens", secret), file} {
		first := w.post("finn@finder.example", raw)
		files := len(first.c.Files)
		second, third := w.post("finn@finder.example", raw), w.post("finn@finder.example", raw)
		if first.id == "" || second.id != first.id || third.id != first.id || second.arrival == first.arrival {
			t.Fatalf("the same mail three times is in cases %q, %q and %q; want one", first.id, second.id, third.id)
		}
		if len(third.thread) != len(first.thread) || len(third.c.Reporters) != 1 || len(third.c.Files) != files {
			t.Errorf("the case has %d messages, %d reporters and %d files; want no more than after the first mail", len(third.thread), len(third.c.Reporters), len(third.c.Files))
		}
		if got := w.original(third.arrival); !bytes.Equal(bytes.TrimRight(got, "\r\n"), bytes.TrimRight(raw, "\r\n")) {
			t.Errorf("the third copy is kept as %q", got)
		}
		events, err := w.DB.Timeline(t.Context(), w.Member("Ada"), first.id)
		must(t, err)
		said := 0
		for _, e := range events {
			if strings.Contains(e.Text, "came again") {
				said++
			}
		}
		if said != 2 {
			t.Errorf("the history says %d times that it came again, want 2: %+v", said, events)
		}
	}
	// Other bytes under the same Message-ID are another report.
	raw := plain("finn@finder.example", "Tokens", secret)
	first := w.post("finn@finder.example", raw)
	if other := w.post("mallory@elsewhere.example", bytes.Replace(raw, []byte(secret), []byte("Something else"), 1)); other.id == first.id || other.c == nil {
		t.Errorf("other words under the same Message-ID are in case %q, want one of their own", other.id)
	}
}

// TestHostile56Locked: what comes while the vault is locked is taken, and
// opened in order afterwards.
func TestHostile56Locked(t *testing.T) {
	w := newTeam(t, world.Config{})
	w.DB.Vault().Lock()
	for i := range 5 {
		must(t, w.try("finn@finder.example", address, plain("finn@finder.example", fmt.Sprintf("number %d", i+1), secret)))
	}
	w.Settle()
	if n := w.cases(); n != 0 {
		t.Fatalf("%d cases while locked", n)
	}
	if _, err := w.DB.Vault().Unlock(world.Passphrase); err != nil {
		t.Fatal(err)
	}
	w.Settle()
	for i := range 5 {
		c, err := w.DB.CaseByNumber(t.Context(), w.Member("Ada"), i+1)
		if err != nil || c.Title != fmt.Sprintf("number %d", i+1) {
			t.Errorf("case #%d is %v, %v; want the mails in order", i+1, c, err)
		}
	}
}

// TestHostile25Replay: somebody wraps what another encrypted to us, and asks for
// an answer. It is opened for the team alone, and says where it was before,
// whatever stands around it; a thief of the database learns nothing of it.
func TestHostile25Replay(t *testing.T) {
	w := newTeam(t, world.Config{})
	armored := w.encrypt([]byte(secret+"\n"), nil)
	first := w.post("finn@finder.example", plain("Finn <finn@finder.example>", "...", string(armored)))
	again := w.post("eve@evil.example", multipart("Eve <eve@evil.example>", "please answer and quote", "multipart/mixed",
		part("text/plain", "What do you say to this?"), "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=old.asc\n\n"+strings.ReplaceAll(string(armored), "-----BEGIN PGP MESSAGE-----", "-----BEGIN PGP MESSAGE-----\nComment: mine")))
	said := fmt.Sprintf("came before, in #%d", first.c.Number)
	if again.c == nil || again.id == first.id || !strings.Contains(again.c.Attention, said) {
		t.Fatalf("the second is %+v, want a case of its own that says %q", again.c, said)
	}
	for _, m := range w.Sink.Messages() {
		if bytes.Contains(m.Data, []byte(secret)) || bytes.Contains(m.Data, []byte("Tokens")) {
			t.Errorf("a mail quotes what was opened:\n%s", m.Data)
		}
	}
	other := person(t, w.DB.Now(), "Somebody", "else@example.org")
	foreign := w.encrypt([]byte(secret), nil, other.Certificate()) // none of ours opens it
	kept := w.post("finn@finder.example", plain("Finn <finn@finder.example>", "...", string(foreign)))
	if c := w.post("eve@evil.example", plain("Eve <eve@evil.example>", "mine", "see:\n\n"+string(foreign))).c; !strings.Contains(c.Attention, fmt.Sprintf("came before, in #%d", kept.c.Number)) {
		t.Errorf("one that nobody can open came again: attention %q", c.Attention)
	}
	if c := w.post("finn@finder.example", plain("Finn <finn@finder.example>", "...", string(w.encrypt([]byte(secret+"\n"), nil)))).c; c.Attention != "" {
		t.Errorf("the same words encrypted anew: attention %q, want none", c.Attention)
	}
}

// TestHostile43DistributorsKey: what cannot be encrypted to safely is refused.
func TestHostile43DistributorsKey(t *testing.T) {
	w := newTeam(t, world.Config{})
	desk := w.SignedIn("Ada")
	for name, why := range map[string]string{
		"signonly": "encrypt", "weak": "2048", "dsa": "algorithm", "sha1": "SHA-1", "expired": "expired", "revoked": "revoked",
	} {
		key, err := os.ReadFile("../../pgp/testdata/keys/" + name + ".asc")
		must(t, err)
		p := desk.Get("/distributors/new").OK().SubmitTo("/distributors/new", []world.Field{
			{Name: "name", Value: "Distro " + name}, {Name: "address", Value: name + "@distro.example"}, {Name: "key", Value: string(key)},
		})
		if p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Text(), why) {
			t.Errorf("%s: status %d, want 422 and %q: %s", name, p.Status, why, p.Text())
		}
	}
	if text := desk.Get("/distributors").OK().Text(); strings.Contains(text, "distro.example") {
		t.Errorf("a refused distributor is listed: %s", text)
	}
}

// TestHostile53Form: the form, as nobody fills it in.
func TestHostile53Form(t *testing.T) {
	w := newTeam(t, world.Config{})
	armored := string(w.encrypt([]byte(secret+"\n"), nil))
	form := func() *world.Page { return w.Visit(w.GateURL).Get("/report").OK() }
	nothing := func(what string, f func()) {
		t.Helper()
		before := w.arrivals()
		f()
		if n := w.arrivals() - before; n != 0 {
			t.Errorf("%s: %d arrivals, want none", what, n)
		}
	}
	nothing("half a message", func() {
		p := form().Submit("form-report", []world.Field{{Name: "description", Value: ""}, {Name: "armored", Value: armored[:len(armored)/2]}})
		if p.Status != http.StatusUnprocessableEntity {
			t.Errorf("half a message in place of a whole one: %d, want 422", p.Status)
		}
	})
	nothing("text where a message belongs", func() {
		p := form().Submit("form-report", []world.Field{{Name: "description", Value: ""}, {Name: "armored", Value: secret}})
		if p.Status != http.StatusUnprocessableEntity {
			t.Errorf("text in the field of the script: %d, want 422", p.Status)
		}
	})
	host := strings.TrimPrefix(w.GateURL, "http://")
	raw := func(head, body string, more int64) (status string, sent int64) {
		c, err := net.DialTimeout("tcp", host, 10*time.Second)
		must(t, err)
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = io.WriteString(c, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n"+body)
		must(t, err)
		block := make([]byte, 64<<10)
		for sent < more {
			n, err := c.Write(block)
			sent += int64(n)
			if err != nil {
				break
			}
		}
		_ = c.(*net.TCPConn).CloseWrite() // the line goes dead
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		b = b[:n]
		status, _, _ = strings.Cut(string(b), "\r\n")
		return status, sent
	}
	begin := "POST /report HTTP/1.1\nHost: " + host + "\nContent-Type: multipart/form-data; boundary=b\n"
	fields := "--b\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n" + secret + "\r\n--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.bin\"\r\n\r\n"
	nothing("an upload that is cut off", func() {
		if status, _ := raw(begin+"Content-Length: 5000000\n", fields+strings.Repeat("x", 1<<20), 0); strings.Contains(status, " 201") {
			t.Errorf("half an upload was answered with %q", status)
		}
	})
	nothing("2 GB", func() {
		status, sent := raw(begin+"Content-Length: 2147483648\n", fields, 64<<20)
		if status != "" && !strings.Contains(status, " 4") {
			t.Errorf("a file of 2 GB: %q after %d MiB, want it refused long before it is all here", status, sent>>20)
		}
	})
	t.Run("no script, no cookie, no origin", func(t *testing.T) {
		p, err := http.PostForm(w.GateURL+"/report", url.Values{"description": {secret}})
		must(t, err)
		p.Body.Close()
		if f := w.newest(); p.StatusCode != http.StatusCreated || f.c == nil || !strings.Contains(f.message(t).Text, secret) {
			t.Errorf("a plain POST: %d, case %v", p.StatusCode, f.c)
		}
	})
	t.Run("two tabs", func(t *testing.T) {
		page, before := form(), w.arrivals()
		a := page.Submit("form-report", []world.Field{{Name: "description", Value: "The same in two tabs."}})
		b := page.Submit("form-report", []world.Field{{Name: "description", Value: "The same in two tabs."}})
		if a.Status != http.StatusCreated || b.Status != http.StatusCreated || w.arrivals()-before != 1 {
			t.Errorf("the same form twice: %d and %d, %d arrivals; want one arrival", a.Status, b.Status, w.arrivals()-before)
		}
		c := page.Submit("form-report", []world.Field{{Name: "description", Value: "Another in the third tab."}})
		if c.Status != http.StatusCreated || w.arrivals()-before != 2 {
			t.Errorf("other words from the same form: %d, %d arrivals; want another arrival", c.Status, w.arrivals()-before)
		}
	})
	t.Run("encrypted files beside the text", func(t *testing.T) { // entry 30 by the form
		sealedFile := w.encrypt([]byte("print(1)\n"), nil)
		form().Submit("form-report", []world.Field{{Name: "description", Value: secret}},
			world.File{Field: "files", Name: "poc.py.asc", Bytes: sealedFile}, world.File{Field: "files", Name: "report.pgp", Bytes: w.encrypt([]byte("The long story.\n"), nil)})
		f := w.newest()
		m := f.message(t)
		outcome{encryption: disclosure.OnArrival, part: true, text: "The file poc.py.asc was opened. ", file: "poc.py", attention: "-"}.check(t, w, f)
		if !strings.Contains(m.Text, "The file report.pgp was opened. ") || !strings.Contains(m.Text, "print(1)") && len(f.c.Files) == 0 {
			t.Errorf("text %q, files %+v", m.Text, f.c.Files)
		}
	})
}

// TestHostile54Codes: one who guesses codes learns nothing of them: what names
// nothing gets the same bytes however much of it is right.
func TestHostile54Codes(t *testing.T) {
	w := newTeam(t, world.Config{})
	form := w.Visit(w.GateURL).Get("/report").OK().Submit("form-report", []world.Field{{Name: "description", Value: secret}})
	if form.Status != http.StatusCreated {
		t.Fatalf("a report: %d", form.Status)
	}
	ask := func(code string) *world.Page {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, w.GateURL+"/api/v1/mailbox", bytes.NewReader(fmt.Appendf(nil, `{"code":%q}`, code)))
		must(t, err)
		r.Header.Set("Content-Type", "application/json")
		return w.Visit(w.GateURL).Do(r)
	}
	first := ""
	for range 4 {
		p := ask(strings.Join(vault.NewCode().Words(), " "))
		if first == "" {
			first = string(p.Body)
		}
		if p.Status != http.StatusOK || string(p.Body) != first {
			t.Errorf("a code that names nothing: %d %s, want what the first got: %s", p.Status, p.Body, first)
		}
	}
	if p := ask("one two three"); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("what is no code: %d, want 422", p.Status)
	}
}
