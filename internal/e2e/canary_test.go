package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/e2e/world"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
)

// canary stands in everything that is sealed, with a word behind it that says
// in what. Letters alone, so that no escaping hides it; what encodes letters is
// undone before looking.
const canary = "qzvkanaria"

// sightings are where the canary shows in b, in any dress.
func sightings(b []byte) []string {
	var found []string
	for dress, text := range dresses(b) {
		if i := strings.Index(strings.ToLower(text), canary); i >= 0 {
			found = append(found, dress+": …"+text[max(0, i-60):min(len(text), i+60)]+"…")
		}
	}
	for i := range 3 { // base64 of the whole, wherever it begins
		full := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", i) + canary + "xx"))
		inner := full[4 : len(full)-6]
		for _, form := range []string{inner, strings.NewReplacer("+", "-", "/", "_").Replace(inner)} {
			if bytes.Contains(withoutLineEnds(b), []byte(form)) {
				found = append(found, "base64")
			}
		}
	}
	for _, form := range []string{hex.EncodeToString([]byte(canary)), strings.ToUpper(hex.EncodeToString([]byte(canary)))} {
		if bytes.Contains(b, []byte(form)) {
			found = append(found, "hex")
		}
	}
	return found
}

var softBreak = regexp.MustCompile(`=\r?\n`)

func withoutLineEnds(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r"), nil), []byte("\n"), nil)
}

// dresses are the ways b can be read.
func dresses(b []byte) map[string]string {
	text := string(b)
	all := map[string]string{"plain": text, "quoted-printable": softBreak.ReplaceAllString(text, ""), "HTML": html.UnescapeString(text)}
	if u, err := url.QueryUnescape(text); err == nil {
		all["URL"] = u
	}
	if all["wide"] = strings.ReplaceAll(text, "\x00", ""); all["wide"] == text {
		delete(all, "wide")
	}
	for i := 0; ; { // every gzip in it
		j := bytes.Index(b[i:], []byte{0x1f, 0x8b, 0x08})
		if j < 0 {
			return all
		}
		i += j + 1
		z, err := gzip.NewReader(bytes.NewReader(b[i-1:]))
		if err != nil {
			continue
		}
		z.Multistream(false)
		inside, _ := io.ReadAll(io.LimitReader(z, 32<<20))
		all["gzip"] += string(inside)
	}
}

// TestSightings makes sure that the search finds what it is for.
func TestSightings(t *testing.T) {
	secret := []byte("before " + canary + "-title after")
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(secret)
	z.Close()
	for name, b := range map[string][]byte{
		"plain": secret, "upper case": bytes.ToUpper(secret), "hex": []byte(hex.EncodeToString(secret)), "gzip": append([]byte("junk"), zipped.Bytes()...),
		"base64 0": []byte(base64.StdEncoding.EncodeToString(secret)), "base64 1": []byte(base64.StdEncoding.EncodeToString(secret[1:])),
		"base64 2": []byte(base64.URLEncoding.EncodeToString(secret[2:])), "quoted-printable": []byte("before qzv=\r\nkanaria"),
		"URL": []byte("%71zvkanaria"), "HTML": []byte("&#113;zvkanaria"), "UTF-16": []byte("q\x00z\x00v\x00k\x00a\x00n\x00a\x00r\x00i\x00a\x00"),
		"folded base64": []byte(base64.StdEncoding.EncodeToString(secret)[:14] + "\r\n" + base64.StdEncoding.EncodeToString(secret)[14:]),
	} {
		if len(sightings(b)) == 0 {
			t.Errorf("sightings(%s) finds nothing in %q", name, b)
		}
	}
	if got := sightings([]byte("nothing of the kind")); got != nil {
		t.Errorf("sightings of an innocent text: %q", got)
	}
}

// TestCanary looks for the canary everywhere outside the seals, in every state
// a case can have.
func TestCanary(t *testing.T) {
	world.Need(t, "pg_dump")
	w := world.New(t, world.Config{Outbox: true})
	s := &secrets{World: w, ctx: context.Background()}
	for _, step := range []struct {
		state string
		do    func(t *testing.T)
	}{
		{"locked", s.arriveLocked}, {"received", s.opened}, {"triage", s.triage}, {"accepted", s.accept}, {"closed", s.closed},
		{"embargoed", s.embargo}, {"told", s.tell}, {"releasing", s.begin}, {"disclosed", s.publish}, {"called off", s.callOff},
	} {
		step.do(t)
		w.Settle()
		w.Ready()
		s.look(t, step.state)
	}
	// What was looked for is really there, for who may read it.
	seen := w.SignedIn("Ada").Get("/cases/1").OK().Text()
	for _, word := range []string{"title", "description", "name", "note", "reply", "more"} {
		if !strings.Contains(seen, canary+word) {
			t.Errorf("the case page does not show %s%s to a member: was it stored?", canary, word)
		}
	}
	ada := w.SignedIn("Ada")
	asked := ada.Get("/applications").OK().Text() + ada.Get("/applications/1").OK().Text() + ada.Get("/applications/2").OK().Text()
	for _, word := range []string{"applicant", "organization", "criterion", "why", "fingerprint", "asks", "answer", "decided"} {
		if !strings.Contains(asked, canary+word) {
			t.Errorf("the pages of applications do not show %s%s to an admin: was it stored?", canary, word)
		}
	}
}

// secrets is a world full of canaries.
type secrets struct {
	*world.World
	ctx     context.Context
	code    string
	release disclosure.ReleaseID
	clean   map[[32]byte]bool // digests of what was looked at
}

func (s *secrets) ada() disclosure.Caller { return s.Member("Ada") }

func (s *secrets) post(t *testing.T, path string, body any) []byte {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest(http.MethodPost, s.GateURL+path, bytes.NewReader(b))
	r.Header.Set("Content-Type", "application/json")
	p := s.Visit(s.GateURL).Do(r)
	if p.Status/100 != 2 {
		t.Fatalf("POST %s: %d %s", path, p.Status, p.Body)
	}
	return p.Body
}

// arriveLocked: everything a stranger can bring, by every way, while the vault
// is locked.
func (s *secrets) arriveLocked(t *testing.T) {
	s.DB.Vault().Lock()
	var receipt struct{ Code string }
	err := json.Unmarshal(s.post(t, "/api/v1/reports", disclosure.ReportJSON{
		Title: canary + "title", Description: canary + "description", Versions: canary + "versions", Name: canary + "name",
		Address: canary + "@reporter.example", Credit: disclosure.CreditNo, Answers: map[string]string{"exploited": canary + "answer"},
		Files: []disclosure.FileJSON{{Name: canary + "file.txt", Type: "text/plain", Data: []byte(strings.Repeat(canary+"bytes ", 4500))}},
	}), &receipt)
	if err != nil {
		t.Fatal(err)
	}
	s.code = receipt.Code
	s.Visit(s.GateURL).Get("/report").OK().SubmitTo("/report", []world.Field{{Name: "description", Value: canary + "typed"}, {Name: "address", Value: canary + "@typed.example"}},
		world.File{Field: "files", Name: canary + "upload.bin", Bytes: []byte(canary + "uploaded")})
	letter := "From: " + canary + "sender <" + canary + "@mail.example>\r\nTo: security@lantern.example\r\nSubject: " + canary + "subject\r\n\r\n" + canary + "mail\r\n"
	err = s.Gate.Receive(s.ctx, disclosure.ByMail, disclosure.Envelope{From: canary + "@mail.example", To: []string{"security@lantern.example"}}, strings.NewReader(letter))
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, canary)
}

// apply asks to be told in advance, by form and by mail.
func (s *secrets) apply(t *testing.T, mark string) {
	t.Helper()
	form := s.Visit(s.GateURL).Get("/notifications/request").OK().Submit("form-request", []world.Field{{Name: "name", Value: mark + "applicant"},
		{Name: "organization", Value: mark + "organization"}, {Name: "role", Value: mark + "role"}, {Name: "address", Value: mark + "@applicant.example"},
		{Name: "group", Value: "Maintainer of a package"}, {Name: "criterion", Value: mark + "criterion"}, {Name: "why", Value: mark + "why"},
		{Name: "list_address", Value: mark + "list@applicant.example"}, {Name: "reviewers", Value: mark + "reviewers"},
		{Name: "automated", Value: mark + "automated"}, {Name: "key_id", Value: mark + "fingerprint"}})
	if form.Status != http.StatusCreated {
		t.Fatalf("apply by form: %d %s", form.Status, form.Text())
	}
	letter := "From: " + mark + "vendor <" + mark + "@vendor.example>\r\nTo: security@lantern.example\r\nSubject: Security notification request: " + mark + "who\r\n\r\n" + mark + "asks\r\n"
	check(t, s.Gate.Receive(s.ctx, disclosure.ByMail, disclosure.Envelope{From: mark + "@vendor.example", To: []string{"security@lantern.example"}}, strings.NewReader(letter)))
}

// decide answers the first application and sets the second aside.
func (s *secrets) decide(t *testing.T, mark string) {
	t.Helper()
	check(t, s.DB.AnswerApplication(s.ctx, s.ada(), 1, postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Text: mark + "answer"}))
	check(t, s.DB.UpdateApplication(s.ctx, s.ada(), 2, func(a *disclosure.Application) error {
		return a.SetAside(mark+"decided", s.ada(), s.DB.Now())
	}))
}

func (s *secrets) opened(t *testing.T) {
	if _, err := s.DB.Vault().Unlock(world.Passphrase); err != nil {
		t.Fatal(err)
	}
}

func (s *secrets) caseID(t *testing.T, number int) disclosure.CaseID {
	t.Helper()
	c, err := s.DB.CaseByNumber(s.ctx, s.ada(), number)
	if err != nil {
		t.Fatalf("case %d: %v", number, err)
	}
	return c.ID
}

func (s *secrets) change(t *testing.T, number int, f func(c *disclosure.Case, by disclosure.Caller, now time.Time) error) {
	t.Helper()
	by := s.ada()
	if err := s.DB.UpdateCase(s.ctx, by, s.caseID(t, number), func(c *disclosure.Case) error { return f(c, by, s.DB.Now()) }); err != nil {
		t.Fatalf("change case %d: %v", number, err)
	}
}

func (s *secrets) triage(t *testing.T) {
	s.change(t, 1, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error { return c.Acknowledge(by, now) })
	id := s.caseID(t, 1)
	file, err := s.DB.StoreFile(s.ctx, s.ada(), id, "", canary+"note.txt", "text/plain", strings.NewReader(strings.Repeat(canary+"notefile ", 4500)))
	check(t, err)
	check(t, s.DB.AddNote(s.ctx, s.ada(), id, disclosure.MessageID(disclosure.NewID()), canary+"note", []disclosure.FileID{file.ID}))
	c, err := s.DB.Case(s.ctx, s.ada(), id)
	check(t, err)
	check(t, s.DB.Reply(s.ctx, s.ada(), postgres.ReplyDraft{ID: disclosure.MessageID(disclosure.NewID()), Case: id,
		Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: string(c.Reporters[0].ID)}, Text: canary + "reply", Files: []disclosure.FileID{file.ID}}))
	s.decide(t, canary)
	s.Advance(time.Minute)
	s.post(t, "/api/v1/mailbox", map[string]string{"code": s.code, "text": canary + "more"})
}

func (s *secrets) accept(t *testing.T) {
	s.change(t, 1, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
		for _, err := range []error{
			c.Accept(by, now), c.SetTitle(canary+"title again", by, now),
			c.SetSeverity(disclosure.Severity{Level: "high", Reason: canary + "reason"}, by, now),
			c.SetAffected([]disclosure.Affected{{Series: "5.1", Effect: disclosure.Affects}}, by, now),
			c.SetPublic(disclosure.Text{Title: "An issue", Summary: "A summary.", Description: "A description.", Remedy: "Upgrade."}, by, now),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *secrets) closed(t *testing.T) {
	s.change(t, 2, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
		return c.Close(disclosure.NotVulnerability, canary+"verdict", "", by, now)
	})
	s.change(t, 3, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
		if err := c.Acknowledge(by, now); err != nil {
			return err
		}
		return c.Restrict([]disclosure.MemberID{by.Member}, by, now)
	})
}

func (s *secrets) embargo(t *testing.T) {
	key, _, err := pgp.NewTeam(canary+"keyowner", canary+"@distributor.example", s.DB.Now())
	check(t, err)
	cert := key.Certificate()
	_, err = s.DB.Enroll(s.ctx, s.ada(), disclosure.Distributor{Name: canary + "distributor", Address: canary + "@distributor.example", Group: canary + "group",
		Note: canary + "remark", Keys: []disclosure.RecipientKey{{Fingerprint: cert.Fingerprint(), Certificate: cert.Binary()}}})
	check(t, err)
	s.release, err = s.DB.CreateRelease(s.ctx, s.ada(), canary+"release", []disclosure.CaseID{s.caseID(t, 1)})
	check(t, err)
	_, err = s.DB.AddPatch(s.ctx, s.ada(), s.release, disclosure.Patch{Series: "5.1", Name: "5.1-0001-fix.patch"}, strings.NewReader(strings.Repeat("+"+canary+"patch\n", 4500)))
	check(t, err)
	s.update(t, func(r *disclosure.Release, by disclosure.Caller, now time.Time) error {
		for _, err := range []error{
			r.SetVersion("5.1", "5.1.3", by, now), r.Plan(now.Add(7*24*time.Hour), "UTC", canary+"plan", by, now), r.DraftNotices(by, now),
		} {
			if err != nil {
				return err
			}
		}
		for _, n := range r.Notices {
			text := "Nothing of it is told here.\n"
			if n.Audience == disclosure.ToDistributors {
				text = canary + "notice\n"
			}
			if err := r.EditNotice(n.ID, "Lantern security release", text+r.Essentials(n.Audience), by, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *secrets) update(t *testing.T, f func(r *disclosure.Release, by disclosure.Caller, now time.Time) error) {
	t.Helper()
	by := s.ada()
	check(t, s.DB.UpdateRelease(s.ctx, by, s.release, func(r *disclosure.Release) error { return f(r, by, s.DB.Now()) }))
}

func (s *secrets) approve(t *testing.T, a disclosure.Audience) disclosure.NoticeID {
	t.Helper()
	return approveNotice(t, s.World, s.release, a)
}

// approveNotice freezes and approves a release's notice to an audience.
func approveNotice(t *testing.T, w *world.World, release disclosure.ReleaseID, a disclosure.Audience) disclosure.NoticeID {
	t.Helper()
	ctx, by := context.Background(), w.Member("Ada")
	find := func() *disclosure.Notice {
		r, err := w.DB.Release(ctx, by, release)
		check(t, err)
		for _, n := range r.Notices {
			if n.Audience == a {
				return n
			}
		}
		t.Fatalf("no notice to %s", a)
		return nil
	}
	check(t, w.DB.FreezeNotice(ctx, by, find().ID, func(x postgres.NoticeWork) ([]byte, []disclosure.Fault, error) {
		m := mail.FrozenMessage{From: x.Release.Policy.Contact.Address, Subject: x.Notice.Subject, Text: x.Notice.Text}
		if a == disclosure.ToDistributors {
			for _, p := range x.Release.Patches {
				b, err := x.Patch(p.File.ID)
				if err != nil {
					return nil, nil, err
				}
				m.Attachments = append(m.Attachments, mail.Part{Name: p.Name, Bytes: b})
			}
		}
		b, err := mail.Freeze(m)
		return b, nil, err
	}))
	n := find()
	list, err := w.DB.Recipients(ctx, by, n.ID)
	check(t, err)
	check(t, w.DB.ApproveNotice(ctx, by, n.ID, n.Digest, postgres.ListDigest(list)))
	return n.ID
}

func (s *secrets) tell(t *testing.T) {
	for _, a := range []disclosure.Audience{disclosure.ToAnnounceAhead, disclosure.ToDistributors, disclosure.ToReporters} {
		check(t, s.DB.StartSending(s.ctx, s.ada(), s.approve(t, a), nil))
		s.Settle()
	}
}

func (s *secrets) begin(t *testing.T) {
	s.Advance(7 * 24 * time.Hour)
	s.update(t, func(r *disclosure.Release, by disclosure.Caller, now time.Time) error { return r.Begin(by, now) })
}

// publish makes it public, patches included: so the one with the mark goes
// before, and its bytes stay sealed.
func (s *secrets) publish(t *testing.T) {
	s.update(t, func(r *disclosure.Release, by disclosure.Caller, now time.Time) error {
		return r.DropPatch(r.Patches[0].File.ID, by, now)
	})
	_, err := s.DB.AddPatch(s.ctx, s.ada(), s.release, disclosure.Patch{Series: "5.1", Name: "5.1-0001-fix.patch"}, strings.NewReader("+hold()\n"))
	check(t, err)
	s.update(t, func(r *disclosure.Release, by disclosure.Caller, now time.Time) error {
		for _, n := range r.Notices {
			if n.State == disclosure.NoticeDraft {
				if err := r.DraftText(n.ID, n.Subject, "Nothing of it is told here.\n"+r.Essentials(n.Audience), by, now); err != nil {
					return err
				}
			}
		}
		return nil
	})
	s.approve(t, disclosure.ToAnnounce)
	s.approve(t, disclosure.ToOSS)
	render, err := s.Work.Renderer(s.ctx)
	check(t, err)
	by := s.ada()
	check(t, s.DB.Publish(s.ctx, by, s.release, func(r *disclosure.Release) error {
		return r.Publish(r.Title, by, s.DB.Now(), s.DB.Wall())
	}, render.Render))
}

// callOff: another release, planned and called off.
func (s *secrets) callOff(t *testing.T) {
	s.change(t, 3, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error { return c.Accept(by, now) })
	var err error
	s.release, err = s.DB.CreateRelease(s.ctx, s.ada(), canary+"second", []disclosure.CaseID{s.caseID(t, 3)})
	check(t, err)
	s.update(t, func(r *disclosure.Release, by disclosure.Caller, now time.Time) error {
		if err := r.Plan(now.Add(7*24*time.Hour), "UTC", "", by, now); err != nil {
			return err
		}
		return r.CallOff(canary+"off", by, now)
	})
}

// look searches everything outside the seals.
func (s *secrets) look(t *testing.T, state string) {
	t.Helper()
	seen := func(where string, b []byte) {
		if sum := sha256.Sum256(b); s.clean[sum] { // looked at in an earlier state
			return
		} else if s.clean == nil {
			s.clean = map[[32]byte]bool{sum: true}
		} else {
			s.clean[sum] = true
		}
		for _, f := range sightings(b) {
			t.Errorf("%s: %s shows it, %s", state, where, f)
		}
	}
	for _, door := range []struct {
		name, url string
		patterns  []string
		methods   []string
	}{
		{"gate", s.GateURL, patterns(s.Gate.Routes()), []string{http.MethodGet, http.MethodPost}},
		{"desk", s.DeskURL, patterns(s.Desk.Routes()), []string{http.MethodGet}},
	} {
		for _, pattern := range door.patterns {
			for _, p := range paths(pattern, map[string][]string{"n": {"1"}, "release": {string(s.release)}}) {
				for _, method := range door.methods {
					kind := map[string]string{http.MethodPost: "application/x-www-form-urlencoded"}[method]
					seen(door.name+" "+method+" "+p, []byte(ask(t, method, door.url+p, "", kind)))
				}
			}
		}
	}
	seen("the log output", []byte(s.Log.String()))
	for line := range bytes.Lines(dump(t, s.Owner)) { // a row a line
		seen("the database", line)
		for _, m := range binaryValue.FindAllSubmatch(line, -1) {
			b := make([]byte, hex.DecodedLen(len(m[1])))
			if _, err := hex.Decode(b, m[1]); err == nil {
				seen("a binary value of the database", b)
			}
		}
	}
	err := filepath.WalkDir(s.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name := strings.TrimPrefix(path, s.Data)
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen("the name of "+name, []byte(name))
		if strings.HasPrefix(name, "/outbox/") {
			b = withoutRecipient(b) // a mail names whom it goes to, and nobody else
		}
		seen("the file "+name, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var recipientLine = regexp.MustCompile(`(?m)^(To|Envelope-To|X-Envelope-To|X-Postern-To|X-RcptTo): .*\r?\n`)

func withoutRecipient(b []byte) []byte { return recipientLine.ReplaceAll(b, nil) }

// dump is all of the database as text.
func dump(t *testing.T, owner string) []byte {
	t.Helper()
	cmd := exec.Command("pg_dump", "--dbname", owner)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v\n%s", err, stderr.String())
	}
	if len(out) < 10_000 {
		t.Fatalf("pg_dump wrote %d bytes", len(out))
	}
	return out
}

var binaryValue = regexp.MustCompile(`\\\\x((?:[0-9a-f]{2})+)`)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
