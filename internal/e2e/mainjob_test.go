package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/e2e/world"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m)) }

// The words of the main job that must not be public before the day.
const (
	jobTitle   = "Lantern accepts a forged shutter token"
	jobSecret  = "Shutter tokens are compared byte by byte until the first difference."
	jobRelease = "Lantern 5.1.3"
)

// TestMainJob is the whole way of a report, as people would go it: gpg, a
// browser, HTTP, a real SMTP server, three distributors with GnuPG of their
// own.
func TestMainJob(t *testing.T) {
	world.Need(t, "gpg", "notmuch", "git", "chromium")
	w := world.New(t, world.Config{})
	public := w.Visit(w.GateURL)

	// The reporter fetches our key, encrypts with gpg, and posts.
	reporter := world.NewGPG(t)
	key := public.Get("/key.asc").OK().Body
	reporter.Run(key, "--import")
	report := jobTitle + "\n\n" + jobSecret + "\n"
	armored, _ := reporter.Run([]byte(report), "--armor", "--encrypt", "--trust-model", "always", "-r", "security@lantern.example")
	r, err := http.NewRequest(http.MethodPost, w.GateURL+"/api/v1/reports", bytes.NewReader(armored))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/pgp-encrypted")
	answer := public.Do(r)
	if answer.Status != http.StatusCreated {
		t.Fatalf("POST /api/v1/reports: %d %s, want 201", answer.Status, answer.Body)
	}
	var receipt struct{ Code, SHA256 string }
	if err := json.Unmarshal(answer.Body, &receipt); err != nil {
		t.Fatal(err)
	}
	if want := digest(armored); receipt.SHA256 != want {
		t.Errorf("receipt names sha256 %s, want %s of the bytes sent", receipt.SHA256, want)
	}
	openMailbox := func() *world.Page {
		return public.Get("/mailbox").OK().SubmitTo("/mailbox", []world.Field{{Name: "code", Value: receipt.Code}}).OK()
	}
	openMailbox().Has("Nothing has been read yet")
	w.Settle() // the vault is unlocked: work opens it

	// A triager signs in with password and code in Chromium, acknowledges and answers there.
	tab := world.NewTab(t)
	tab.SignIn(w, "Ada")
	tab.Open(w.DeskURL + "/inbox")
	tab.Sees(jobTitle)
	tab.Open(w.DeskURL + "/cases/1")
	tab.Sees(jobSecret, "Encrypted to our key")
	tab.Submit(`form[action$="/acknowledge"]`)
	tab.Sees("triage")
	const thanks = "Thank you. We can reproduce it and are working on a fix."
	tab.Type(`form[action$="/reply"] textarea`, thanks)
	tab.Submit(`form[action$="/reply"]`)
	tab.Sees(thanks)

	// The answer can be taken back for thirty seconds, and is not in the mailbox before.
	w.Settle()
	if text := openMailbox().Text(); strings.Contains(text, thanks) {
		t.Error("the mailbox shows an answer that can still be taken back")
	}
	w.Advance(31 * time.Second)
	openMailbox().Has(thanks)

	// From here over HTTP, the browser's session goes on.
	desk := tab.Visitor(w)
	page := func() *world.Page { return desk.Get("/cases/1").OK() }
	page().SubmitTo("/move", []world.Field{{Name: "to", Value: "accepted"}}).OK().Has("accepted")
	page().Submit("form-severity", []world.Field{{Name: "level", Value: "high"}}).OK()
	page().Submit("form-affected", []world.Field{{Name: affectedField(t, page(), "5.1"), Value: "affected"}}).OK()
	page().Submit("form-cve", []world.Field{{Name: "cve", Value: "CVE-2026-31337"}, {Name: "class", Value: "CWE-208"}}).OK()
	page().SubmitTo("/text", []world.Field{
		{Name: "public_title", Value: jobTitle}, {Name: "summary", Value: "Tokens can be guessed."}, {Name: "description", Value: jobSecret},
		{Name: "remedy", Value: "Upgrade to Lantern 5.1.3."}}).OK()

	// Three distributors, each with keys made by their own gpg.
	type distributor struct {
		name, address string
		gpg           *world.GPG
		prints        []string
	}
	var distributors []*distributor
	for _, x := range [][2]string{{"Harbor Linux", "security@harbor.example"}, {"Quay Packages", "vendor-sec@quay.example"}, {"Skerry Hosting", "incidents@skerry.example"}} {
		d := &distributor{name: x[0], address: x[1], gpg: world.NewGPG(t)}
		armored := d.gpg.NewKey(d.name + " <" + d.address + ">")
		d.gpg.Run(key, "--import")
		d.prints = d.gpg.Prints(d.address)
		distributors = append(distributors, d)
		stepUp(w, desk, "Ada")
		desk.Get("/distributors/new").OK().SubmitTo("/distributors/new", []world.Field{
			{Name: "name", Value: d.name}, {Name: "address", Value: d.address}, {Name: "key", Value: string(armored)}}).OK().Has(d.name)
	}

	// The release: gathered, planned a week ahead, with the output of git format-patch.
	rel := desk.Get("/releases").OK().SubmitTo("/releases", []world.Field{{Name: "title", Value: jobRelease}, {Name: "case", Value: "1"}}).OK()
	at := rel.URL.Path
	release := func() *world.Page { return desk.Get(at).OK() }
	repository, patchName, patch := formatPatch(t)
	release().Submit("form-patch", []world.Field{{Name: "series", Value: "5.1"}}, world.File{Field: "patch", Name: patchName, Bytes: patch}).OK().Has(patchName, digest(patch)[:8])
	release().Submit("form-versions", []world.Field{{Name: numberField(t, release(), "5.1"), Value: "5.1.3"}}).OK()
	hour := w.DB.Now().Add(7*24*time.Hour + time.Hour).UTC().Truncate(time.Hour)
	release().Submit("form-plan", []world.Field{{Name: "at", Value: hour.Format("2006-01-02T15:04")}, {Name: "zone", Value: "UTC"}}).OK()

	before := publicAnswers(t, w)
	notPublic := func(when string) {
		t.Helper()
		w.Ready()
		for path, body := range publicAnswers(t, w) {
			for _, word := range []string{jobTitle, jobSecret, "CVE-2026-31337", "5.1-0001"} {
				if strings.Contains(body, word) {
					t.Errorf("%s, %s holds %q", when, path, word)
				}
			}
		}
	}
	notPublic("before the day")

	// Draft, freeze, approve, send.
	notices := noticeLinks(release())
	send := func(a string) (rawDigest string) {
		t.Helper()
		n := notices[a]
		if n == "" {
			t.Fatalf("no notice to %s among %v", a, notices)
		}
		desk.Get(n).OK().Submit("form-freeze", nil).OK().Has("frozen")
		raw := desk.Get(n + "/raw").OK().Body
		desk.Get(n + "/preview").OK().Has(digest(raw)[:8])
		desk.Get(n).OK().Submit("form-approve", nil).OK().Has("approved")
		stepUp(w, desk, "Ada")
		desk.Get(n+"/send").OK().Submit("form-send", []world.Field{{Name: "typed", Value: jobRelease}}).OK()
		w.Settle()
		return digest(raw)
	}
	w.Sink.Reset()
	previewed := send("distributors")
	if got := len(w.Sink.Messages()); got != 3 {
		t.Fatalf("the SMTP server got %d mails for three distributors", got)
	}
	release().Has("3 sent")
	for _, d := range distributors {
		raw := mailTo(t, w, d.address)
		var others []string
		for _, o := range distributors {
			if o != d {
				others = append(others, o.name, o.address, strings.Split(o.address, "@")[1])
				for _, print := range o.prints {
					others = append(others, print, print[len(print)-16:], print[len(print)-8:])
				}
			}
		}
		t.Run(d.name, func(t *testing.T) {
			entity := readNotice(t, d.gpg, raw, d.prints, others)
			if got := digest(entity); got != previewed {
				t.Errorf("the delivered, decrypted mail has digest %s; the preview showed %s", got, previewed)
			}
			if !strings.Contains(decoded(t, entity), jobSecret) {
				t.Error("the notice does not hold what the advisory will say")
			}
			got := attached(t, entity, patchName)
			if !bytes.Equal(got, patch) {
				t.Fatalf("the patch came as %d bytes, want the %d uploaded", len(got), len(patch))
			}
			applies(t, repository, patchName, got)
		})
	}
	notPublic("after the distributors were told")
	if after := publicAnswers(t, w); !sameAnswers(before, after) {
		t.Error("telling the distributors changed a public answer")
	}

	// The day.
	w.Advance(hour.Sub(w.DB.Now()))
	notPublic("at the hour, before anybody published")
	for _, a := range []string{"announcement", "oss-security"} {
		n := noticeLinks(release())[a]
		if n == "" {
			t.Fatalf("no notice to %s among %v", a, noticeLinks(release()))
		}
		desk.Get(n).OK().Submit("form-freeze", nil).OK()
		desk.Get(n).OK().Submit("form-approve", nil).OK().Has("approved")
	}
	w.Sink.Reset()
	stepUp(w, desk, "Ada")
	desk.Get(at+"/publish").OK().Has(jobTitle).Submit("form-publish", []world.Field{{Name: "typed", Value: "something else"}}).Has("exactly as it stands")
	notPublic("after the wrong name was typed")
	desk.Get(at+"/publish").OK().Submit("form-publish", []world.Field{{Name: "typed", Value: jobRelease}}).OK().Has("disclosed")
	w.Settle()
	w.Ready()

	advisory := public.Get("/advisories").OK().Link("/advisories/LANTERN-")
	public.Get(advisory).OK().Has(jobTitle, jobSecret, "CVE-2026-31337", "5.1.3", "high")
	if feed := public.Get("/feed.atom").OK(); !bytes.Contains(feed.Body, []byte(jobTitle)) || !bytes.Contains(feed.Body, []byte(advisory)) {
		t.Errorf("the feed does not carry the advisory:\n%s", feed.Body)
	}
	announced := mailTo(t, w, "announce@lists.lantern.example")
	checkAnnouncement(t, w, key, announced)
	openMailbox().Has("the advisory is public")
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// stepUp gives a fresh second factor.
func stepUp(w *world.World, v *world.Visitor, name string) {
	w.T.Helper()
	v.Get("/step-up").OK().Submit("form-step-up", []world.Field{{Name: "code", Value: w.Code(name)}}).OK()
}

// affectedField finds the control that says what the case means for a series.
func affectedField(t *testing.T, p *world.Page, series string) string {
	return indexed(t, p, "form-affected", "series", "effect", series)
}

func numberField(t *testing.T, p *world.Page, series string) string {
	return indexed(t, p, "form-versions", "series", "number", series)
}

func indexed(t *testing.T, p *world.Page, form, name, wanted, value string) string {
	t.Helper()
	for i := range 20 {
		n := "_" + string(rune('0'+i))
		if p.Value(form, name+n) == value {
			return wanted + n
		}
	}
	t.Fatalf("%s has no %s %q", form, name, value)
	return ""
}

// noticeLinks are the release's notices by audience.
func noticeLinks(p *world.Page) map[string]string {
	words := map[string]string{}
	for href, text := range p.LinkTexts() {
		if !strings.Contains(href, "/notices/") {
			continue
		}
		for audience, word := range map[string]string{
			"distributors": "distributors", "oss-security": "oss-security", "announcement": "announce list, on the day",
			"pre-announcement": "announce list, ahead", "reporters": "reporters"} {
			if strings.Contains(text, word) {
				words[audience] = href
			}
		}
	}
	return words
}

// mailTo is the one mail the SMTP server got for an address.
func mailTo(t *testing.T, w *world.World, address string) []byte {
	t.Helper()
	var found []byte
	for _, m := range w.Sink.Messages() {
		if slices.Contains(m.To, address) {
			if len(m.To) != 1 {
				t.Errorf("a mail has %d recipients in its envelope", len(m.To))
			}
			if found != nil {
				t.Fatalf("two mails to %s", address)
			}
			found = m.Data
		}
	}
	if found == nil {
		t.Fatalf("no mail to %s", address)
	}
	return found
}

// readNotice opens a distributor's mail with that distributor's gpg and
// notmuch, and looks for anything of the others. It returns what was signed.
func readNotice(t *testing.T, g *world.GPG, raw []byte, prints, others []string) []byte {
	t.Helper()
	parts := partsOf(t, raw)
	if len(parts) != 2 || !bytes.HasPrefix(parts[0], []byte("Version: 1")) {
		t.Fatalf("the mail is not PGP/MIME: %d parts", len(parts))
	}
	entity, status := g.Run(parts[1], "--decrypt") // fails unless gpg ends with 0
	for _, want := range []string{"GOODSIG", "DECRYPTION_OKAY", "GOODMDC"} {
		if !strings.Contains(status, want) {
			t.Errorf("gpg -d: no %s in\n%s", want, status)
		}
	}
	packets, _ := g.Run(parts[1], "--list-packets", "--list-only")
	var ids []string
	for line := range strings.Lines(string(packets)) {
		if strings.HasPrefix(line, ":pubkey enc packet:") {
			f := strings.Fields(line)
			ids = append(ids, f[len(f)-1])
		}
	}
	if len(ids) != 1 || !slices.ContainsFunc(prints, func(p string) bool { return strings.HasSuffix(p, ids[0]) }) {
		t.Errorf("key packets for %v, want one, of this distributor's keys %v", ids, prints)
	}
	seen := map[string][]byte{"the mail": raw, "what was signed": entity, "its decoded parts": []byte(decoded(t, entity))}
	if binary, _ := g.Run(parts[1], "--dearmor"); binary != nil {
		seen["the ciphertext"] = binary
	}
	for where, b := range seen {
		for _, o := range others {
			if bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(o))) {
				t.Errorf("%s holds %q of another distributor", where, o)
			}
			if id, err := hex.DecodeString(o); err == nil && len(id) >= 8 && bytes.Contains(b, id) {
				t.Errorf("%s holds the key id %s of another distributor in binary", where, o)
			}
		}
	}
	notmuchShows(t, g, raw, jobRelease)
	return entity
}

// partsOf are a multipart mail's parts as they stand.
func partsOf(t *testing.T, raw []byte) [][]byte {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("read a mail: %v", err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		t.Fatalf("Content-Type %q is no multipart: %v", m.Header.Get("Content-Type"), err)
	}
	var list [][]byte
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("read a part: %v", err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
}

// entityParts are the parts of a MIME entity, decoded, by file name.
func entityParts(t *testing.T, entity []byte) map[string][]byte {
	t.Helper()
	list := map[string][]byte{}
	var walk func(header map[string][]string, body io.Reader)
	walk = func(header map[string][]string, body io.Reader) {
		h := mail.Header(header)
		kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
		if err != nil {
			t.Fatalf("Content-Type %q: %v", h.Get("Content-Type"), err)
		}
		if strings.HasPrefix(kind, "multipart/") {
			for r := multipart.NewReader(body, params["boundary"]); ; {
				p, err := r.NextRawPart()
				if err == io.EOF {
					return
				}
				if err != nil {
					t.Fatalf("read a part: %v", err)
				}
				walk(p.Header, p)
			}
		}
		b, err := io.ReadAll(transfer(h.Get("Content-Transfer-Encoding"), body))
		if err != nil {
			t.Fatal(err)
		}
		_, place, _ := mime.ParseMediaType(h.Get("Content-Disposition"))
		list[place["filename"]] = append(list[place["filename"]], b...)
	}
	m, err := mail.ReadMessage(bytes.NewReader(entity))
	if err != nil {
		t.Fatalf("read what was signed: %v", err)
	}
	walk(m.Header, m.Body)
	return list
}

func attached(t *testing.T, entity []byte, name string) []byte {
	t.Helper()
	b, ok := entityParts(t, entity)[name]
	if !ok {
		t.Fatalf("nothing called %s is attached", name)
	}
	return b
}

// decoded is all text of an entity without its transfer encodings.
func decoded(t *testing.T, entity []byte) string {
	t.Helper()
	var b strings.Builder
	for _, part := range entityParts(t, entity) {
		b.Write(part)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// notmuchShows asks notmuch what a person would see of the mail.
func notmuchShows(t *testing.T, g *world.GPG, raw []byte, subject string) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, "mail", d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := "[database]\npath=" + dir + "/mail\n[user]\nname=d\nprimary_email=d@one.example\n[new]\ntags=\n"
	for name, b := range map[string][]byte{"config": []byte(config), "mail/cur/1:2,S": bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) []byte {
		cmd := exec.Command("notmuch", args...)
		cmd.Env = append(os.Environ(), "NOTMUCH_CONFIG="+dir+"/config", "GNUPGHOME="+g.Home)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("notmuch %s: %v", strings.Join(args, " "), err)
		}
		return out
	}
	run("new", "--quiet")
	var nested any
	out := run("show", "--format=json", "--entire-thread=false", "--verify", "--decrypt=true", "*")
	if err := json.Unmarshal(out, &nested); err != nil {
		t.Fatal(err)
	}
	for list, ok := nested.([]any); ok && len(list) > 0; list, ok = nested.([]any) {
		nested = list[0]
	}
	b, _ := json.Marshal(nested)
	var m struct {
		Crypto struct {
			Signed    *struct{ Status []struct{ Status string } }
			Decrypted *struct{ Status string }
		}
		Headers map[string]string
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if s := m.Crypto.Signed; s == nil || len(s.Status) != 1 || s.Status[0].Status != "good" {
		t.Errorf("notmuch says signed %+v, want good", s)
	}
	if d := m.Crypto.Decrypted; d == nil || d.Status != "full" {
		t.Errorf("notmuch says decrypted %+v, want full", d)
	}
	if got := m.Headers["Subject"]; got == "[...]" || got == "" || strings.Contains(string(raw), "Subject: "+got) {
		t.Errorf("notmuch shows the subject %q, want the real one, which is not outside", got)
	}
}

// formatPatch makes a repository with a fix, as a maintainer has it, and
// returns the commit before it beside the output of git format-patch.
func formatPatch(t *testing.T) (repository, name string, patch []byte) {
	t.Helper()
	repository = t.TempDir()
	git := func(args ...string) string { return runGit(t, repository, args...) }
	git("init", "-q", "-b", "main")
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(repository, "shutter.py"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("def same(a, b):\n    return a == b  \n")
	git("add", ".")
	git("commit", "-q", "-m", "Compare tokens")
	write("from hmac import compare_digest\n\n\ndef same(a, b):  \n    return compare_digest(a, b)  # näher\n")
	git("commit", "-q", "-a", "-m", "Compare tokens in constant time")
	path := strings.TrimSpace(git("format-patch", "-1"))
	patch, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	git("reset", "-q", "--hard", "HEAD~1")
	return repository, "5.1-" + path, patch
}

func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ravi", "-c", "user.email=ravi@lantern.example", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// applies takes a patch with git am, in a copy of its own.
func applies(t *testing.T, repository, name string, patch []byte) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	runGit(t, repository, "clone", "-q", repository, dir)
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, patch, 0o600); err != nil {
		t.Fatal(err)
	}
	runGit(t, dir, "am", "-q", file)
	if got := runGit(t, dir, "show", "HEAD:shutter.py"); !strings.Contains(got, "compare_digest(a, b)  # näher") {
		t.Errorf("after git am the file is\n%s", got)
	}
}

// checkAnnouncement verifies the signed mail to the public list, at its own hour.
func checkAnnouncement(t *testing.T, w *world.World, key, raw []byte) {
	t.Helper()
	parts := partsAsSent(t, raw)
	g := world.NewGPG(t)
	g.Now = w.DB.Now
	g.Run(key, "--import")
	dir := t.TempDir()
	entity, signature := filepath.Join(dir, "entity"), filepath.Join(dir, "entity.asc")
	for name, b := range map[string][]byte{entity: parts[0], signature: parts[1]} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, status := g.Run(nil, "--verify", signature, entity)
	if !strings.Contains(status, "GOODSIG") {
		t.Errorf("gpg --verify of the announcement: %s", status)
	}
	if text := decoded(t, parts[0]); !strings.Contains(text, "CVE-2026-31337") {
		t.Errorf("the announcement does not name the CVE id: %s", text)
	}
}

// partsAsSent are the two parts of multipart/signed, byte for byte: what is
// signed ends before the line end of the boundary (RFC 3156 §5).
func partsAsSent(t *testing.T, raw []byte) [2][]byte {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/signed" {
		t.Fatalf("the announcement is %q, want multipart/signed", kind)
	}
	mark := []byte("\r\n--" + params["boundary"])
	split := bytes.Split(raw, mark)
	if len(split) != 4 {
		t.Fatalf("multipart/signed splits into %d pieces", len(split))
	}
	_, signature, _ := bytes.Cut(split[2], []byte("\r\n\r\n"))
	return [2][]byte{bytes.TrimPrefix(split[1], []byte("\r\n")), signature}
}

func transfer(encoding string, r io.Reader) io.Reader {
	switch strings.ToLower(encoding) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		return quoted(r)
	}
	return r
}
